#include "core/cpu_ledger.h"

#include <cerrno>
#include <unordered_set>
#include <utility>

#include "core/core.h"

namespace corral {

CpuLedger::CpuLedger(Core& core) : tree_(core.tree), persistence_(core.persistence) {}

void CpuLedger::Split(Tid task) const {
  if (meter_) meter_->Split(task);
}

void CpuLedger::Split(Tgid process) const {
  if (meter_) meter_->Split(process);
}

// ---- when sets and cgroups come and go

void CpuLedger::SetMade(CssSetId set) {
  if (meter_) base_[set] = meter_->Charged(set);
}

void CpuLedger::Unlinked(CssSetId set, const Cgroup& from) { payees_[set].push_back({from.id}); }

bool CpuLedger::IsPaid(CssSetId set) const { return !meter_ || meter_->Owed(set) == 0; }

void CpuLedger::SetRetired(CssSetId set) {
  const auto payees = payees_.extract(set);
  const auto base = base_.extract(set);
  if (!meter_ || !payees) return;
  const CpuTime ran = meter_->Charged(set) - (base ? base.mapped() : CpuTime{});
  for (const Payee& payee : payees.mapped()) {
    auto cgroup = tree_.Find(payee.cgroup, ENODEV);
    if (!cgroup) continue;
    (payee.below ? (*cgroup)->cpu.spent_below : (*cgroup)->cpu.spent) += ran;
    persistence_.Mark(**cgroup);
  }
}

void CpuLedger::HandUp(const Cgroup& removed) {
  Cgroup& parent = *removed.parent;
  parent.cpu.spent_below += removed.cpu.spent;
  parent.cpu.spent_below += removed.cpu.spent_below;
  persistence_.Mark(parent);
  // All that pay to it: it was no root, so it awaits each of them.
  for (const CssSetId set : removed.ghosts) {
    for (Payee& payee : payees_[set]) {
      if (payee.cgroup == removed.id) payee = {parent.id, /*below=*/true};
    }
    persistence_.Mark(set);
  }
}

// ---- reading

CpuTime CpuLedger::RanIn(CssSetId set, const CpuReading& now) const {
  const auto sum = now.find(set);
  if (sum == now.end()) return {};
  return sum->second - BaseOf(set);
}

// Its own, but for a root's, whose sets are those of nobody else, and for what unlinked ones pay.
CpuTime CpuLedger::OwnOf(const Cgroup& cgroup, const CpuReading& now) const {
  CpuTime own = cgroup.cpu.spent;
  for (const auto& [set, leaves] : cgroup.release.judged) own += RanIn(set, now);
  return own;
}

// Parents come before their children, so from the end each sum is complete when it is added to
// its parent's.
CpuTimesById CpuLedger::TimesOf(const Cgroup& top, const CpuReading& now) const {
  CpuTimesById times;
  std::unordered_map<CgroupId, CpuTimes> paid;  // by sets that are not retired yet; subtree: below
  for (const auto& [set, payees] : payees_) {
    for (const Payee& payee : payees) {
      CpuTimes& to = paid[payee.cgroup];
      (payee.below ? to.subtree : to.own) += RanIn(set, now);
    }
  }
  const std::vector<const Cgroup*> all = WithAllBelow(top);
  for (std::size_t i = all.size(); i-- > 0;) {
    const Cgroup& cgroup = *all[i];
    CpuTimes& its = times[cgroup.id];  // what its children have, so far
    its.subtree += cgroup.cpu.spent_below;
    const auto its_paid = paid.find(cgroup.id);
    const CpuTimes more = its_paid == paid.end() ? CpuTimes{} : its_paid->second;
    its.subtree += more.subtree;
    if (cgroup.parent) {
      its.own = OwnOf(cgroup, now);
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

CpuTime CpuLedger::OfMachine() const {
  CpuTime all;
  if (meter_) {
    for (const auto& [set, sum] : meter_->Read()) all += sum;
  }
  return all;
}

std::vector<CssSetId> CpuLedger::SetsOf(const Cgroup& top) const {
  std::vector<CssSetId> sets;
  std::unordered_set<CgroupId> ours;
  for (const Cgroup* const cgroup : WithAllBelow(top)) {
    ours.insert(cgroup->id);
    for (const auto& [set, leaves] : cgroup->release.judged) sets.push_back(set);
  }
  for (const auto& [set, payees] : payees_) {
    for (const Payee& payee : payees) {
      if (ours.contains(payee.cgroup)) sets.push_back(set);
    }
  }
  return sets;
}

// ---- what is kept

CpuTime Earlier(const CpuTime& kept, const CpuTime& now) {
  return now.total < kept.total ? now : kept;
}

CpuTime CpuLedger::BaseOf(CssSetId set) const {
  const auto base = base_.find(set);
  return base == base_.end() ? CpuTime{} : base->second;
}

std::vector<Payee> CpuLedger::PayeesOf(CssSetId set) const {
  const auto payees = payees_.find(set);
  return payees == payees_.end() ? std::vector<Payee>() : payees->second;
}

void CpuLedger::TakeOver(CssSetId set, const CpuTime& base, std::vector<Payee> payees) {
  if (meter_) base_[set] = Earlier(base, meter_->Charged(set));
  if (!payees.empty()) payees_[set] = std::move(payees);
}

}  // namespace corral
