// LeavingSets: css_sets that are unlinked, until they can be retired: nobody is on the way out of
// them, and their CPU time is known in full. Until then cgroups wait for them (Cgroup::ghosts):
// those they were linked to, or where such a one was removed, its parent.
//
//   const auto candidates = leaving.Candidates();          // they count 0
//   const LeaversBySet leavers = BySet(tracker.Leavers());  // a walk, without the tree
//   leaving.Retire(leavers, candidates);
#ifndef CORRAL_CORE_LEAVING_SETS_H_
#define CORRAL_CORE_LEAVING_SETS_H_

#include <corral/tracker.h>

#include <unordered_map>
#include <utility>
#include <vector>

#include "core/cgroup.h"
#include "core/css_set_table.h"
#include "core/tree_lock.h"

namespace corral {

class CgroupTree;
class CpuLedger;
class Persistence;
struct Core;

using LeaversBySet = std::unordered_map<CssSetId, std::vector<Tid>>;
LeaversBySet BySet(const std::vector<Leaver>& leavers);

class LeavingSets {
 public:
  // A set, with the serial of its unlinking: its id may be used and unlinked again.
  using Candidate = std::pair<CssSetId, std::uint64_t>;

  explicit LeavingSets(Core& core);

  bool empty() const REQUIRES(the_tree) { return unlinked_.empty(); }
  bool Contains(CssSetId set) const REQUIRES(the_tree) { return unlinked_.contains(set); }

  // `set` is unlinked from here on.
  void Begin(CssSetId set) REQUIRES(the_tree);
  // The cgroup waits for whoever is leaving it. A root does not: it is never released.
  void AddGhost(Cgroup& cgroup, CssSetId set) REQUIRES(the_tree);
  // Those who wait; null for a set that is linked.
  const std::vector<CgroupId>* WaitingFor(CssSetId set) const REQUIRES(the_tree);

  // Those that count 0 now.
  std::vector<Candidate> Candidates() const REQUIRES(the_tree);
  // How many were retired. REQUIRES: they counted 0 before the leavers were asked for.
  std::size_t Retire(const LeaversBySet& leavers, const std::vector<Candidate>& candidates)
      REQUIRES(the_tree);

  // From the journal.
  void TakeOver(CssSetId set, std::vector<CgroupId> waiting) REQUIRES(the_tree);

 private:
  struct Unlinked {
    std::uint64_t serial = 0;
    std::vector<CgroupId> waiting;
  };

  Tracker& tracker_;
  CgroupTree& tree_;
  CssSetTable& sets_;
  CpuLedger& cpu_ledger_;
  Persistence& persistence_;

  std::unordered_map<CssSetId, Unlinked> unlinked_ GUARDED_BY(the_tree);
  std::uint64_t last_serial_ GUARDED_BY(the_tree) = 0;
};

}  // namespace corral

#endif  // CORRAL_CORE_LEAVING_SETS_H_
