// CPU time of cgroups: the sums of their css_sets, kept when a set or a cgroup goes.
//
// A css_set's sum only grows. A cgroup has what its sets have run since they were linked to it,
// and `spent`, what sets that are retired had. A set is retired when no dead task owes to it any
// more; until then it pays to those it was unlinked from, and when such a one is removed, to what
// its parent has spent below.
#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "core/registry.h"

namespace corral {

void Registry::UseMeter(CpuMeter* meter) {
  MutexLock lock(tree_mu_);
  meter_ = meter;
}

// ---- when sets and cgroups come and go

void Registry::SetMadeLocked(CssSetId set) {
  if (meter_) cpu_base_[set] = meter_->Charged(set);
}

void Registry::SetRetiredLocked(CssSetId set, const Unlinked& unlinked) {
  if (!meter_) return;
  const auto base = cpu_base_.extract(set);
  const CpuTime ran = meter_->Charged(set) - (base ? base.mapped() : CpuTime{});
  for (const Payee& payee : unlinked.payees) {
    auto cgroup = FindLocked(payee.cgroup, ENODEV);
    if (!cgroup) continue;
    (payee.below ? (*cgroup)->cpu_spent_below : (*cgroup)->cpu_spent) += ran;
    MarkLocked(**cgroup);
  }
}

void Registry::HandCpuTimeUpLocked(const Cgroup& removed) {
  Cgroup& parent = *removed.parent;
  parent.cpu_spent_below += removed.cpu_spent;
  parent.cpu_spent_below += removed.cpu_spent_below;
  MarkLocked(parent);
  // All that pay to it: it was no root, so it awaits each of them.
  for (const CssSetId set : removed.ghosts) {
    for (Payee& payee : unlinked_.at(set).payees) {
      if (payee.cgroup == removed.id) payee = {parent.id, /*below=*/true};
      MarkLocked(set);
    }
  }
}

// ---- reading

CpuTime Registry::RanInLocked(CssSetId set, const CpuReading& now) const {
  const auto sum = now.find(set);
  const auto base = cpu_base_.find(set);
  if (sum == now.end()) return {};
  return sum->second - (base == cpu_base_.end() ? CpuTime{} : base->second);
}

// Its own, but for a root's, whose sets are those of nobody else, and for what unlinked ones pay.
CpuTime Registry::OwnCpuTimeLocked(const Cgroup& cgroup, const CpuReading& now) const {
  CpuTime own = cgroup.cpu_spent;
  for (const auto& [set, leaves] : cgroup.judged) own += RanInLocked(set, now);
  return own;
}

// Parents come before their children, so from the end each sum is complete when it is added to
// its parent's.
CpuTimesById Registry::CpuTimesLocked(const Cgroup& top, const CpuReading& now) const {
  CpuTimesById times;
  std::unordered_map<CgroupId, CpuTimes> paid;  // by sets that are not retired yet; subtree: below
  for (const auto& [set, unlinked] : unlinked_) {
    for (const Payee& payee : unlinked.payees) {
      CpuTimes& to = paid[payee.cgroup];
      (payee.below ? to.subtree : to.own) += RanInLocked(set, now);
    }
  }
  std::vector<const Cgroup*> all{&top};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const auto& [name, child] : all[i]->children) all.push_back(child.get());
  }
  for (std::size_t i = all.size(); i-- > 0;) {
    const Cgroup& cgroup = *all[i];
    CpuTimes& its = times[cgroup.id];  // what its children have, so far
    its.subtree += cgroup.cpu_spent_below;
    const auto its_paid = paid.find(cgroup.id);
    const CpuTimes more = its_paid == paid.end() ? CpuTimes{} : its_paid->second;
    its.subtree += more.subtree;
    if (cgroup.parent) {
      its.own = OwnCpuTimeLocked(cgroup, now);
      its.own += more.own;
      its.subtree += its.own;
    } else {
      CpuTime machine;
      for (const auto& [set, sum] : now) machine += sum;
      machine = machine - cgroup.hierarchy->cpu_at_start;
      its.own = machine - its.subtree;
      its.subtree = machine;
    }
    const CpuTime subtree = its.subtree;
    if (i != 0) times[cgroup.parent->id].subtree += subtree;
  }
  return times;
}

CpuTime Registry::MachineCpuTime() {
  CpuTime all;
  if (meter_) {
    for (const auto& [set, sum] : meter_->Read()) all += sum;
  }
  return all;
}

Result<CpuTimesById> Registry::CpuTimesBelow(CgroupId top) {
  CpuMeter* const meter = UsedMeter();
  if (!meter) return Fail(ENOTSUP, "this tracker knows nothing of CPU time");
  // A walk over the machine's tasks, before the lock. What is folded meanwhile is in no set that
  // is linked any more, so nothing is counted twice.
  const CpuReading now = meter->Read();
  MutexLock lock(tree_mu_);
  auto found = FindLocked(top, ENODEV);
  if (!found) return Fail(found.error());
  return CpuTimesLocked(**found, now);
}

Result<CpuTime> Registry::CpuTimeOf(CgroupId id, bool subtree) {
  auto times = TRY(CpuTimesBelow(id));
  const CpuTimes& its = times.at(id);
  return subtree ? its.subtree : its.own;
}

std::uint64_t Registry::CpuUncharged(CgroupId id) {
  CpuMeter* const meter = UsedMeter();
  std::vector<CssSetId> sets;
  {
    MutexLock lock(tree_mu_);
    auto top = FindLocked(id, ENODEV);
    if (!meter || !top) return 0;
    std::vector<const Cgroup*> todo{*top};
    std::unordered_set<CgroupId> ours;
    for (std::size_t i = 0; i < todo.size(); ++i) {
      const Cgroup& cgroup = *todo[i];
      ours.insert(cgroup.id);
      for (const auto& [set, leaves] : cgroup.judged) sets.push_back(set);
      for (const auto& [name, child] : cgroup.children) todo.push_back(child.get());
    }
    for (const auto& [set, unlinked] : unlinked_) {
      for (const Payee& payee : unlinked.payees) {
        if (ours.contains(payee.cgroup)) sets.push_back(set);
      }
    }
  }
  std::uint64_t uncharged = 0;
  for (const CssSetId set : sets) {
    if (meter->Owed(set) != 0) uncharged += meter->Uncharged(set);
  }
  return uncharged;
}

CpuMeter* Registry::UsedMeter() const {
  MutexLock lock(tree_mu_);
  return meter_;
}

}  // namespace corral
