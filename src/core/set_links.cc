#include "core/set_links.h"

#include <cerrno>
#include <vector>

#include "base/errors.h"
#include "base/log.h"
#include "core/core.h"

namespace corral {

SetLinks::SetLinks(Core& core)
    : tracker_(core.tracker),
      tree_(core.tree),
      sets_(core.sets),
      leaving_sets_(core.leaving_sets),
      releases_(core.releases),
      birth_limits_(core.birth_limits),
      cpu_ledger_(core.cpu_ledger),
      persistence_(core.persistence) {}

Result<CssSetId> SetLinks::Intern(const SetTuple& tuple) {
  auto interned = sets_.Intern(tuple);
  if (!interned && interned.error().code == ENOSPC && ReclaimIdle() > 0) {
    interned = sets_.Intern(tuple);
  }
  if (!interned) return Fail(interned.error());
  for (const Member& member : tuple) {
    ReleaseState& release = (*tree_.Find(member.cgroup, ENODEV))->release;
    // A reused id has left before, for others: our links start judged from there.
    if (interned->made) release.judged[interned->set] = interned->leaves;
    release.in_use.insert(interned->set);
  }
  if (!interned->made) return interned->set;
  if (auto usable = MakeUsable(interned->set, tuple); !usable) {
    Drop(interned->set, tuple);
    return Fail(usable.error());
  }
  return interned->set;
}

Result<void> SetLinks::MakeUsable(CssSetId set, const SetTuple& tuple) {
  cpu_ledger_.SetMade(set);
  persistence_.Mark(set);
  TRY(persistence_.Commit());
  return birth_limits_.SetMade(set, tuple);
}

// No word shows it, and none may.
void SetLinks::Drop(CssSetId set, const SetTuple& tuple) {
  for (const Member& member : tuple) {
    ReleaseState& release = (*tree_.Find(member.cgroup, ENODEV))->release;
    release.judged.erase(set);
    release.in_use.erase(set);
  }
  sets_.Unlink(set);
  sets_.Retire(set);
  persistence_.Mark(set);
}

void SetLinks::Unlink(CssSetId set) {
  leaving_sets_.Begin(set);
  const std::uint32_t leaves = tracker_.Count(set).leaves;
  for (const Member& member : sets_.TupleOf(set)) {
    Cgroup& cgroup = **tree_.Find(member.cgroup, ENODEV);
    releases_.Judge(cgroup);
    const auto judged = cgroup.release.judged.find(set);
    if (judged->second != leaves) {  // folded (I7)
      cgroup.release.unjudged = true;
      persistence_.Mark(cgroup);
    }
    cgroup.release.judged.erase(judged);
    cgroup.release.in_use.erase(set);
    cpu_ledger_.Unlinked(set, cgroup);
    leaving_sets_.AddGhost(cgroup, set);
  }
  sets_.Unlink(set);
}

void SetLinks::UnlinkAll(const Cgroup& cgroup) {
  std::vector<CssSetId> sets;
  for (const auto& [set, leaves] : cgroup.release.judged) sets.push_back(set);
  for (const CssSetId set : sets) Unlink(set);
}

std::size_t SetLinks::ReclaimIdle() {
  std::size_t unlinked = 0;
  for (const CssSetId set : sets_.All()) {
    if (set == kInitialSet || tracker_.Count(set).count != 0) continue;
    Unlink(set);
    ++unlinked;
  }
  const auto candidates = leaving_sets_.Candidates();
  const std::size_t retired = leaving_sets_.Retire(BySet(tracker_.Leavers()), candidates);
  log::Warn("the css_set table is full: {} idle sets unlinked, {} retired", unlinked, retired);
  return retired;
}

}  // namespace corral
