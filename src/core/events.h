// Events: what cgroup.events shows of a cgroup, and who is told that it changed (spec 4.6).
//
// What an operation emits is published at its end, when it is kept; a subscriber takes it without
// the tree. Owns Cgroup::shown.
//
//   events.SetPopulated(cgroup, true);   // its parents as well, up to the first that was already
#ifndef CORRAL_CORE_EVENTS_H_
#define CORRAL_CORE_EVENTS_H_

#include <functional>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "core/cgroup.h"
#include "core/tree_lock.h"
#include "core/types.h"

namespace corral {

class Persistence;
struct Core;

class Events {
 public:
  explicit Events(Core& core);

  // Tasks of its own, or some on their way out.
  void SetPopulated(Cgroup& cgroup, bool populated) REQUIRES(the_tree);
  // One more release, and it is told.
  void CountRelease(Cgroup& cgroup) REQUIRES(the_tree);
  void Emit(Event::Kind kind, const Cgroup& cgroup, std::optional<bool> populated = std::nullopt)
      REQUIRES(the_tree);
  void TellPaths(bool on) REQUIRES(the_tree) { tells_paths_ = on; }

  // At the end of an operation.
  void Publish() REQUIRES(the_tree);
  std::vector<Event> Take();  // without the tree

 private:
  Persistence& persistence_;
  const std::function<void()>& wake_;

  std::vector<Event> emitted_ GUARDED_BY(the_tree);  // by the operation under way
  bool tells_paths_ GUARDED_BY(the_tree) = true;

  Mutex events_mu_;  // a leaf
  std::vector<Event> published_ GUARDED_BY(events_mu_);
};

EventsInfo ShownOf(const Cgroup& cgroup);

}  // namespace corral

#endif  // CORRAL_CORE_EVENTS_H_
