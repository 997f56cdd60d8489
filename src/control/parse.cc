#include "control/parse.h"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/errors.h"
#include "base/number.h"

namespace corral {
namespace {

// Not isspace(3) and isdigit(3): those follow the locale of the program we are in.
constexpr std::string_view kSpace = " \t\n\v\f\r";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view LeadingDigits(std::string_view text) {
  const auto end = std::ranges::find_if_not(text, IsDigit);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

Result<std::uint32_t> ParseLoosePid(std::string_view text) {
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

Result<std::uint32_t> ParseStrictPid(std::string_view text) {
  const auto value = ParseSigned(Trim(text));
  if (!value || *value < 0 || *value > std::numeric_limits<int>::max()) {
    return Fail(EINVAL, "not the number of a task");
  }
  return static_cast<std::uint32_t>(*value);
}

}  // namespace

Result<std::uint32_t> ParsePid(std::string_view text, Numbers numbers) {
  text = UpToNul(text);
  return numbers == Numbers::kStrict ? ParseStrictPid(text) : ParseLoosePid(text);
}

Result<bool> ParseFlag(std::string_view text, Numbers numbers) {
  text = UpToNul(text);
  if (numbers == Numbers::kLoose) {
    return std::ranges::any_of(LeadingDigits(text), [](char digit) { return digit != '0'; });
  }
  return TRY(ParseUnsigned(text)) != 0;
}

Result<std::uint64_t> ParseQuota(std::string_view text) {
  text = Trim(UpToNul(text));
  if (text == "max") return kNoQuota;
  const auto value = ParseSigned(text);
  if (!value && value.error().code == EINVAL) {
    return Fail(EINVAL, "a quota is a number or max, not '{}'", text);
  }
  if (!value || *value < 0 || *value > std::numeric_limits<int>::max()) {
    return Fail(ERANGE, "a quota is 0 to {}, or max", std::numeric_limits<int>::max());
  }
  return static_cast<std::uint64_t>(*value);
}

Result<std::string> ParseAgent(std::string_view text, AgentText form) {
  if (form == AgentText::kTrimmed) {
    if (text.size() > kMaxPath) return Fail(E2BIG, "a release agent of {} bytes", text.size());
    return std::string(Trim(UpToNul(text)));
  }
  if (form == AgentText::kLine && text.ends_with('\n')) text.remove_suffix(1);
  if (text.size() > kMaxPath)
    return Fail(ENOSPC, "a release agent's path of {} bytes", text.size());
  if (form == AgentText::kLineCounted && text.ends_with('\n')) text.remove_suffix(1);
  return std::string(UpToNul(text));
}

Result<void> CheckName(std::string_view name, const Dialect& dialect) {
  if (name.size() > dialect.max_name) return Fail(ENAMETOOLONG, "a name of {} bytes", name.size());
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
