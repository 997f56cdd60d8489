#include "subsystems/numtasks/numtasks.h"

#include <cerrno>

#include "base/errors.h"
#include "base/number.h"

namespace corral {
namespace {

constexpr std::int64_t kMostTasks = 4194304;  // no kernel has more tids

// As the kernel reads its own.
Result<std::uint64_t> LimitIn(std::string_view bytes) {
  const std::string_view text = Trim(UpToNul(bytes));
  if (text == "max") return Css::kNoTaskLimit;
  const auto number = ParseSigned(text);
  if (!number && number.error().code == ERANGE) return Fail(ERANGE, "'{}' is beyond 64 bits", text);
  if (!number || *number < 0 || *number > kMostTasks) {
    return Fail(EINVAL, "'{}' is no limit: 0 to {}, or max", text, kMostTasks);
  }
  return static_cast<std::uint64_t>(*number);
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
