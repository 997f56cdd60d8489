// BirthLimits: limits on births that the tracker keeps by itself (spec 13.3): what the tree and a
// subsystem's limits mean in css_sets.
//
// Told to the tracker as a whole when a limit changes, and when a css_set is made that is in one,
// or that has the number of one that was. A set or cgroup that is gone needs no telling: it has no
// task, and gets one only through a set made anew. Owns Cgroup::limit.
#ifndef CORRAL_CORE_BIRTH_LIMITS_H_
#define CORRAL_CORE_BIRTH_LIMITS_H_

#include <corral/subsystem.h>
#include <corral/tracker.h>

#include <memory>
#include <unordered_set>
#include <vector>

#include "core/cgroup.h"
#include "core/css_set_table.h"
#include "core/tree_lock.h"

namespace corral {

class CgroupTree;
struct Core;

class BirthLimits {
 public:
  explicit BirthLimits(Core& core);

  // Groups::LimitTasks.
  Result<void> Set(Css& css, std::uint64_t max) REQUIRES(the_tree);
  std::uint64_t RefusedIn(const Cgroup& cgroup) const REQUIRES(the_tree);

  // A set was just made: what limits it is in force when this returns.
  Result<void> SetMade(CssSetId set, const SetTuple& tuple) REQUIRES(the_tree);
  // The cgroup is out of the tree.
  void Free(const Cgroup& cgroup) REQUIRES(the_tree);

 private:
  struct Limits {
    TaskLimits for_tracker;  // without those that no task can meet
    bool any = false;        // there are limits at all
  };
  Result<void> Push() REQUIRES(the_tree);
  Result<Limits> Collect() REQUIRES(the_tree);
  Result<std::uint32_t> NumberOf(Cgroup& cgroup) REQUIRES(the_tree);

  Tracker& tracker_;
  const SubsystemTable& subsystems_;
  CgroupTree& tree_;

  std::shared_ptr<Subsystem> limiter_ GUARDED_BY(the_tree);         // whose limits the tracker has
  std::unordered_set<CssSetId> limited_sets_ GUARDED_BY(the_tree);  // as the tracker was told
  std::vector<std::uint32_t> free_numbers_ GUARDED_BY(the_tree);
  std::uint32_t next_number_ GUARDED_BY(the_tree) = 1;
};

}  // namespace corral

#endif  // CORRAL_CORE_BIRTH_LIMITS_H_
