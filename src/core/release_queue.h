// ReleaseQueue: notifications that wait to be started (spec 10.7).
//
// Filled by the Registry with its tree lock held, emptied by the agent's thread. Its lock
// is a leaf. How often a cgroup may wait is decided by the Registry.
#ifndef CORRAL_CORE_RELEASE_QUEUE_H_
#define CORRAL_CORE_RELEASE_QUEUE_H_

#include <corral/ids.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/mutex.h"

namespace corral {

struct Waiting {
  CgroupId cgroup;
  HierarchyId hierarchy;
  std::string path;  // as it was at the emptying; empty: as it is when the agent starts
  std::uint64_t number = 0;  // of the notification, where they are kept
};

class ReleaseQueue {
 public:
  void Push(Waiting notification);

  // The next one; waits for it. Empty after Close().
  std::optional<Waiting> Take();

  // The next one if there is one; never waits.
  std::optional<Waiting> TryTake();

  // Ends every Take(), now and later.
  void Close();

  std::size_t size() const;

 private:
  mutable Mutex queue_mu_;
  CondVar filled_;
  std::deque<Waiting> waiting_ GUARDED_BY(queue_mu_);
  bool closed_ GUARDED_BY(queue_mu_) = false;
};

}  // namespace corral

#endif  // CORRAL_CORE_RELEASE_QUEUE_H_
