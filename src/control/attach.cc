#include "control/attach.h"

#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "control/parse.h"

namespace corral {
namespace {

// As the reader's pid namespace numbers them; those it does not see are left out (spec 7.5).
template <typename Id>
TaskNumbers Numbered(const PidView* view, const std::vector<Id>& ids) {
  TaskNumbers numbers;
  numbers.reserve(ids.size());
  if (!view) {
    for (const Id id : ids) numbers.push_back(id.value);
    return numbers;
  }
  for (const Id id : ids) {
    if (const auto seen = view->Seen(Tid{id.value})) numbers.push_back(*seen);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// What a file moves: `tasks` one task, `cgroup.procs` a process.
struct Moved {
  Result<void> (Registry::*attach)(CgroupId, Tid, const AttachGuard&);
  Result<Tgid> (Registry::*live)(Tid) const;  // ESRCH: there is nothing to move
};
constexpr Moved kTask{&Registry::Attach, &Registry::ProcessOfLive};
constexpr Moved kWholeProcess{&Registry::AttachProcess, &Registry::ProcessOf};

// One write's task, and whether `0` named it.
struct Named {
  Tid tid;
  bool self;
};

Result<Named> ReadName(const ControlContext& context, const Caller& caller,
                       std::string_view bytes) {
  const auto pid = TRY(ParsePid(bytes, context.dialect.numbers));
  // A caller whose pid namespace is not below ours has no number here.
  if (caller.tid.value == 0) return Fail(ESRCH, "the caller is not visible from here");
  if (pid == 0) return Named{caller.tid, true};
  const auto view = context.machine.PidViewOf(caller.tid);
  if (!view) return Named{Tid{pid}, false};
  return Named{TRY(view->HostTid(pid)), false};
}

// Whose right over the task is asked for (spec 8.3). Not the writer's alone: whoever opens a file
// of his own can hand it to a set-user-ID program as its standard error, and choose what it writes.
struct Movers {
  uid_t opener;
  uid_t writer;
  bool may_all() const { return opener == 0 && writer == 0; }
};

Movers MoversOf(const ControlContext& context, const Caller& caller, const Named& named) {
  if (named.self && !context.dialect.zero_needs_right) return {.opener = 0, .writer = 0};
  const uid_t opener = context.opener.uid;
  return {.opener = opener, .writer = context.dialect.writer_fits_too ? caller.uid : opener};
}

// Spec 8.2: a mover's uid is 0, or the target's real or saved one.
Result<void> CheckOwner(const TaskHandle::Owner& owner, const Movers& movers, Tid tid) {
  for (const uid_t uid : {movers.opener, movers.writer}) {
    if (uid == 0 || uid == owner.real_uid || uid == owner.saved_uid) continue;
    return Fail(EACCES, "task {} is not of uid {}", tid.value, uid);
  }
  return {};
}

// The threads of a process may have different owners: one that has taken a user's uid for a while
// does not hand him the process, which can be killed and frozen only whole. The leader must be his.
Result<void> CheckOwners(const ControlContext& context, const TaskHandle& task,
                         const Movers& movers, Tid tid) {
  if (movers.may_all()) return {};
  const auto owner = TRY(task.owner());
  TRY(CheckOwner(owner, movers, tid));
  const Tid leader{owner.process.value};
  if (leader == tid) return {};
  return CheckOwner(TRY(TRY(context.machine.OpenTask(leader))->owner()), movers, leader);
}

Result<void> CheckMayMove(const ControlContext& context, const TaskHandle& task,
                          const Movers& movers, Tid tid) {
  if (context.dialect.bound_kthreads_stay && task.is_bound_kthread()) {
    return Fail(EINVAL, "kernel thread {} stays where it is", tid.value);
  }
  return CheckOwners(context, task, movers, tid);
}

// The tid may be another task's by the time of the move. So the task is held from before it is
// judged, all that is read about it is read before the tree is locked, and once it is moved, before
// anybody can see that, one look tells whether it is there still. That look cannot be made
// earlier or later: docs/concurrency.md, 9.7.
Result<void> AttachHeld(const ControlContext& context, const Movers& movers, Named named,
                        const Moved& what) {
  const bool exiting_is_no_error = context.dialect.exiting_is_no_error;
  const auto task = TRY(context.machine.OpenTask(named.tid));
  if (auto may = CheckMayMove(context, *task, movers, named.tid); !may) {
    // A zombie still has an owner: where it is no task any more, ESRCH comes before EACCES (6.5).
    if (!exiting_is_no_error) TRY((context.registry.*what.live)(named.tid));
    return may;
  }
  auto moved = (context.registry.*what.attach)(context.cgroup, named.tid,
                                               [&] { return task->StillThere(); });
  const bool exited = !moved && moved.error().code == ESRCH && task->StillThere();
  if (exited && exiting_is_no_error) return {};
  return moved;
}

Result<void> WriteTask(const ControlContext& context, const Caller& caller, std::string_view bytes,
                       const Moved& what) {
  const Dialect& dialect = context.dialect;
  const auto named = TRY(ReadName(context, caller, bytes));
  const Movers movers = MoversOf(context, caller, named);
  // Root's writes ask nothing about the task, so it is not held. This is the usual case.
  if (movers.may_all() && !dialect.bound_kthreads_stay && !dialect.exiting_is_no_error) {
    return (context.registry.*what.attach)(context.cgroup, named.tid, {});
  }
  return AttachHeld(context, movers, named, what);
}

}  // namespace

Result<TaskNumbers> ListTasks(const ControlContext& context, const PidView* view) {
  return Numbered(view, TRY(context.registry.Tasks(context.cgroup)));
}

Result<TaskNumbers> ListProcesses(const ControlContext& context, const PidView* view) {
  return Numbered(view, TRY(context.registry.Processes(context.cgroup)));
}

Result<void> WriteTasks(const ControlContext& context, const Caller& caller,
                        std::string_view bytes) {
  return WriteTask(context, caller, bytes, kTask);
}

Result<void> WriteProcesses(const ControlContext& context, const Caller& caller,
                            std::string_view bytes) {
  return WriteTask(context, caller, bytes, kWholeProcess);
}

}  // namespace corral
