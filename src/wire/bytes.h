// Names are bytes (spec 5.1), JSON strings are Unicode: a reversible way between the two.
//
// Text that is UTF-8 stays as it is. A byte 0x80 to 0xFF that belongs to no valid UTF-8
// sequence becomes the private-use character U+EF00 + byte. A name that really holds one
// of U+EF80 to U+EFFF has its three bytes mapped one by one, so every name has exactly one form.
#ifndef CORRAL_WIRE_BYTES_H_
#define CORRAL_WIRE_BYTES_H_

#include <string>
#include <string_view>

namespace corral {

// Bytes -> valid UTF-8.
std::string ToJsonText(std::string_view bytes);

// The other way; text that did not come from ToJsonText passes unchanged.
std::string FromJsonText(std::string_view text);

}  // namespace corral

#endif  // CORRAL_WIRE_BYTES_H_
