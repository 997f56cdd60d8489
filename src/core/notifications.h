// Notifications: from the decision that a release agent is to be started to its start, and across
// the removal of what it is about (spec 2, 10.7, 10.9). Owns Cgroup::notice.
//
//   notifications.Decide(cgroup);   // at the verdict
//   notifications.Queue(cgroup);    // when nobody is on the way out any more
//   queue().Take() -> Begin() -> the agent runs -> Finish()
#ifndef CORRAL_CORE_NOTIFICATIONS_H_
#define CORRAL_CORE_NOTIFICATIONS_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "core/cgroup.h"
#include "core/release_queue.h"
#include "core/tree_lock.h"
#include "core/types.h"

namespace corral {

class CgroupTree;
class Persistence;
struct Core;

class Notifications {
 public:
  explicit Notifications(Core& core);

  // ---- of cgroups
  void Decide(Cgroup& cgroup) REQUIRES(the_tree);
  // Those that were decided.
  void Queue(Cgroup& cgroup) REQUIRES(the_tree);

  // ---- across a removal
  // Takes over a cgroup that was just removed. REQUIRES: it still knows its parent.
  void Depart(std::unique_ptr<Cgroup> cgroup) REQUIRES(the_tree);
  // One that departed and whose leavers are through: queues what was decided, and forgets it.
  bool AnnounceDeparted(Cgroup& cgroup) REQUIRES(the_tree);
  // Also one that departed. Null: neither.
  Cgroup* FindOrDeparted(CgroupId id) const REQUIRES(the_tree);
  // Takes over a hierarchy that ended, if something of it is still to be told or being told.
  void Depart(std::unique_ptr<Hierarchy> hierarchy) REQUIRES(the_tree);
  // Also one that ended. Null: neither.
  Hierarchy* FindOrEnded(HierarchyId id) const REQUIRES(the_tree);

  // ---- of the agents' thread; Registry::BeginNotification and so on
  ReleaseQueue& queue() { return queue_; }  // own lock
  std::optional<Notification> Begin(const Waiting& waiting) REQUIRES(the_tree);
  void Finish(std::uint64_t number) REQUIRES(the_tree);

  // ---- what is kept, row by row; null where there is none
  std::uint64_t& next_number() REQUIRES(the_tree) { return next_number_; }
  const Waiting* FindKept(std::uint64_t number) const REQUIRES(the_tree);
  const std::string* LastPathOf(CgroupId id) const REQUIRES(the_tree);

  // ---- from the journal
  void TakeOverEnded(std::unique_ptr<Hierarchy> hierarchy) REQUIRES(the_tree);
  void TakeOverDeparted(std::unique_ptr<Cgroup> cgroup) REQUIRES(the_tree);
  void TakeOverLastPath(CgroupId id, std::string_view path) REQUIRES(the_tree);
  // EBADMSG: its hierarchy is not there.
  Result<void> TakeOver(Waiting waiting) REQUIRES(the_tree);
  // After the last row: hierarchies that ended and are only there because the process that was to
  // forget them ran out of memory.
  void ForgetAllUnlessOwed() REQUIRES(the_tree);

 private:
  void End(const Waiting& waiting) REQUIRES(the_tree);
  // Something of it waits, or is being told and would be told again after a crash: it is kept, for
  // it says which agent.
  bool IsOwed(const Hierarchy& hierarchy) const REQUIRES(the_tree);
  // If it ended.
  void ForgetUnlessOwed(HierarchyId id) REQUIRES(the_tree);

  CgroupTree& tree_;
  Persistence& persistence_;

  // Removed with a notification that outlives them: those still to be announced, and the last
  // paths of those in the queue. Hierarchies that ended before all of theirs were told.
  std::unordered_map<CgroupId, std::unique_ptr<Cgroup>> departed_ GUARDED_BY(the_tree);
  std::unordered_map<CgroupId, std::string> last_paths_ GUARDED_BY(the_tree);
  std::unordered_map<HierarchyId, std::unique_ptr<Hierarchy>> ended_ GUARDED_BY(the_tree);
  // In the queue or being started, and of those, being started; empty where nothing is kept.
  std::map<std::uint64_t, Waiting> kept_ GUARDED_BY(the_tree);
  std::set<std::uint64_t> starting_ GUARDED_BY(the_tree);
  std::uint64_t next_number_ GUARDED_BY(the_tree) = 1;
  ReleaseQueue queue_;  // own lock
};

}  // namespace corral

#endif  // CORRAL_CORE_NOTIFICATIONS_H_
