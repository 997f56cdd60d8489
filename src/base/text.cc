#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <iterator>

namespace corral {
namespace {

constexpr std::string_view kShort = "n\nr\rt\t";  // letter and character, by turns

bool IsPlain(char c) { return c >= ' ' && c < 0x7F; }

// Which characters show something, {fmt} knows: it has the table of Unicode. It gets one valid
// sequence at a time: in fmt 9 it ends the program where one is cut off. What it said is kept, for
// tables are drawn with the same few characters again and again.
bool ShowsItself(std::string_view sequence, std::uint32_t code) {
  if (code < 0x80) return IsPlain(sequence.front());
  enum Said : char { kUnknown, kYes, kNo };
  static std::atomic<Said> known[0x10000];
  const bool is_kept = code < std::size(known);
  const Said before = is_kept ? known[code].load(std::memory_order_relaxed) : kUnknown;
  if (before != kUnknown) return before == kYes;
  const std::string quoted = fmt::format("{:?}", sequence);
  const bool shows = std::string_view(quoted).substr(1, quoted.size() - 2) == sequence;
  if (is_kept) known[code].store(shows ? kYes : kNo, std::memory_order_relaxed);
  return shows;
}

// `code`: 0 for a byte that is no character.
void AppendEscaped(std::string& to, std::string_view sequence, std::uint32_t code) {
  const auto byte = static_cast<unsigned char>(sequence.front());
  for (std::size_t i = 0; i < kShort.size(); i += 2) {
    if (sequence.front() != kShort[i + 1]) continue;
    to += {'\\', kShort[i]};
    return;
  }
  if (byte < 0x80 || sequence.size() == 1) {
    to += fmt::format("\\x{:02x}", byte);
  } else if (code <= 0xFFFF) {
    to += fmt::format("\\u{:04x}", code);
  } else {
    to += fmt::format("\\U{:08x}", code);
  }
}

// `also`: characters that get a backslash before them.
std::string Escape(std::string_view text, std::string_view also) {
  const bool plain =
      std::ranges::all_of(text, [&](char c) { return IsPlain(c) && !also.contains(c); });
  if (plain) return std::string(text);
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    std::uint32_t code = 0;
    const std::size_t length = Utf8Length(text, code);
    const std::string_view sequence = text.substr(0, length == 0 ? 1 : length);
    if (length == 0 || !ShowsItself(sequence, code)) {
      AppendEscaped(escaped, sequence, code);
    } else {
      if (also.contains(sequence.front())) escaped += '\\';
      escaped += sequence;
    }
    text.remove_prefix(sequence.size());
  }
  return escaped;
}

void AppendUtf8(std::string& to, std::uint32_t code) {
  const auto tail = [&](int shift) { to += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code <= 0x7FF) {
    to += static_cast<char>(0xC0 | (code >> 6));
  } else if (code <= 0xFFFF) {
    to += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
  } else {
    to += static_cast<char>(0xF0 | (code >> 18));
    tail(12);
    tail(6);
  }
  tail(0);
}

// What follows a backslash, which is taken from `text`. False: it is of no such form.
bool AppendUnescaped(std::string& to, std::string_view& text) {
  if (text.empty()) return false;
  const char kind = text.front();
  text.remove_prefix(1);
  if (kind == '\\' || kind == '"') {
    to += kind;
    return true;
  }
  for (std::size_t i = 0; i < kShort.size(); i += 2) {
    if (kind != kShort[i]) continue;
    to += kShort[i + 1];
    return true;
  }
  const std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
  std::uint32_t code = 0;
  if (digits == 0 || text.size() < digits) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, code, 16);
  if (error != std::errc() || end != text.data() + digits) return false;
  text.remove_prefix(digits);
  if (kind == 'x') {
    to += static_cast<char>(code);
  } else if (code >= 0x80 && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF)) {
    AppendUtf8(to, code);
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::size_t Utf8Length(std::string_view text, std::uint32_t& code) {
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

std::string Harmless(std::string_view text) { return Escape(text, ""); }

std::string Printable(std::string_view name) {
  std::string escaped = Escape(name, "\\\"");
  if (escaped == name) return escaped;
  return '"' + escaped + '"';
}

std::optional<std::string> FromPrintable(std::string_view text) {
  if (text.size() < 2 || !text.starts_with('"') || !text.ends_with('"')) return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string name;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '"') return std::nullopt;
    if (c != '\\') {
      name += c;
    } else if (!AppendUnescaped(name, text)) {
      return std::nullopt;
    }
  }
  return name;
}

}  // namespace corral
