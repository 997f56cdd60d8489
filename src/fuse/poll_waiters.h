// PollWaiters: who waits in poll(2) on which cgroup's events.
//
// The kernel gives a handle with each FUSE_POLL; a notification on it makes every poller of
// that open file ask again. The newest handle of an open file stays good until the file is
// released, so it is kept and used for every change: one poll more than asked for is
// harmless, one less would be a lost wake-up.
#ifndef CORRAL_FUSE_POLL_WAITERS_H_
#define CORRAL_FUSE_POLL_WAITERS_H_

#include <corral/ids.h>

#include <unordered_map>

#include "base/mutex.h"
#include "fuse/fuse_api.h"

namespace corral {

class PollWaiters {
 public:
  PollWaiters() = default;
  ~PollWaiters();
  PollWaiters(const PollWaiters&) = delete;
  PollWaiters& operator=(const PollWaiters&) = delete;

  // `key` names the open file. Takes the handle. To be called *before* looking whether
  // there is something to report, so that a change in between finds the waiter.
  void Add(CgroupId cgroup, const void* key, fuse_pollhandle* handle);
  // The open file is gone.
  void Remove(CgroupId cgroup, const void* key);
  // Makes all waiters of this cgroup ask again. Waits for none of them.
  void Wake(CgroupId cgroup);

 private:
  Mutex waiters_mu_;  // a leaf
  std::unordered_map<CgroupId, std::unordered_map<const void*, fuse_pollhandle*>> waiters_
      GUARDED_BY(waiters_mu_);
};

}  // namespace corral

#endif  // CORRAL_FUSE_POLL_WAITERS_H_
