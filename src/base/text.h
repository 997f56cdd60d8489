// Bytes that somebody else chose, made harmless for a terminal, a log and a table. In one place:
// the output of `corral`, the log, and the standard error of `corrald` and `mount.container` all
// go through Harmless().
//
// What is escaped: control characters (C0, DEL, C1), marks of direction, characters that show
// nothing or look like a blank, what Unicode has not assigned, and bytes that are not UTF-8. So a
// name can neither drive a terminal, nor look like another one, nor begin a line of its own.
#ifndef CORRAL_BASE_TEXT_H_
#define CORRAL_BASE_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace corral {

// The length of the valid UTF-8 sequence `text` begins with, and its character; 0 if there is none.
std::size_t Utf8Length(std::string_view text, std::uint32_t& code);

// Text with names in it: \n, \r, \t; \xNN for a byte that is no UTF-8 or below 0x80; else \uNNNN or
// \UNNNNNNNN. A backslash stays as it is, so what is harmless already does not change.
std::string Harmless(std::string_view text);

// One name: itself, or, where something in it has to be escaped, in double quotes, with backslashes
// and quotes escaped as well. No two names have the same form.
std::string Printable(std::string_view name);

// The other way, for names that people copy from what they were shown: of a text that begins and
// ends with a double quote the name, of any other itself. Nothing: there are quotes, and what is
// between them is not of Printable()'s form.
std::optional<std::string> FromPrintable(std::string_view text);

}  // namespace corral

#endif  // CORRAL_BASE_TEXT_H_
