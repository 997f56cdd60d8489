// Releases: the verdict on state (I7), and who must be through before it is told (spec 10.10).
//
// A verdict looks at the counters: a cgroup is idle when its css_sets count 0, and was left when
// their leaves are others than at the last verdict. Then it *settles*: what was decided is
// announced when nobody who had left is on the way out any more (Settle() in registry.h).
// Owns Cgroup::release.
//
//   releases.Judge(cgroup);            // before anything that reads or changes what depends on it
//   ... a walk over the machine's tasks, without the tree ...
//   releases.Settle(batch, leavers);   // -> events, notifications
#ifndef CORRAL_CORE_RELEASES_H_
#define CORRAL_CORE_RELEASES_H_

#include <corral/tracker.h>

#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/cgroup.h"
#include "core/leaving_sets.h"
#include "core/tree_lock.h"

namespace corral {

class CgroupTree;
class CssSetTable;
class Events;
class Notifications;
class Persistence;
class Puts;
struct Core;

class Releases {
 public:
  explicit Releases(Core& core);

  // ---- looks
  // A css_set of it counts somebody.
  bool HasCount(const Cgroup& cgroup) const REQUIRES(the_tree);
  // The same for rmdir: only a live task counts (I2).
  bool HasLiveTask(const Cgroup& cgroup) const REQUIRES(the_tree);

  // ---- verdicts
  void Judge(Cgroup& cgroup) REQUIRES(the_tree);
  // Of each cgroup of a set that may have emptied.
  void JudgeSet(CssSetId set) REQUIRES(the_tree);
  // Believes nothing: looks at every set of every cgroup.
  void JudgeAll() REQUIRES(the_tree);
  // It and all below it.
  void JudgeBelow(Cgroup& top) REQUIRES(the_tree);
  // Those that lost a reference (puts.h).
  void JudgePuts() REQUIRES(the_tree);
  // Judges it and, as long as it has no task itself, what is populated below it. Whether a look
  // for leavers can change what it shows.
  bool JudgePopulated(Cgroup& top) REQUIRES(the_tree);

  // ---- settling
  void StartSettling(Cgroup& cgroup) REQUIRES(the_tree);
  // What one walk is for: cgroups with the serial of their decision.
  using Batch = std::vector<std::pair<CgroupId, std::uint64_t>>;
  Batch TakeBatch() const REQUIRES(the_tree);
  void Settle(const Batch& batch, const LeaversBySet& leavers) REQUIRES(the_tree);
  bool settling() const REQUIRES(the_tree) { return !settling_.empty(); }
  void ClearSettling() REQUIRES(the_tree) { settling_.clear(); }
  // From the journal: it was settling.
  void TakeOver(CgroupId id) REQUIRES(the_tree) { settling_.push_back(id); }

 private:
  bool LookAtSet(Cgroup& cgroup, CssSetId set) REQUIRES(the_tree);
  void Await(Cgroup& cgroup, std::vector<Tid> leaving) REQUIRES(the_tree);
  void Announce(Cgroup& cgroup) REQUIRES(the_tree);

  const Tracker& tracker_;
  CgroupTree& tree_;
  const CssSetTable& sets_;
  const LeavingSets& leaving_sets_;
  Puts& puts_;
  Events& events_;
  Notifications& notifications_;
  Persistence& persistence_;
  const std::function<void()>& wake_;

  std::vector<CgroupId> settling_ GUARDED_BY(the_tree);
};

}  // namespace corral

#endif  // CORRAL_CORE_RELEASES_H_
