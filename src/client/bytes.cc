#include "client/bytes.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

namespace corral {
namespace {

constexpr std::uint32_t kBase = 0xEF00;

bool IsMark(std::uint32_t code) { return code >= kBase + 0x80 && code <= kBase + 0xFF; }

void AppendMark(std::string& to, unsigned char byte) {
  const std::uint32_t code = kBase + byte;
  to += static_cast<char>(0xE0 | (code >> 12));
  to += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
  to += static_cast<char>(0x80 | (code & 0x3F));
}

// The length of the valid UTF-8 sequence `text` begins with, 0 if there is none.
std::size_t SequenceLength(std::string_view text, std::uint32_t& code) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) {
    code = first;
    return 1;
  }
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  code = first & (0xFF >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return 0;
    code = (code << 6) | (next & 0x3F);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return overlong || surrogate || code > 0x10FFFF ? 0 : length;
}

// How much of it, from the beginning, is UTF-8. fmt's {:?} gets no more than that: in fmt 9 it
// ends the program, or looks beyond the end, where a sequence is cut off there.
std::size_t ValidPrefix(std::string_view text) {
  std::size_t valid = 0;
  for (std::uint32_t code = 0; valid < text.size();) {
    const std::size_t length = SequenceLength(text.substr(valid), code);
    if (length == 0) break;
    valid += length;
  }
  return valid;
}

}  // namespace

std::string ToJsonText(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    std::uint32_t code = 0;
    const std::size_t length = SequenceLength(bytes, code);
    if (length == 0 || IsMark(code)) {
      AppendMark(text, static_cast<unsigned char>(bytes[0]));
      bytes.remove_prefix(1);
      continue;
    }
    text.append(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  return text;
}

std::string FromJsonText(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    std::uint32_t code = 0;
    std::size_t length = SequenceLength(text, code);
    if (length == 0) {
      length = 1;
      code = 0;
    }
    if (IsMark(code)) {
      bytes += static_cast<char>(code - kBase);
    } else {
      bytes.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  return bytes;
}

std::string Printable(std::string_view bytes) {
  std::string quoted = "\"";
  for (std::string_view rest = bytes; !rest.empty();) {
    const std::size_t valid = ValidPrefix(rest);
    const std::string piece = fmt::format("{:?}", rest.substr(0, valid));
    quoted += std::string_view(piece).substr(1, piece.size() - 2);
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(rest[0]));
    rest.remove_prefix(1);
  }
  quoted += '"';
  const std::string_view inside = std::string_view(quoted).substr(1, quoted.size() - 2);
  return inside == bytes ? std::string(bytes) : quoted;
}

std::string WithoutOctal(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 1] + 3, code, 8).ptr == &text[i + 1] + 3) {
      plain += static_cast<char>(code);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace corral
