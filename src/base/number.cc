#include "base/number.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/errors.h"

namespace corral {
namespace {

int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;  // no digit of any base we know
}

bool Take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// Digits in the base that the first of them tell, and what may end them. Too many digits are
// noticed before what follows them, as in the kernel.
Result<std::uint64_t> ParseDigits(std::string_view text) {
  std::uint64_t base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x' && DigitOf(text[2]) < 16) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.starts_with('0')) {
    base = 8;
  }
  std::uint64_t value = 0;
  bool any = false, beyond = false;
  for (; !text.empty(); text.remove_prefix(1), any = true) {
    const auto digit = static_cast<std::uint64_t>(DigitOf(text.front()));
    if (digit >= base) break;
    beyond = beyond || __builtin_mul_overflow(value, base, &value) ||
             __builtin_add_overflow(value, digit, &value);
  }
  if (beyond) return Fail(ERANGE, "a number beyond 64 bits");
  if (!any) return Fail(EINVAL, "no number");
  Take(text, '\n');
  if (!text.empty()) return Fail(EINVAL, "not a number");
  return value;
}

}  // namespace

Result<std::uint64_t> ParseUnsigned(std::string_view text) {
  Take(text, '+');
  return ParseDigits(text);
}

Result<std::int64_t> ParseSigned(std::string_view text) {
  constexpr auto kMost = static_cast<std::uint64_t>(INT64_MAX);
  const bool negative = Take(text, '-');
  if (!negative) Take(text, '+');
  const std::uint64_t value = TRY(ParseDigits(text));
  if (value > kMost + (negative ? 1 : 0)) return Fail(ERANGE, "a number beyond 64 bits");
  return static_cast<std::int64_t>(negative ? -value : value);
}

std::uint64_t LeadingNumber(std::string_view text, int base) {
  std::uint64_t number = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), number, base);
  return number;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r\xa0";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string_view TakeWord(std::string_view& text, std::string_view between) {
  text.remove_prefix(std::min(text.find_first_not_of(between), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(between));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace corral
