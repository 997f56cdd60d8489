// Persistence, the way back: a tree from the rows of a journal.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "core/core.h"
#include "core/persistence.h"

namespace corral {
namespace {

Result<void> CheckComplete(const RowReader& row) {
  if (row.good()) return {};
  return Fail(EBADMSG, "it has too few or too many bytes");
}

}  // namespace

Result<void> Persistence::TakeOver(Journal& journal, DialectNames dialects) {
  dialects_ = std::move(dialects);
  journal_ = &journal;
  auto read = journal.ForEach([&](std::string_view key, std::string_view value)
                                  REQUIRES(the_tree) { return TakeRow(key, value); });
  if (!read) {  // what is here is of no use, and must not be written
    journal_ = nullptr;
    return read;
  }
  core_.notifications.ForgetAllUnlessOwed();
  kept_meta_ = RowOfMeta();
  TakeStock();
  return {};
}

Result<void> Persistence::TakeRow(std::string_view key, std::string_view value) {
  std::uint64_t id = 0;
  RowReader number(key.empty() ? key : key.substr(1));
  number.Number(id);
  RowReader row(value);
  const auto take = [&]() REQUIRES(the_tree) -> Result<void> {
    switch (number.good() ? RowKind{key.front()} : RowKind{}) {
      case RowKind::kMeta: return TakeMeta(row);
      case RowKind::kHierarchy:
        return TakeHierarchy(HierarchyId{static_cast<std::uint32_t>(id)}, row);
      case RowKind::kCgroup: return TakeCgroup(CgroupId{id}, row);
      case RowKind::kSet: return TakeSet(CssSetId{static_cast<std::uint32_t>(id)}, row);
      case RowKind::kNotification: return TakeNotification(id, row);
      case RowKind::kLastPath: core_.notifications.TakeOverLastPath(CgroupId{id}, value); return {};
      case RowKind::kAttributes: return TakeAttributes(CgroupId{id}, row);
    }
    return Fail(EBADMSG, "its key is unknown");
  };
  auto taken = take();
  if (taken) return taken;
  return Fail(taken.error().code, "row {:?}: {}", key, taken.error().message);
}

Result<void> Persistence::TakeMeta(RowReader& row) {
  MetaRow meta;
  MetaFields(row, meta);
  if (meta.format != kRowFormat) {
    return Fail(EBADMSG, "the store's rows are of format {}, this program's of format {}",
                meta.format, kRowFormat);
  }
  TRY(CheckComplete(row));
  core_.tree.next_ids() = {.cgroup = meta.cgroup, .hierarchy = meta.hierarchy};
  core_.notifications.next_number() = meta.notification;
  return {};
}

Result<void> Persistence::TakeHierarchy(HierarchyId id, RowReader& row) {
  auto made = std::make_unique<Hierarchy>();
  Hierarchy& hierarchy = *made;
  BesideHierarchy beside;
  HierarchyFields(row, hierarchy, beside);
  TRY(CheckComplete(row));
  hierarchy.id = id;
  hierarchy.cpu_at_start = Earlier(hierarchy.cpu_at_start, core_.cpu_ledger.OfMachine());
  hierarchy.root.hierarchy = &hierarchy;
  hierarchy.root.shown.populated_self = true;
  if (!beside.dialect.empty()) {
    hierarchy.dialect = dialects_.find(beside.dialect);
    if (!hierarchy.dialect) return Fail(EBADMSG, "no dialect {:?}", beside.dialect);
  }
  if (beside.ended) {
    core_.notifications.TakeOverEnded(std::move(made));
    return {};
  }
  hierarchy.subsystems = TRY(FindSubsystems(beside.subsystems, hierarchy));
  TRY(core_.subsystems.Bind(hierarchy.subsystems, id, hierarchy.root.id));
  hierarchy.root.css = core_.subsystems.Roots(hierarchy.subsystems);
  core_.tree.Insert(std::move(made));
  return {};
}

Result<SubsystemSet> Persistence::FindSubsystems(const std::string& names, const Hierarchy& of) {
  SubsystemSet all = 0;
  for (std::size_t begin = 0; begin < names.size();) {
    const std::size_t end = std::min(names.find(',', begin), names.size());
    const std::string name = names.substr(begin, end - begin);
    const auto subsystem = core_.subsystems.Find(name);
    begin = end + 1;
    if (!subsystem) {
      return Fail(ENODEV,
                  "hierarchy '{}' is bound to subsystem '{}', which is not here; start "
                  "corrald with the plug-in that has it (--plugin)",
                  of.name, name);
    }
    all |= SubsystemSet{1} << *subsystem;
  }
  return all;
}

// A root is in its hierarchy already. Parents have lower ids than their children, so they are
// there.
Result<void> Persistence::TakeCgroup(CgroupId id, RowReader& row) {
  CgroupPlace place;
  CgroupPlaceFields(row, place);
  Hierarchy* const hierarchy = core_.notifications.FindOrEnded(place.hierarchy);
  if (!hierarchy) {
    return Fail(EBADMSG, "it is in hierarchy {}, which is not there", place.hierarchy.value);
  }
  const bool is_root = hierarchy->root.id == id;
  auto made = std::make_unique<Cgroup>();
  Cgroup& cgroup = is_root ? hierarchy->root : *made;
  bool departed = false;
  CgroupFields(row, cgroup, departed);
  TRY(CheckComplete(row));
  cgroup.id = id;
  cgroup.hierarchy = hierarchy;
  if (cgroup.release.settling) core_.releases.TakeOver(id);
  if (is_root) return {};
  if (departed) {
    cgroup.release.settling = true;
    core_.notifications.TakeOverDeparted(std::move(made));
    return {};
  }
  return TakeChild(std::move(made), place.parent);
}

Result<void> Persistence::TakeChild(std::unique_ptr<Cgroup> cgroup, CgroupId parent_id) {
  const auto found = core_.tree.Find(parent_id, EBADMSG);
  if (!found || (*found)->hierarchy != cgroup->hierarchy ||
      (*found)->children.contains(cgroup->name)) {
    return Fail(EBADMSG, "it cannot be in group {}", parent_id.value);
  }
  Cgroup& parent = **found;
  cgroup->css = TRY(core_.subsystems.Create(parent.css, cgroup->id, cgroup->hierarchy->css_inherit,
                                            parent.clone_children));
  core_.tree.Insert(parent, std::move(cgroup));
  return {};
}

// Every set is in use until it was looked at.
Result<void> Persistence::TakeSet(CssSetId set, RowReader& row) {
  SetRow its;
  SetFields(row, its);
  TRY(CheckComplete(row));
  SetTuple tuple;
  for (const SetRow::Link& link : its.links) {
    tuple.push_back({link.hierarchy, link.cgroup});
    if (!its.linked) continue;
    Cgroup& cgroup = *TRY(core_.tree.Find(link.cgroup, EBADMSG));
    cgroup.release.judged[set] = link.judged;
    cgroup.release.in_use.insert(set);
    if (core_.tracker.Count(set).count != 0) cgroup.shown.populated_self = true;
  }
  core_.cpu_ledger.TakeOver(set, its.cpu_base, std::move(its.payees));
  TRY(core_.sets.TakeOver(set, tuple, its.linked));
  if (its.linked) return {};
  for (const CgroupId id : its.waiting) {
    if (Cgroup* const cgroup = core_.notifications.FindOrDeparted(id)) cgroup->ghosts.insert(set);
  }
  core_.leaving_sets.TakeOver(set, std::move(its.waiting));
  return {};
}

Result<void> Persistence::TakeAttributes(CgroupId id, RowReader& row) {
  const auto cgroup = core_.tree.Find(id, ENOENT);
  if (!cgroup) return {};  // it is gone
  Attributes::Fields(row, (*cgroup)->attributes);
  return CheckComplete(row);
}

Result<void> Persistence::TakeNotification(std::uint64_t number, RowReader& row) {
  Waiting waiting;
  NotificationFields(row, waiting);
  TRY(CheckComplete(row));
  waiting.number = number;
  return core_.notifications.TakeOver(std::move(waiting));
}

// All rows are read: what is derived from them, and what happened while nobody looked.
void Persistence::TakeStock() {
  core_.sets.TakenOver();
  std::vector<Cgroup*> all;
  for (const auto& [id, cgroup] : core_.tree.cgroups()) all.push_back(cgroup);
  std::sort(all.begin(), all.end(), [](auto* a, auto* b) { return a->id > b->id; });
  for (Cgroup* const cgroup : all) {  // children before their parents
    if (cgroup->parent && cgroup->populated()) ++cgroup->parent->shown.populated_children;
  }
  for (Cgroup* const cgroup : all) {
    core_.releases.Judge(*cgroup);
    // Told as released, and the looker died before it removed it.
    const bool idle = !cgroup->populated() && !cgroup->release.settling && cgroup->children.empty();
    if (cgroup->auto_remove && cgroup->shown.releases != 0 && idle) {
      core_.events.Emit(Event::Kind::kReleased, *cgroup);
    }
  }
}

}  // namespace corral
