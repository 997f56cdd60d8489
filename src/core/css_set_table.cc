#include "core/css_set_table.h"

#include <algorithm>

#include "base/check.h"

namespace corral {

SetTuple WithPlace(SetTuple tuple, HierarchyId hierarchy, CgroupId cgroup) {
  const auto at = std::lower_bound(
      tuple.begin(), tuple.end(), hierarchy,
      [](const Member& member, HierarchyId id) { return member.hierarchy < id; });
  const bool has = at != tuple.end() && at->hierarchy == hierarchy;
  if (cgroup.value == 0) {
    if (has) tuple.erase(at);
  } else if (has) {
    at->cgroup = cgroup;
  } else {
    tuple.insert(at, {hierarchy, cgroup});
  }
  return tuple;
}

CgroupId PlaceIn(const SetTuple& tuple, HierarchyId hierarchy) {
  for (const Member& member : tuple) {
    if (member.hierarchy == hierarchy) return member.cgroup;
  }
  return {};
}

CssSetTable::CssSetTable(Tracker& tracker)
    : tracker_(tracker), next_fresh_(kInitialSet.value + 1) {
  MutexLock lock(set_mu_);
  by_tuple_.emplace(SetTuple{}, kInitialSet);
  tuples_.emplace(kInitialSet, SetTuple{});
}

Result<CssSetTable::Interned> CssSetTable::Intern(const SetTuple& tuple) {
  MutexLock lock(set_mu_);
  if (const auto known = by_tuple_.find(tuple); known != by_tuple_.end()) {
    return Interned{.set = known->second};
  }
  CssSetId set{next_fresh_};
  if (!free_.empty()) set = free_.back();
  const auto created = tracker_.CreateSet(set);  // ENOSPC: beyond the table
  if (!created) return Fail(created.error());
  if (!free_.empty()) {
    free_.pop_back();
  } else {
    ++next_fresh_;
  }
  by_tuple_.emplace(tuple, set);
  tuples_.emplace(set, tuple);
  for (const Member& member : tuple) links_[member.cgroup].push_back(set);
  return Interned{.set = set, .made = true, .leaves = created->leaves};
}

SetTuple CssSetTable::TupleOf(CssSetId set) const {
  MutexLock lock(set_mu_);
  const auto known = tuples_.find(set);
  return known == tuples_.end() ? SetTuple{} : known->second;
}

CgroupId CssSetTable::PlaceIn(CssSetId set, HierarchyId hierarchy) const {
  MutexLock lock(set_mu_);
  const auto known = tuples_.find(set);
  return known == tuples_.end() ? CgroupId{} : corral::PlaceIn(known->second, hierarchy);
}

std::vector<CssSetId> CssSetTable::SetsOf(CgroupId cgroup) const {
  MutexLock lock(set_mu_);
  const auto links = links_.find(cgroup);
  return links == links_.end() ? std::vector<CssSetId>{} : links->second;
}

std::vector<bool> CssSetTable::SelectLocked(HierarchyId hierarchy,
                                            const std::vector<CgroupId>& cgroups) const {
  std::vector<bool> selected(next_fresh_);
  for (const CgroupId cgroup : cgroups) {
    if (cgroup.value != 0) {
      if (const auto links = links_.find(cgroup); links != links_.end()) {
        for (const CssSetId set : links->second) selected[set.value] = true;
      }
      continue;
    }
    for (const auto& [tuple, set] : by_tuple_) {
      selected[set.value] =
          selected[set.value] || corral::PlaceIn(tuple, hierarchy).value == 0;
    }
  }
  return selected;
}

void CssSetTable::ForEachTaskIn(HierarchyId hierarchy, const std::vector<CgroupId>& cgroups,
                                const std::function<void(Tid, Place)>& fn) const {
  MutexLock lock(set_mu_);
  const std::vector<bool> selected = SelectLocked(hierarchy, cgroups);
  tracker_.ForEachTask([&](Tid tid, Place place) {
    if (place.set.value < selected.size() && selected[place.set.value]) fn(tid, place);
  });
}

void CssSetTable::Unlink(CssSetId set) {
  MutexLock lock(set_mu_);
  const auto known = tuples_.find(set);
  CORRAL_CHECK(known != tuples_.end() && set != kInitialSet);
  by_tuple_.erase(known->second);
  for (const Member& member : known->second) {
    auto links = links_.find(member.cgroup);
    std::erase(links->second, set);
    if (links->second.empty()) links_.erase(links);
  }
}

void CssSetTable::Retire(CssSetId set) {
  MutexLock lock(set_mu_);
  CORRAL_CHECK(tuples_.erase(set) == 1);
  tracker_.RetireSet(set);
  free_.push_back(set);
}

std::size_t CssSetTable::size() const {
  MutexLock lock(set_mu_);
  return by_tuple_.size();
}

std::vector<CssSetId> CssSetTable::All() const {
  MutexLock lock(set_mu_);
  std::vector<CssSetId> all;
  all.reserve(by_tuple_.size());
  for (const auto& [tuple, set] : by_tuple_) all.push_back(set);
  return all;
}

}  // namespace corral
