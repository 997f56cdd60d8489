#include "core/leaving_sets.h"

#include <cerrno>

#include "core/core.h"

namespace corral {

LeaversBySet BySet(const std::vector<Leaver>& leavers) {
  LeaversBySet by_set;
  for (const Leaver& leaver : leavers) by_set[leaver.set].push_back(leaver.tid);
  return by_set;
}

LeavingSets::LeavingSets(Core& core)
    : tracker_(core.tracker),
      tree_(core.tree),
      sets_(core.sets),
      cpu_ledger_(core.cpu_ledger),
      persistence_(core.persistence) {}

void LeavingSets::Begin(CssSetId set) {
  unlinked_[set].serial = ++last_serial_;
  persistence_.Mark(set);
}

void LeavingSets::AddGhost(Cgroup& cgroup, CssSetId set) {
  if (!cgroup.parent) return;
  if (!cgroup.ghosts.insert(set).second) return;
  unlinked_[set].waiting.push_back(cgroup.id);
  persistence_.Mark(set);
}

const std::vector<CgroupId>* LeavingSets::WaitingFor(CssSetId set) const {
  const auto unlinked = unlinked_.find(set);
  return unlinked == unlinked_.end() ? nullptr : &unlinked->second.waiting;
}

// One that counts: a birth is about to take its raise back.
std::vector<LeavingSets::Candidate> LeavingSets::Candidates() const {
  std::vector<Candidate> candidates;
  for (const auto& [set, state] : unlinked_) {
    if (tracker_.Count(set).count == 0) candidates.emplace_back(set, state.serial);
  }
  return candidates;
}

std::size_t LeavingSets::Retire(const LeaversBySet& leavers,
                                const std::vector<Candidate>& candidates) {
  std::size_t retired = 0;
  for (const auto& [set, serial] : candidates) {
    const auto unlinked = unlinked_.find(set);
    // Another serial: the id was retired, used and unlinked again meanwhile.
    if (unlinked == unlinked_.end() || unlinked->second.serial != serial) continue;
    if (leavers.contains(set)) continue;
    if (tracker_.Count(set).count != 0) continue;  // a birth is about to take its raise back
    if (!cpu_ledger_.IsPaid(set)) continue;
    cpu_ledger_.SetRetired(set);
    for (const CgroupId id : unlinked->second.waiting) {
      if (auto cgroup = tree_.Find(id, ENODEV)) (*cgroup)->ghosts.erase(set);
    }
    unlinked_.erase(unlinked);
    sets_.Retire(set);
    persistence_.Mark(set);
    ++retired;
  }
  return retired;
}

void LeavingSets::TakeOver(CssSetId set, std::vector<CgroupId> waiting) {
  unlinked_[set] = {.serial = ++last_serial_, .waiting = std::move(waiting)};
}

}  // namespace corral
