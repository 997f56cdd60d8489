// Tasks of an engine: births, ends, moves, lists, marks.
#include <cerrno>
#include <unordered_map>

#include "base/errors.h"
#include "engine/engine_core.h"

namespace corral {

// The number is known as live before the tracker has it, and until the tracker has lost it: what
// is compared with the tracker's tables is never less than what is in them.
Result<TaskId> EngineCore::Begin(TaskId parent) {
  if (parent != kProgram && !tasks_.IsLive(parent)) return Fail(ESRCH, "the parent has ended");
  const auto task = tasks_.Take();
  if (!task) return Fail(EAGAIN, "there are {} tasks already", tasks_.live());
  const Tid tid = TidOf(*task);
  if (auto born = tracker_.Birth(TidOf(parent), tid, Tgid{tid.value}); !born) {
    tasks_.End(*task);
    tasks_.GiveBack(*task);
    return Fail(born.error());
  }
  // After the birth: either Kill() finds the child in its list, or we find its parent's mark, or
  // Kill() still at work.
  if (tasks_.IsKilled(parent) || (killing_ != 0 && IsBeingKilled(tid))) (void)tasks_.Mark(*task);
  return *task;
}

bool EngineCore::IsBeingKilled(Tid tid) {
  std::vector<CgroupId> groups;
  {
    MutexLock lock(kills_mu_);
    groups.assign(kills_.begin(), kills_.end());
  }
  for (const CgroupId group : groups) {
    const auto facts = registry_.Facts(group);
    if (!facts) continue;
    CgroupId at = registry_.CgroupOf(tid, facts->hierarchy).value_or(CgroupId{});
    while (at != group && at.value != 0) {
      const auto its = registry_.Facts(at);
      at = its ? its->parent : CgroupId{};
    }
    if (at == group) return true;
  }
  return false;
}

void EngineCore::End(TaskId task) {
  tracker_.Death(TidOf(task));
  tasks_.End(task);
  tasks_.GiveBack(task);
}

// Between the look and the move the number may become another task's: then it is taken back.
Result<void> EngineCore::Enter(CgroupId group, TaskId task) {
  const auto is_it = [&]() -> Result<void> {
    if (tasks_.IsLive(task)) return {};
    return Fail(ESRCH, "the task has ended");
  };
  TRY(is_it());
  return registry_.Attach(group, TidOf(task), is_it);
}

Result<std::vector<TaskId>> EngineCore::Tasks(CgroupId group, bool subtree) const {
  std::vector<TaskId> tasks;
  const auto add = [&](Tid tid) {
    const auto task = tasks_.Who(tid);  // the program is nobody there
    if (task) tasks.push_back(*task);
  };
  if (subtree) {
    for (const TaskMember& member : TRY(registry_.SubtreeTasks(group))) add(member.tid);
  } else {
    for (const Tid tid : TRY(registry_.Tasks(group))) add(tid);
  }
  return tasks;
}

// One Kill() at work, as births see it.
class EngineCore::AtWork {
 public:
  AtWork(EngineCore& core, CgroupId group) : core_(core) {
    MutexLock lock(core_.kills_mu_);
    at_ = core_.kills_.insert(group);
    ++core_.killing_;
  }
  ~AtWork() {
    MutexLock lock(core_.kills_mu_);
    core_.kills_.erase(at_);
    --core_.killing_;
  }
  AtWork(const AtWork&) = delete;
  AtWork& operator=(const AtWork&) = delete;

 private:
  EngineCore& core_;
  std::multiset<CgroupId>::iterator at_;
};

// A tid of a list may be another task's when it is looked at. So who it is, is looked up between
// two lists: whoever is the same from before the second one until it is marked was in that.
// Through when a list shows only tasks that were marked before it was made: what they begin later
// finds their mark. What is born while we are at work is marked by its birth, or a chain of tasks
// that each begin one and end would run ahead of us for ever.
Result<std::size_t> EngineCore::Kill(CgroupId group, const std::function<void(TaskId)>& end) {
  const auto facts = registry_.Facts(group);
  if (!facts) return Fail(ENODEV, "the group is gone");
  if (facts->is_root()) return Fail(EPERM, "the root holds every task; kill a group below it");
  const AtWork at_work(*this, group);
  std::size_t count = 0;
  std::unordered_map<Tid, TaskId> known;
  for (bool through = false; !through;) {
    const auto members = registry_.SubtreeTasks(group);
    if (!members) return Fail(ENODEV, "the group is gone");
    through = true;
    std::vector<TaskId> marked;
    for (const TaskMember& member : *members) {
      const auto before = known.find(member.tid);
      if (before != known.end() && tasks_.Mark(before->second)) marked.push_back(before->second);
      const auto now = tasks_.Who(member.tid);
      if (!now || tasks_.IsKilled(*now)) continue;
      known[member.tid] = *now;
      through = false;
    }
    through = through && marked.empty();
    count += marked.size();
    for (const TaskId task : marked) {
      if (end) end(task);
    }
  }
  return count;
}

}  // namespace corral
