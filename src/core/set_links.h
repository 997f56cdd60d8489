// SetLinks: css_sets and the cgroups that they are linked to (ReleaseState::judged). A set is made
// for the first task that is moved there, and unlinked when one of its cgroups goes, or when it is
// idle and the tracker's table is full. What becomes of it then: leaving_sets.h.
//
//   const CssSetId target = TRY(links.Intern(WithPlace(from, hierarchy, to)));
//   TRY(tracker.Move(tid, place, target));
#ifndef CORRAL_CORE_SET_LINKS_H_
#define CORRAL_CORE_SET_LINKS_H_

#include <corral/tracker.h>

#include "core/css_set_table.h"
#include "core/tree_lock.h"

namespace corral {

class BirthLimits;
class CgroupTree;
class CpuLedger;
class LeavingSets;
class Persistence;
class Releases;
struct Cgroup;
struct Core;

class SetLinks {
 public:
  explicit SetLinks(Core& core);

  // For a task that is about to be moved there: the set is in use from now on. What it means is
  // kept, and what limits it in force, before any word can show it. ENOSPC: the table is full.
  Result<CssSetId> Intern(const SetTuple& tuple) REQUIRES(the_tree);
  // Each set that is linked to it.
  void UnlinkAll(const Cgroup& cgroup) REQUIRES(the_tree);

 private:
  // Nobody can be moved to it any more; its cgroups wait for those who are leaving it.
  void Unlink(CssSetId set) REQUIRES(the_tree);
  Result<void> MakeUsable(CssSetId set, const SetTuple& tuple) REQUIRES(the_tree);
  void Drop(CssSetId set, const SetTuple& tuple) REQUIRES(the_tree);
  std::size_t ReclaimIdle() REQUIRES(the_tree);

  Tracker& tracker_;
  CgroupTree& tree_;
  CssSetTable& sets_;
  LeavingSets& leaving_sets_;
  Releases& releases_;
  BirthLimits& birth_limits_;
  CpuLedger& cpu_ledger_;
  Persistence& persistence_;
};

}  // namespace corral

#endif  // CORRAL_CORE_SET_LINKS_H_
