#include "control/parse.h"

#include <algorithm>
#include <cerrno>
#include <limits>

namespace corral {
namespace {

// Not isspace(3) and isdigit(3): those follow the locale of the program we are in.
constexpr std::string_view kSpace = " \t\n\v\f\r";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view LeadingDigits(std::string_view text) {
  const auto end = std::ranges::find_if_not(text, IsDigit);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

}  // namespace

Result<std::uint32_t> ParsePid(std::string_view text) {
  text = text.substr(0, text.find('\0'));
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));

  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  const std::string_view digits = LeadingDigits(text);
  if (digits.empty()) return Fail(EIO, "no number to be read");

  std::uint64_t value = 0;
  for (const char digit : digits) {
    value = value * 10 + static_cast<std::uint64_t>(digit - '0');
    if (value > std::numeric_limits<int>::max()) return Fail(ESRCH, "no task {}", digits);
  }
  if (negative && value != 0) return Fail(ESRCH, "no task -{}", value);
  return static_cast<std::uint32_t>(value);
}

bool ParseFlag(std::string_view text) {
  return std::ranges::any_of(LeadingDigits(text), [](char digit) { return digit != '0'; });
}

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

Result<void> CheckName(std::string_view name, const Dialect& dialect) {
  if (name.size() > kMaxName) return Fail(ENAMETOOLONG, "a name of {} bytes", name.size());
  if (name.empty() || name == "." || name == "..") return Fail(EINVAL, "not a name: '{}'", name);
  if (name.find('/') != name.npos || name.find('\0') != name.npos) {
    return Fail(EINVAL, "a name with '/' or NUL");
  }
  if (!dialect.newline_in_names && name.find('\n') != name.npos) {
    return Fail(EINVAL, "a name with a newline");
  }
  return {};
}

}  // namespace corral
