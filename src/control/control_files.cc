// The files every cgroup has (spec 4.6, 6 to 9, 10.5), as rows of one table.
#include <fmt/format.h>

#include <cerrno>
#include <iterator>

#include "control/attach.h"
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

std::string FlagLine(bool flag) { return flag ? "1\n" : "0\n"; }

// ---- notify_on_release, releasable

Result<std::string> ReadNotify(const ControlContext& context) {
  return Map(context.registry.NotifyOnRelease(context.cgroup), FlagLine);
}

Result<void> WriteNotify(const ControlContext& context, const Caller&, std::string_view bytes) {
  const auto flag = ParseFlag(bytes, context.dialect.numbers);
  if (!flag) return Fail(flag.error());
  return context.registry.SetNotifyOnRelease(context.cgroup, *flag);
}

Result<std::string> ReadReleasable(const ControlContext& context) {
  return Map(context.registry.Releasable(context.cgroup), FlagLine);
}

// ---- cgroup.clone_children, cgroup.sane_behavior

Result<std::string> ReadClone(const ControlContext& context) {
  return Map(context.registry.CloneChildren(context.cgroup), FlagLine);
}

Result<void> WriteClone(const ControlContext& context, const Caller&, std::string_view bytes) {
  const auto flag = ParseFlag(bytes, context.dialect.numbers);
  if (!flag) return Fail(flag.error());
  return context.registry.SetCloneChildren(context.cgroup, *flag);
}

Result<std::string> ReadSane(const ControlContext&) { return "0\n"; }

// ---- release_agent

Result<HierarchyId> HierarchyOf(const ControlContext& context) {
  const auto facts = context.registry.Facts(context.cgroup);
  if (!facts) return Fail(ENODEV, "cgroup {} is gone", context.cgroup.value);
  return facts->hierarchy;
}

Result<std::string> ReadAgent(const ControlContext& context) {
  const auto hierarchy = HierarchyOf(context);
  if (!hierarchy) return Fail(hierarchy.error());
  return Map(context.registry.ReleaseAgent(*hierarchy),
             [](const std::string& agent) { return agent + "\n"; });
}

Result<void> WriteAgent(const ControlContext& context, const Caller& caller,
                        std::string_view bytes) {
  const bool allowed = context.dialect.opener_attaches ? context.opener_is_admin
                                                       : context.host.IsSysAdmin(caller.tid);
  if (!allowed) {
    return Fail(EPERM, "only CAP_SYS_ADMIN sets a release agent");
  }
  const auto agent = ParseAgent(bytes, context.dialect.agent_text);
  if (!agent) return Fail(agent.error());
  if (!agent->empty()) {
    if (auto safe = context.host.CheckAgent(*agent); !safe) return safe;
  }
  const auto hierarchy = HierarchyOf(context);
  if (!hierarchy) return Fail(hierarchy.error());
  return context.registry.SetReleaseAgent(*hierarchy, *agent);
}

// ---- extensions (spec 4.6)

Result<std::string> ReadEvents(const ControlContext& context) {
  return Map(context.registry.Events(context.cgroup), [](const EventsInfo& events) {
    return fmt::format("populated {}\nreleases {}\n", events.populated ? 1 : 0, events.releases);
  });
}

// Nothing, rather than EINVAL: so that cp -r and Python's copytree go through a group.
Result<std::string> ReadKill(const ControlContext&) { return std::string(); }

Result<void> WriteKill(const ControlContext& context, const Caller&, std::string_view bytes) {
  if (Trim(bytes) != "1") return Fail(EINVAL, "only 1 may be written to cgroup.kill");
  const auto killed = KillSubtree(context.registry, context.host, context.cgroup);
  if (!killed) return Fail(killed.error());
  return {};
}

// Slots of inode numbers: add at the end only.
constexpr ControlFile kFiles[] = {
    {.name = "tasks", .list = ListTasks, .write = WriteTasks},
    {.name = "cgroup.procs",
     .list = ListProcesses,
     .write = WriteProcesses,
     .dialects = kCorral | kLinux},
    {.name = "notify_on_release", .read = ReadNotify, .write = WriteNotify},
    {.name = "releasable", .read = ReadReleasable, .dialects = kV11 | kCorral},
    {.name = "release_agent",
     .scope = Scope::kTopOnly,
     .read = ReadAgent,
     .write = WriteAgent,
     .dialects = kV11 | kCorral | kLinux,
     .for_admins = true},
    {.name = "cgroup.events", .pollable = true, .read = ReadEvents, .dialects = kCorral},
    // Not in the top cgroup: one write there would kill the machine.
    {.name = "cgroup.kill",
     .scope = Scope::kNotTop,
     .read = ReadKill,
     .write = WriteKill,
     .dialects = kCorral},
    {.name = "cgroup.clone_children", .read = ReadClone, .write = WriteClone, .dialects = kLinux},
    {.name = "cgroup.sane_behavior",
     .scope = Scope::kTopOnly,
     .read = ReadSane,
     .dialects = kLinux},
};

}  // namespace

std::span<const ControlFile> ControlFiles() { return kFiles; }

bool InScope(const ControlFile& file, bool is_root, const Dialect& dialect) {
  if ((file.dialects & dialect.bit) == 0) return false;
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
