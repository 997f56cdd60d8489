// The files every cgroup has (spec 4.6, 6 to 9, 10.5), as rows of one table.
#include <fmt/format.h>

#include <cerrno>
#include <iterator>

#include "base/errors.h"
#include "base/number.h"
#include "control/attach.h"
#include "control/control_file.h"
#include "control/kill.h"
#include "control/parse.h"
#include "core/foreign_calls.h"

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
  const auto flag = TRY(ParseFlag(bytes, context.dialect.numbers));
  return context.registry.SetNotifyOnRelease(context.cgroup, flag);
}

Result<std::string> ReadReleasable(const ControlContext& context) {
  return Map(context.registry.Releasable(context.cgroup), FlagLine);
}

// ---- cgroup.clone_children, cgroup.sane_behavior

Result<std::string> ReadClone(const ControlContext& context) {
  return Map(context.registry.CloneChildren(context.cgroup), FlagLine);
}

Result<void> WriteClone(const ControlContext& context, const Caller&, std::string_view bytes) {
  const auto flag = TRY(ParseFlag(bytes, context.dialect.numbers));
  return context.registry.SetCloneChildren(context.cgroup, flag);
}

Result<std::string> ReadSane(const ControlContext&) { return "0\n"; }

// ---- release_agent

Result<HierarchyId> HierarchyOf(const ControlContext& context) {
  const auto facts = context.registry.Facts(context.cgroup);
  if (!facts) return Fail(ENODEV, "group {} is gone", context.cgroup.value);
  return facts->hierarchy;
}

Result<std::string> ReadAgent(const ControlContext& context) {
  const auto hierarchy = TRY(HierarchyOf(context));
  return Map(context.registry.ReleaseAgent(hierarchy),
             [](const std::string& agent) { return agent + "\n"; });
}

Result<void> WriteAgent(const ControlContext& context, const Caller& caller,
                        std::string_view bytes) {
  const bool allowed = context.opener_may &&
                       (!context.dialect.writer_fits_too || context.machine.IsSysAdmin(caller.tid));
  if (!allowed) return Fail(EPERM, "only CAP_SYS_ADMIN sets a release agent");
  const auto agent = TRY(ParseAgent(bytes, context.dialect.agent_text));
  const auto hierarchy = TRY(HierarchyOf(context));
  if (!agent.empty()) {
    const auto info = context.registry.InfoOf(hierarchy);
    auto safe = context.machine.CheckAgent(agent, info ? info->agent_user : std::string());
    if (!safe) return safe;
  }
  return context.registry.SetReleaseAgent(hierarchy, agent);
}

// ---- extensions (spec 4.6)

Result<std::string> ReadEvents(const ControlContext& context) {
  return Map(context.registry.Events(context.cgroup), [](const EventsInfo& events) {
    return fmt::format("populated {}\nreleases {}\n", events.populated ? 1 : 0, events.releases);
  });
}

// Nothing, rather than EINVAL: so that cp -r and Python's copytree go through a group.
Result<std::string> ReadKill(const ControlContext&) { return std::string(); }

// Not the opener's right over each process: a group is ended whole, or it is not ended. Who is in
// it was born there, or was moved there by somebody with the right to (spec 8.2).
Result<void> WriteKill(const ControlContext& context, const Caller&, std::string_view bytes) {
  if (Trim(bytes) != "1") return Fail(EINVAL, "only 1 may be written to cgroup.kill");
  TRY(KillSubtree(context.registry, context.machine, context.cgroup));
  return {};
}

template <std::uint64_t Quotas::*which>
Result<std::string> ReadQuota(const ControlContext& context) {
  return Map(context.registry.QuotasOf(context.cgroup), [](const Quotas& quotas) {
    return quotas.*which == kNoQuota ? std::string("max\n") : fmt::format("{}\n", quotas.*which);
  });
}

template <std::uint64_t Quotas::*which>
Result<void> WriteQuota(const ControlContext& context, const Caller&, std::string_view bytes) {
  if (!context.opener_may) {
    return Fail(EACCES, "a quota is set by who may write in the directory above");
  }
  const auto most = TRY(ParseQuota(bytes));
  return context.registry.SetQuota(context.cgroup, which, most);
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
     .writers = ControlFile::For::kAdmins},
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
    {.name = "cgroup.max.depth",
     .scope = Scope::kNotTop,
     .read = ReadQuota<&Quotas::depth>,
     .write = WriteQuota<&Quotas::depth>,
     .dialects = kCorral,
     .writers = ControlFile::For::kParents},
    {.name = "cgroup.max.descendants",
     .scope = Scope::kNotTop,
     .read = ReadQuota<&Quotas::descendants>,
     .write = WriteQuota<&Quotas::descendants>,
     .dialects = kCorral,
     .writers = ControlFile::For::kParents},
};

// ---- what subsystems add (spec 13.4)

Result<std::string> ReadAdded(const ControlContext& context) {
  if (context.use->css->removed()) return Fail(ENODEV, "its group is gone");
  return HandleAdded(context, [&]() -> Result<std::string> {
    if (context.file->read) return context.file->read(*context.use);
    return Map(context.file->number(*context.use),
               [](std::uint64_t number) { return fmt::format("{}\n", number); });
  });
}

Result<void> WriteAdded(const ControlContext& context, const Caller&, std::string_view bytes) {
  return HandleAdded(context, [&] { return context.file->write(*context.use, bytes); });
}

}  // namespace

ControlFiles::ControlFiles(const Registry& registry) {
  for (const ControlFile& file : kFiles) {
    rows_.push_back({.file = file, .subsystem = {}, .added = {}, .prefixed = {}});
  }
  for (std::size_t i = 0; const auto subsystem = registry.SubsystemAt(i); ++i) {
    for (SubsystemFile& added : FilesOf(*subsystem)) {
      Row& row = rows_.emplace_back();
      row.subsystem = i;
      row.prefixed = fmt::format("{}.{}", subsystem->name(), added.name);
      row.file = {.name = row.prefixed,
                  .scope = added.where,
                  .read = added.read || added.number ? ReadAdded : nullptr,
                  .write = added.write ? WriteAdded : nullptr,
                  .mode = added.mode};
      row.added = std::move(added);
    }
  }
}

std::optional<unsigned> ControlFiles::Find(std::string_view name, const CgroupFacts& facts) const {
  for (unsigned row = 0; row < rows_.size(); ++row) {
    if (NameOf(rows_[row], facts.noprefix) == name && InScope(rows_[row], facts)) return row;
  }
  return std::nullopt;
}

bool InScope(const ControlFiles::Row& row, const CgroupFacts& facts) {
  if ((row.file.dialects & DialectOf(facts.dialect).bit) == 0) return false;
  if (row.subsystem && !Has(facts.subsystems, *row.subsystem)) return false;
  switch (row.file.scope) {
    case Scope::kEverywhere: return true;
    case Scope::kTopOnly: return facts.is_root();
    case Scope::kNotTop: return !facts.is_root();
  }
  return false;
}

std::string_view NameOf(const ControlFiles::Row& row, bool noprefix) {
  return noprefix && row.subsystem ? std::string_view(row.added.name) : row.file.name;
}

mode_t ModeOf(const ControlFile& file, const Dialect& dialect) {
  if (file.mode != 0) return file.mode;
  return file.write ? 0644 : dialect.read_only_mode;
}

}  // namespace corral
