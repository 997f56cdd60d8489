// The files every cgroup has (spec 4.6, 6 to 9, 10.5), as rows of one table.
#include <fmt/format.h>

#include <cerrno>
#include <iterator>

#include "control/control_file.h"
#include "control/kill.h"
#include "control/parse.h"

namespace corral {
namespace {

// What `fn` makes of the value; an error stays one.
template <typename T, typename Fn>
auto Map(const Result<T>& result, Fn fn) -> Result<decltype(fn(*result))> {
  if (!result) return Fail(result.error());
  return fn(*result);
}

template <typename Id>
std::string Lines(const std::vector<Id>& ids) {
  fmt::memory_buffer text;
  for (const Id id : ids) fmt::format_to(std::back_inserter(text), "{}\n", id.value);
  return fmt::to_string(text);
}

std::string FlagLine(bool flag) { return flag ? "1\n" : "0\n"; }

// ---- tasks, cgroup.procs

Result<std::string> ReadTasks(const ControlContext& context) {
  return Map(context.registry.Tasks(context.cgroup), Lines<Tid>);
}

Result<std::string> ReadProcesses(const ControlContext& context) {
  return Map(context.registry.Processes(context.cgroup), Lines<Tgid>);
}

// Spec 8.2: the caller's uid is the target's real or saved one.
Result<void> CheckOwner(const TaskHandle& task, const Caller& caller, Tid tid) {
  auto owner = task.owner();
  if (!owner) return Fail(owner.error());
  if (caller.uid == owner->real_uid || caller.uid == owner->saved_uid) return {};
  return Fail(EACCES, "task {} is not of uid {}", tid.value, caller.uid);
}

using Attach = Result<void> (Registry::*)(CgroupId, Tid, const AttachGuard&);

// A tid may be recycled between the look at its owner and the move. So the task is held
// from before that look, and asked once moved whether it is there still.
Result<void> AttachOwned(const ControlContext& context, const Caller& caller, Tid tid,
                         Attach attach) {
  const auto task = context.host.OpenTask(tid);
  if (!task) return Fail(task.error());
  // A zombie still has an owner: ESRCH comes before EACCES (spec 6.5).
  if (auto place = context.registry.tracker().Describe(tid); !place) return Fail(place.error());
  if (auto allowed = CheckOwner(**task, caller, tid); !allowed) return allowed;
  return (context.registry.*attach)(context.cgroup, tid, [&] { return (*task)->StillThere(); });
}

Result<void> WriteTask(const ControlContext& context, const Caller& caller, std::string_view bytes,
                       Attach attach) {
  const auto pid = ParsePid(bytes);
  if (!pid) return Fail(pid.error());
  const bool self = *pid == 0;
  const Tid tid = self ? caller.tid : Tid{*pid};
  // A caller whose pid namespace is not below ours has no number here.
  if (tid.value == 0) return Fail(ESRCH, "the caller is not visible from here");
  if (self || caller.uid == 0) return (context.registry.*attach)(context.cgroup, tid, {});
  return AttachOwned(context, caller, tid, attach);
}

Result<void> WriteTasks(const ControlContext& context, const Caller& caller,
                        std::string_view bytes) {
  return WriteTask(context, caller, bytes, &Registry::Attach);
}

Result<void> WriteProcesses(const ControlContext& context, const Caller& caller,
                            std::string_view bytes) {
  return WriteTask(context, caller, bytes, &Registry::AttachProcess);
}

// ---- notify_on_release, releasable

Result<std::string> ReadNotify(const ControlContext& context) {
  return Map(context.registry.NotifyOnRelease(context.cgroup), FlagLine);
}

Result<void> WriteNotify(const ControlContext& context, const Caller&, std::string_view bytes) {
  return context.registry.SetNotifyOnRelease(context.cgroup, ParseFlag(bytes));
}

Result<std::string> ReadReleasable(const ControlContext& context) {
  return Map(context.registry.Releasable(context.cgroup), FlagLine);
}

// ---- release_agent

Result<HierarchyId> HierarchyOf(const ControlContext& context) {
  const auto info = context.registry.Info(context.cgroup);
  if (!info) return Fail(ENODEV, "cgroup {} is gone", context.cgroup.value);
  return info->hierarchy;
}

Result<std::string> ReadAgent(const ControlContext& context) {
  const auto hierarchy = HierarchyOf(context);
  if (!hierarchy) return Fail(hierarchy.error());
  return Map(context.registry.ReleaseAgent(*hierarchy),
             [](const std::string& agent) { return agent + "\n"; });
}

Result<void> WriteAgent(const ControlContext& context, const Caller& caller,
                        std::string_view bytes) {
  if (!context.host.IsSysAdmin(caller.tid)) {
    return Fail(EPERM, "only CAP_SYS_ADMIN sets a release agent");
  }
  if (bytes.ends_with('\n')) bytes.remove_suffix(1);
  if (bytes.size() > context.dialect.max_agent) {
    return Fail(ENOSPC, "a release agent's path of {} bytes", bytes.size());
  }
  const std::string agent(bytes.substr(0, bytes.find('\0')));
  if (!agent.empty()) {
    if (auto safe = context.host.CheckAgent(agent); !safe) return safe;
  }
  const auto hierarchy = HierarchyOf(context);
  if (!hierarchy) return Fail(hierarchy.error());
  return context.registry.SetReleaseAgent(*hierarchy, agent);
}

// ---- extensions (spec 4.6)

Result<std::string> ReadEvents(const ControlContext& context) {
  return Map(context.registry.Events(context.cgroup), [](const EventsInfo& events) {
    return fmt::format("populated {}\nreleases {}\n", events.populated ? 1 : 0, events.releases);
  });
}

Result<void> WriteKill(const ControlContext& context, const Caller&, std::string_view bytes) {
  if (Trim(bytes) != "1") return Fail(EINVAL, "only 1 may be written to cgroup.kill");
  const auto killed = KillSubtree(context.registry, context.host, context.cgroup);
  if (!killed) return Fail(killed.error());
  return {};
}

// Slots of inode numbers: add at the end only.
constexpr ControlFile kFiles[] = {
    {.name = "tasks",
     .snapshot = Snapshot::kAtOpen,
     .length = Length::kPerTask,
     .read = ReadTasks,
     .write = WriteTasks},
    {.name = "cgroup.procs",
     .snapshot = Snapshot::kAtOpen,
     .length = Length::kPerTask,
     .read = ReadProcesses,
     .write = WriteProcesses},
    {.name = "notify_on_release", .read = ReadNotify, .write = WriteNotify},
    {.name = "releasable", .read = ReadReleasable},
    {.name = "release_agent", .scope = Scope::kTopOnly, .read = ReadAgent, .write = WriteAgent},
    {.name = "cgroup.events", .pollable = true, .read = ReadEvents},
    // Not in the top cgroup: one write there would kill the machine.
    {.name = "cgroup.kill", .scope = Scope::kNotTop, .write = WriteKill},
};

}  // namespace

std::span<const ControlFile> ControlFiles() { return kFiles; }

bool InScope(const ControlFile& file, bool is_root) {
  switch (file.scope) {
    case Scope::kEveryCgroup: return true;
    case Scope::kTopOnly: return is_root;
    case Scope::kNotTop: return !is_root;
  }
  return false;
}

mode_t ModeOf(const ControlFile& file, const Dialect& dialect) {
  if (file.mode != 0) return file.mode;
  return file.write ? 0644 : dialect.read_only_mode;
}

}  // namespace corral
