#include <corral/process_group.h>

#include <utility>

#include "base/errors.h"
#include "library/group_calls.h"

namespace corral {

ProcessGroup::ProcessGroup(std::unique_ptr<GroupCalls> calls, std::string path, bool made)
    : calls_(std::move(calls)), path_(std::move(path)), made_(made) {}
ProcessGroup::ProcessGroup(ProcessGroup&&) noexcept = default;
ProcessGroup& ProcessGroup::operator=(ProcessGroup&& other) noexcept {
  std::swap(calls_, other.calls_);
  std::swap(path_, other.path_);
  std::swap(made_, other.made_);
  return *this;
}
ProcessGroup::~ProcessGroup() {
  if (calls_ && made_) (void)calls_->Remove(path_);  // EBUSY: it stays
}

Result<ProcessGroup> ProcessGroup::Create(const std::string& path, const std::string& instance) {
  auto name = TRY(GroupCalls::InstanceNamed(instance));
  auto calls = std::make_unique<GroupCalls>(std::move(name));
  const auto made = TRY(calls->Create(path));
  return ProcessGroup(std::move(calls), path, made);
}

Result<void> ProcessGroup::Enter(pid_t process) const { return calls_->Enter(path_, process); }
Result<pid_t> ProcessGroup::Spawn(const std::vector<std::string>& command) const {
  return calls_->Spawn(path_, command);
}
Result<void> ProcessGroup::WaitEmpty(std::chrono::milliseconds timeout) const {
  return calls_->WaitEmpty(path_, timeout);
}
Result<std::vector<pid_t>> ProcessGroup::List() const { return calls_->List(path_); }
Result<std::vector<pid_t>> ProcessGroup::Kill() const { return calls_->Kill(path_); }

Result<void> ProcessGroup::Remove() {
  auto removed = calls_->Remove(path_);
  if (removed) made_ = false;
  return removed;
}

}  // namespace corral
