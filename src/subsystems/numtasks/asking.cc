#include "subsystems/numtasks/asking.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/errors.h"

namespace corral {

struct AskingNumtasks::Account final : Css {
  std::atomic<std::uint64_t> peak = 0;  // the most that anybody has read

  // What it is then.
  std::uint64_t Raise(std::uint64_t count) {
    std::uint64_t most = peak.load();
    while (most < count && !peak.compare_exchange_weak(most, count)) {
    }
    return std::max(most, count);
  }
};

Result<void> AskingNumtasks::Start(Groups& groups) {
  groups_ = &groups;
  return {};
}

Result<std::unique_ptr<Css>> AskingNumtasks::Create(const NewCss&) {
  return std::make_unique<Account>();
}

Result<std::uint64_t> AskingNumtasks::Current(Css& css) {
  const std::uint64_t count = TRY(groups_->TasksLetIn(css));
  static_cast<Account&>(css).Raise(count);
  return count;
}

Result<std::uint64_t> AskingNumtasks::Peak(Css& css) {
  return static_cast<Account&>(css).Raise(TRY(groups_->TasksLetIn(css)));
}

Result<std::uint64_t> AskingNumtasks::Failures(Css& css) { return groups_->RefusedBirths(css); }

std::uint64_t AskingNumtasks::Max(const Css& css) const { return css.task_limit(); }

// Where births are not limited, the limit is there to be read (`corral doctor` says so).
Result<void> AskingNumtasks::SetMax(Css& css, std::uint64_t max) {
  auto done = groups_->LimitTasks(css, max);
  return !done && done.error().code == ENOTSUP ? Result<void>() : done;
}

}  // namespace corral
