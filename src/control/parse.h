// What users write into control files and as names, read the way the dialect says. Pure
// functions: bytes in, value or errno out.
//
//   ParsePid(" 12 rest\n", Numbers::kLoose)   -> 12
//   ParsePid("-5", Numbers::kStrict)          -> EINVAL
//   ParseFlag("0x2\n", Numbers::kStrict)      -> true
#ifndef CORRAL_CONTROL_PARSE_H_
#define CORRAL_CONTROL_PARSE_H_

#include <corral/result.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "control/dialect.h"

namespace corral {

// A pid (spec 6.3); 0 stands for the caller. A NUL ends the text.
// Loose, as scanf: white space and one sign, decimal digits, the rest ignored. EIO: no digits.
// ESRCH: negative or beyond int.
// Strict: white space trimmed, one sign, 0x.. and 0.. as in C. EINVAL: anything else.
Result<std::uint32_t> ParsePid(std::string_view text, Numbers numbers);

// A flag (spec 9.2): whether the number is not zero. A NUL ends the text.
// Loose, as strtoul: the leading digits, nothing skipped before them; none is zero. Never fails.
// Strict: one plus sign, 0x.. and 0.. as in C, one final newline. EINVAL: anything else.
// ERANGE: beyond 64 bits.
Result<bool> ParseFlag(std::string_view text, Numbers numbers);

// A quota (spec 4.6): `max`, which is kNoQuota, or a number within int. A NUL ends the text, white
// space around it is cut off; as strict numbers. EINVAL: anything else. ERANGE: beyond that.
Result<std::uint64_t> ParseQuota(std::string_view text);

// The path of a release agent in what was written to that file (spec 2). A NUL ends it.
// ENOSPC, E2BIG: too long. REQUIRES: the dialect has the file.
Result<std::string> ParseAgent(std::string_view text, AgentText form);

// Whether a cgroup may have this name (spec 5.1). ENAMETOOLONG: too many bytes. EINVAL: empty, ".",
// "..", or with '/', NUL or, where the dialect says so, a newline.
Result<void> CheckName(std::string_view name, const Dialect& dialect);

}  // namespace corral

#endif  // CORRAL_CONTROL_PARSE_H_
