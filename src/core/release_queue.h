// ReleaseQueue: notifications that wait to be started (spec 10.7).
//
// Filled by the Registry with its tree lock held, emptied by the agent's thread. Its lock
// is a leaf. How often a cgroup may wait is decided by the Registry.
#ifndef CORRAL_CORE_RELEASE_QUEUE_H_
#define CORRAL_CORE_RELEASE_QUEUE_H_

#include <corral/ids.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "base/mutex.h"

namespace corral {

struct Waiting {
  CgroupId cgroup;
  HierarchyId hierarchy;
  std::string path;          // as it was at the emptying; empty: as it is when the agent starts
  std::uint64_t number = 0;  // of the notification, where they are kept
};

class ReleaseQueue {
 public:
  void Push(Waiting notification);

  // The next one; waits for it. Those that were put back come first, but only while `room` holds,
  // which is asked again at each Wake(): it must take no lock. Empty after Close().
  std::optional<Waiting> Take(const std::function<bool()>& room);
  // It keeps its place among those that were put back.
  void PutBack(Waiting notification);
  void Wake();

  // The next one if there is one that was not put back; never waits.
  std::optional<Waiting> TryTake();

  // Ends every Take(), now and later.
  void Close();

  std::size_t size() const;  // those put back among them

 private:
  mutable Mutex queue_mu_;
  CondVar filled_;
  std::deque<Waiting> waiting_ GUARDED_BY(queue_mu_);
  std::deque<Waiting> put_back_ GUARDED_BY(queue_mu_);
  bool closed_ GUARDED_BY(queue_mu_) = false;
};

}  // namespace corral

#endif  // CORRAL_CORE_RELEASE_QUEUE_H_
