#include "wire/bytes.h"

#include <cstdint>

#include "base/text.h"

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

}  // namespace

std::string ToJsonText(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    std::uint32_t code = 0;
    const std::size_t length = Utf8Length(bytes, code);
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
    std::size_t length = Utf8Length(text, code);
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

}  // namespace corral
