// Numbers and white space as the kernel reads them in its own control files: kstrtoull(),
// kstrtoll() and strstrip(). Pure functions, whatever the locale is.
//
//   ParseUnsigned("0x1f\n")   -> 31
//   ParseSigned("-010")       -> -8
//   Trim(" max\n")            -> "max"
#ifndef CORRAL_BASE_NUMBER_H_
#define CORRAL_BASE_NUMBER_H_

#include <corral/result.h>

#include <cstdint>
#include <string_view>

namespace corral {

// One plus sign, digits (0x.. is hexadecimal, 0.. octal), one final newline, and nothing else.
// ERANGE: beyond 64 bits, whatever follows those digits; EINVAL: anything else.
Result<std::uint64_t> ParseUnsigned(std::string_view text);

// The same with one sign, within a signed number of 64 bits.
Result<std::int64_t> ParseSigned(std::string_view text);

// The digits that `text` begins with, in this base; 0: none, or beyond 64 bits. For what the kernel
// has printed.
std::uint64_t LeadingNumber(std::string_view text, int base = 10);

// White space, and the no-break space of Latin-1, cut off at both ends.
std::string_view Trim(std::string_view text);

// The next word of `text`, which it takes away; empty at the end.
std::string_view TakeWord(std::string_view& text, std::string_view between = " \t\n");

// What a file that is written to takes for the end of the text.
inline std::string_view UpToNul(std::string_view text) { return text.substr(0, text.find('\0')); }

}  // namespace corral

#endif  // CORRAL_BASE_NUMBER_H_
