// What users write into control files and as names, read the way the dialect says. Pure
// functions: bytes in, value or errno out.
//
//   ParsePid(" 12 rest\n")  -> 12
//   ParsePid("-5")          -> ESRCH
//   ParseFlag("2\n")        -> true
#ifndef CORRAL_CONTROL_PARSE_H_
#define CORRAL_CONTROL_PARSE_H_

#include <corral/result.h>

#include <cstdint>
#include <string_view>

#include "control/dialect.h"

namespace corral {

// scanf-like (spec 6.3): white space and one sign, decimal digits, the rest ignored; a NUL
// ends the text. 0 stands for the caller. EIO: no digits. ESRCH: negative or beyond int.
Result<std::uint32_t> ParsePid(std::string_view text);

// strtoul-like (spec 9.2): the leading digits, nothing skipped before them; none is zero.
// Never fails. A number of any length is not zero when one of its digits is not.
bool ParseFlag(std::string_view text);

// White space cut off at both ends.
std::string_view Trim(std::string_view text);

// Whether a cgroup may have this name (spec 5.1). ENAMETOOLONG: over 255 bytes. EINVAL:
// empty, ".", "..", or with '/', NUL or, where the dialect says so, a newline.
Result<void> CheckName(std::string_view name, const Dialect& dialect);

inline constexpr std::size_t kMaxName = 255;

}  // namespace corral

#endif  // CORRAL_CONTROL_PARSE_H_
