#include "core/css_set_table.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/errors.h"

namespace corral {

SetTuple WithPlace(SetTuple tuple, HierarchyId hierarchy, CgroupId cgroup) {
  const auto at =
      std::lower_bound(tuple.begin(), tuple.end(), hierarchy,
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

CssSetTable::CssSetTable(Tracker& tracker, CssOfTuple css_of)
    : tracker_(tracker), css_of_(std::move(css_of)), next_fresh_(kInitialSet.value + 1) {
  MutexLock lock(set_mu_);
  by_tuple_.emplace(SetTuple{}, kInitialSet);
  tuples_.emplace(kInitialSet, SetTuple{});
}

// Whichever way a set comes: it has its css from then on.
void CssSetTable::AddLocked(CssSetId set, const SetTuple& tuple, bool linked) {
  if (linked) by_tuple_.emplace(tuple, set);
  tuples_.emplace(set, tuple);
  if (CssList css = css_of_(tuple); !css.empty()) css_.emplace(set, std::move(css));
}

Result<CssSetTable::Interned> CssSetTable::Intern(const SetTuple& tuple) {
  MutexLock lock(set_mu_);
  if (const auto known = by_tuple_.find(tuple); known != by_tuple_.end()) {
    return Interned{.set = known->second};
  }
  CssSetId set{next_fresh_};
  if (!free_.empty()) set = free_.back();
  const SetCount created = TRY(tracker_.CreateSet(set));  // ENOSPC: beyond the table
  if (!free_.empty()) {
    free_.pop_back();
  } else {
    ++next_fresh_;
  }
  AddLocked(set, tuple, /*linked=*/true);
  return Interned{.set = set, .made = true, .leaves = created.leaves};
}

CssList CssSetTable::CssOf(CssSetId set) const {
  MutexLock lock(set_mu_);
  const auto css = css_.find(set);
  return css == css_.end() ? CssList() : css->second;
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

void CssSetTable::ForEachTaskIn(HierarchyId hierarchy, const Wanted& wanted,
                                const std::function<void(Tid, Place)>& fn) const {
  MutexLock lock(set_mu_);
  choices_.resize(next_fresh_);
  if (++pass_ == 0) {  // went round: what is known is of no pass any more
    std::fill(choices_.begin(), choices_.end(), Choice{});
    pass_ = 1;
  }
  tracker_.ForEachTask([&](Tid tid, Place place) REQUIRES(set_mu_) {
    if (place.set.value >= choices_.size()) return;
    Choice& choice = choices_[place.set.value];
    if (choice.pass != pass_) {
      const auto tuple = tuples_.find(place.set);
      choice = {
          .pass = pass_,
          .wanted = tuple != tuples_.end() && wanted(corral::PlaceIn(tuple->second, hierarchy))};
    }
    if (choice.wanted) fn(tid, place);
  });
}

std::vector<Tid> CssSetTable::TasksAt(HierarchyId hierarchy, CgroupId place) const {
  std::vector<Tid> tids;
  ForEachTaskIn(
      hierarchy, [&](CgroupId at) { return at == place; },
      [&](Tid tid, Place) { tids.push_back(tid); });
  return tids;
}

void CssSetTable::Unlink(CssSetId set) {
  MutexLock lock(set_mu_);
  const auto known = tuples_.find(set);
  CORRAL_CHECK(known != tuples_.end() && set != kInitialSet);
  by_tuple_.erase(known->second);
}

void CssSetTable::Retire(CssSetId set) {
  MutexLock lock(set_mu_);
  CORRAL_CHECK(tuples_.erase(set) == 1);
  css_.erase(set);
  tracker_.RetireSet(set);
  free_.push_back(set);
}

Result<void> CssSetTable::TakeOver(CssSetId set, const SetTuple& tuple, bool linked) {
  MutexLock lock(set_mu_);
  const bool sorted = std::is_sorted(tuple.begin(), tuple.end(), [](const auto& a, const auto& b) {
    return a.hierarchy < b.hierarchy;
  });
  if (set <= kInitialSet || tuple.empty() || !sorted || tuples_.contains(set) ||
      (linked && by_tuple_.contains(tuple))) {
    return Fail(EBADMSG, "css_set {} cannot have this tuple", set.value);
  }
  TRY(tracker_.CreateSet(set));
  AddLocked(set, tuple, linked);
  next_fresh_ = std::max(next_fresh_, set.value + 1);
  return {};
}

void CssSetTable::TakenOver() {
  MutexLock lock(set_mu_);
  for (std::uint32_t set = next_fresh_ - 1; set > kInitialSet.value; --set) {
    if (!tuples_.contains(CssSetId{set})) free_.push_back(CssSetId{set});
  }
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
