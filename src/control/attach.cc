#include "control/attach.h"

#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "control/parse.h"

namespace corral {
namespace {

// As the reader's pid namespace numbers them; those it does not see are left out (spec 7.5).
template <typename Id>
Result<TaskNumbers> Numbered(const PidView* view, const Result<std::vector<Id>>& ids) {
  if (!ids) return Fail(ids.error());
  TaskNumbers numbers;
  numbers.reserve(ids->size());
  if (!view) {
    for (const Id id : *ids) numbers.push_back(id.value);
    return numbers;
  }
  for (const Id id : *ids) {
    if (const auto seen = view->Seen(Tid{id.value})) numbers.push_back(*seen);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

using Attach = Result<void> (Registry::*)(CgroupId, Tid, const AttachGuard&);

// One write's task, and whether `0` named it.
struct Named {
  Tid tid;
  bool self;
};

Result<Named> ReadName(const ControlContext& context, const Caller& caller,
                       std::string_view bytes) {
  const auto pid = ParsePid(bytes, context.dialect.numbers);
  if (!pid) return Fail(pid.error());
  // A caller whose pid namespace is not below ours has no number here.
  if (caller.tid.value == 0) return Fail(ESRCH, "the caller is not visible from here");
  if (*pid == 0) return Named{caller.tid, true};
  const auto view = context.host.PidViewOf(caller.tid);
  if (!view) return Named{Tid{*pid}, false};
  const auto tid = TRY(view->HostTid(*pid));
  return Named{tid, false};
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
Result<void> CheckOwner(const TaskHandle& task, const Movers& movers, Tid tid) {
  if (movers.may_all()) return {};
  auto owner = TRY(task.owner());
  for (const uid_t uid : {movers.opener, movers.writer}) {
    if (uid == 0 || uid == owner.real_uid || uid == owner.saved_uid) continue;
    return Fail(EACCES, "task {} is not of uid {}", tid.value, uid);
  }
  return {};
}

// The threads of a process may have different owners: one that has taken a user's uid for a while
// does not hand him the process, which can be killed and frozen only whole. The leader must be his.
Result<void> CheckLeader(const ControlContext& context, const TaskHandle& task,
                         const Movers& movers, Tid tid) {
  const auto process = TRY(task.process());
  if (process.value == tid.value) return {};
  const auto leader = context.host.OpenTask(Tid{process.value});
  if (!leader) return Fail(leader.error());
  return CheckOwner(**leader, movers, Tid{process.value});
}

// A tid may be recycled between the look at its owner and the move. So the task is held
// from before that look, and asked once moved whether it is there still.
Result<void> AttachHeld(const ControlContext& context, const Movers& movers, Named named,
                        Attach attach) {
  const auto task = context.host.OpenTask(named.tid);
  if (!task) return Fail(task.error());
  // A zombie still has an owner: where it is no task any more, ESRCH comes before EACCES (6.5).
  Registry& registry = context.registry;
  const bool live = attach == &Registry::AttachProcess
                        ? registry.ProcessOf(named.tid).has_value()
                        : registry.tracker().Describe(named.tid).has_value();
  if (!live && !context.dialect.exiting_is_no_error) {
    return Fail(ESRCH, "task {} has exited", named.tid.value);
  }
  if (context.dialect.bound_kthreads_stay && (*task)->is_bound_kthread()) {
    return Fail(EINVAL, "kernel thread {} stays where it is", named.tid.value);
  }
  if (auto allowed = CheckOwner(**task, movers, named.tid); !allowed) return allowed;
  if (!movers.may_all()) {
    if (auto allowed = CheckLeader(context, **task, movers, named.tid); !allowed) return allowed;
  }
  auto moved =
      (context.registry.*attach)(context.cgroup, named.tid, [&] { return (*task)->StillThere(); });
  const bool exited = !moved && moved.error().code == ESRCH && (*task)->StillThere();
  if (exited && context.dialect.exiting_is_no_error) return {};
  return moved;
}

Result<void> WriteTask(const ControlContext& context, const Caller& caller, std::string_view bytes,
                       Attach attach) {
  const Dialect& dialect = context.dialect;
  const auto named = TRY(ReadName(context, caller, bytes));
  const Movers movers = MoversOf(context, caller, named);
  // Whom nothing else is asked about is not held: the usual case, in one step.
  if (movers.may_all() && !dialect.bound_kthreads_stay && !dialect.exiting_is_no_error) {
    return (context.registry.*attach)(context.cgroup, named.tid, {});
  }
  return AttachHeld(context, movers, named, attach);
}

}  // namespace

Result<TaskNumbers> ListTasks(const ControlContext& context, const PidView* view) {
  return Numbered(view, context.registry.Tasks(context.cgroup));
}

Result<TaskNumbers> ListProcesses(const ControlContext& context, const PidView* view) {
  return Numbered(view, context.registry.Processes(context.cgroup));
}

Result<void> WriteTasks(const ControlContext& context, const Caller& caller,
                        std::string_view bytes) {
  return WriteTask(context, caller, bytes, &Registry::Attach);
}

Result<void> WriteProcesses(const ControlContext& context, const Caller& caller,
                            std::string_view bytes) {
  return WriteTask(context, caller, bytes, &Registry::AttachProcess);
}

}  // namespace corral
