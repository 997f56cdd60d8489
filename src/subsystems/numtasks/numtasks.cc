#include "subsystems/numtasks/numtasks.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>

#include "base/errors.h"

namespace corral {
namespace {

constexpr std::uint64_t kMostTasks = 4194304;  // no kernel has more tids

// As the kernel reads its own: a NUL ends it, white space around it is cut off, one sign, 0x.. and
// 0.. as in C.
Result<std::uint64_t> LimitIn(std::string_view bytes) {
  constexpr std::string_view kSpace = " \t\n\v\f\r\xa0";
  std::string_view text = bytes.substr(0, bytes.find('\0'));
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  text.remove_suffix(text.size() - (text.find_last_not_of(kSpace) + 1));
  if (text == "max") return Css::kNoTaskLimit;
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0' && (digits[1] | 0x20) == 'x' &&
      std::isxdigit(static_cast<unsigned char>(digits[2]))) {
    digits.remove_prefix(2);
    base = 16;
  } else if (digits.starts_with('0')) {
    base = 8;
  }
  std::uint64_t number = 0;
  const char* const last = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), last, number, base);
  const std::uint64_t most = static_cast<std::uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (error == std::errc::result_out_of_range || (end == last && number > most)) {
    return Fail(ERANGE, "'{}' is beyond 64 bits", text);
  }
  if (error != std::errc() || end != last || number > kMostTasks || (negative && number != 0)) {
    return Fail(EINVAL, "'{}' is no limit: 0 to {}, or max", text, kMostTasks);
  }
  return number;
}

}  // namespace

std::vector<SubsystemFile> Numtasks::Files() {
  using Where = SubsystemFile::Where;
  const auto number = [this](Result<std::uint64_t> (Numtasks::*get)(Css&)) {
    return [this, get](FileUse& use) { return (this->*get)(*use.css); };
  };
  std::vector<SubsystemFile> files;
  files.push_back({.name = "current", .number = number(&Numtasks::Current)});
  files.push_back({.name = "peak", .number = number(&Numtasks::Peak)});
  files.push_back({.name = "max",
                   .where = Where::kNotTop,
                   .read = [this](FileUse& use) -> Result<std::string> {
                     const std::uint64_t max = Max(*use.css);
                     return max == Css::kNoTaskLimit ? "max\n" : fmt::format("{}\n", max);
                   },
                   .write = [this](FileUse& use, std::string_view bytes) -> Result<void> {
                     return SetMax(*use.css, TRY(LimitIn(bytes)));
                   }});
  files.push_back(
      {.name = "failures", .where = Where::kNotTop, .number = number(&Numtasks::Failures)});
  return files;
}

}  // namespace corral
