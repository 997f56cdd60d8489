#include "core/persistence.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "base/log.h"
#include "core/core.h"

namespace corral {
namespace {

template <typename T>
const std::vector<T>& Once(std::vector<T>& all) {
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace

// ---- rows

std::string Persistence::RowOfMeta() const {
  const CgroupTree::NextIds& next = core_.tree.next_ids();
  const MetaRow meta{.cgroup = next.cgroup,
                     .hierarchy = next.hierarchy,
                     .notification = core_.notifications.next_number()};
  RowWriter row;
  MetaFields(row, meta);
  return row.Take();
}

Persistence::Row Persistence::RowOf(HierarchyId id) const {
  const Hierarchy* const hierarchy = core_.notifications.FindOrEnded(id);
  if (!hierarchy) return std::nullopt;
  const BesideHierarchy beside{
      .subsystems = core_.subsystems.NamesOf(hierarchy->subsystems),
      .dialect = hierarchy->dialect ? dialects_.name_of(*hierarchy->dialect) : std::string(),
      .ended = !core_.tree.hierarchies().contains(id)};
  RowWriter row;
  HierarchyFields(row, *hierarchy, beside);
  return row.Take();
}

Persistence::Row Persistence::RowOf(CgroupId id) const {
  const Cgroup* const cgroup = core_.notifications.FindOrDeparted(id);
  if (!cgroup) return std::nullopt;
  const CgroupPlace place{.hierarchy = cgroup->hierarchy->id,
                          .parent = cgroup->parent ? cgroup->parent->id : CgroupId{}};
  const bool departed = !core_.tree.cgroups().contains(id);
  RowWriter row;
  CgroupPlaceFields(row, place);
  CgroupFields(row, *cgroup, departed);
  return row.Take();
}

Persistence::Row Persistence::RowOf(CssSetId set) const {
  const SetTuple tuple = core_.sets.TupleOf(set);
  if (tuple.empty()) return std::nullopt;  // it is retired
  const std::vector<CgroupId>* const waiting = core_.leaving_sets.WaitingFor(set);
  SetRow its{.linked = !waiting, .links = {}, .cpu_base = core_.cpu_ledger.BaseOf(set)};
  for (const auto& [hierarchy, id] : tuple) {
    std::uint32_t judged = 0;
    if (!waiting) judged = (*core_.tree.Find(id, ENODEV))->release.judged.at(set);
    its.links.push_back({hierarchy, id, judged});
  }
  if (waiting) {
    its.waiting = *waiting;
    its.payees = core_.cpu_ledger.PayeesOf(set);
  }
  RowWriter row;
  SetFields(row, std::as_const(its));
  return row.Take();
}

Persistence::Row Persistence::RowOfNotification(std::uint64_t number) const {
  const Waiting* const waiting = core_.notifications.FindKept(number);
  if (!waiting) return std::nullopt;
  RowWriter row;
  NotificationFields(row, *waiting);
  return row.Take();
}

Persistence::Row Persistence::RowOfLastPath(CgroupId id) const {
  const std::string* const path = core_.notifications.LastPathOf(id);
  return path ? Row(*path) : std::nullopt;
}

Persistence::Row Persistence::RowOfAttributes(CgroupId id) const {
  const auto cgroup = core_.tree.Find(id, ENOENT);
  if (!cgroup) return std::nullopt;
  RowWriter row;
  Attributes::Fields(row, std::as_const((*cgroup)->attributes));
  return row.Take();
}

// ---- writing

Result<void> Persistence::Commit() {
  if (!journal_ || marked_.empty()) return {};
  std::vector<Journal::Change> changes;
  const auto put = [&](RowKind kind, std::uint64_t number, Row row) {
    changes.push_back({RowKey(kind, number), std::move(row)});
  };
  std::string meta = RowOfMeta();
  if (meta != kept_meta_) put(RowKind::kMeta, 0, meta);
  for (const HierarchyId id : Once(marked_.hierarchies)) {
    put(RowKind::kHierarchy, id.value, RowOf(id));
  }
  for (const CgroupId id : Once(marked_.cgroups)) {
    put(RowKind::kCgroup, id.value, RowOf(id));
  }
  for (const CssSetId set : Once(marked_.sets)) put(RowKind::kSet, set.value, RowOf(set));
  for (const std::uint64_t number : Once(marked_.notifications)) {
    put(RowKind::kNotification, number, RowOfNotification(number));
  }
  for (const CgroupId id : Once(marked_.last_paths)) {
    put(RowKind::kLastPath, id.value, RowOfLastPath(id));
  }
  for (const CgroupId id : Once(marked_.attributes)) {
    put(RowKind::kAttributes, id.value, RowOfAttributes(id));
  }
  TRY(journal_->Commit(changes));
  kept_meta_ = std::move(meta);
  marked_ = {};
  return {};
}

void Persistence::End() {
  if (auto kept = Commit(); kept) {
    behind_ = false;
  } else if (!std::exchange(behind_, true)) {
    log::Error("changes cannot be kept, and would be lost with a crash: {}", kept.error().message);
  }
}

}  // namespace corral
