// ReleaseQueue: cgroups whose notification waits to be started (spec 10.7).
//
// Filled by the Registry with its tree lock held, emptied by the agent's thread. Its lock
// is a leaf. That a cgroup waits at most once is kept by the Registry.
#ifndef CORRAL_CORE_RELEASE_QUEUE_H_
#define CORRAL_CORE_RELEASE_QUEUE_H_

#include <corral/ids.h>

#include <deque>
#include <optional>

#include "base/mutex.h"

namespace corral {

class ReleaseQueue {
 public:
  void Push(CgroupId cgroup);

  // The next one; waits for it. Empty after Close().
  std::optional<CgroupId> Take();

  // The next one if there is one; never waits.
  std::optional<CgroupId> TryTake();

  // Ends every Take(), now and later.
  void Close();

  std::size_t size() const;

 private:
  mutable Mutex queue_mu_;
  CondVar filled_;
  std::deque<CgroupId> waiting_ GUARDED_BY(queue_mu_);
  bool closed_ GUARDED_BY(queue_mu_) = false;
};

}  // namespace corral

#endif  // CORRAL_CORE_RELEASE_QUEUE_H_
