// LookerThreads: the daemon's two threads that look.
//
// The looker waits for the tracker's bell, looks (core/looker.h), tells subscribers, wakes pollers
// and waiters, and removes groups made for one run. The resyncer compares everything when a hook
// missed something. Neither serves requests nor holds a lock of the registry while it acts.
#ifndef CORRAL_DAEMON_LOOKER_THREADS_H_
#define CORRAL_DAEMON_LOOKER_THREADS_H_

#include <atomic>
#include <thread>
#include <vector>

#include "base/event_fd.h"
#include "base/mutex.h"
#include "core/looker.h"
#include "core/registry.h"
#include "core/waiters.h"
#include "daemon/billing.h"
#include "daemon/event_feed.h"
#include "daemon/mount_table.h"

namespace corral {

class LookerThreads final : private Looker::Owner {
 public:
  // `wake` is what the registry's wake callback wakes.
  LookerThreads(Registry& registry, Tree& tree, MountTable& mounts, Waiters& waiters,
                EventFeed& feed, const Billing& billing, EventFd& wake);
  ~LookerThreads() override;

  Result<void> Start();  // EAGAIN: no thread can be started
  void Stop();

  // The resyncer compares soon. Any thread.
  void AskForResync();

 private:
  // `work` until it returns, again and again: what is thrown out of it is a lack of memory or
  // descriptors, and ends nothing. What it was at is looked at anew.
  void Persist(const char* name, void (LookerThreads::*work)());
  void RunLooker();
  void RunResyncer();

  // Looker::Owner, called by the looker.
  bool Resync(Registry& registry) override;
  std::vector<Event> Collect(Registry& registry) override;
  void Dispatch(const Event& event) override;

  // Constant after construction.
  Registry& registry_;
  Tree& tree_;
  MountTable& mounts_;
  Waiters& waiters_;
  EventFeed& feed_;
  const Billing& billing_;
  EventFd& wake_;

  Looker looker_;  // the looker's own
  std::atomic<bool> stopping_ = false;
  std::thread looker_thread_;
  std::thread resyncer_thread_;

  Mutex resync_mu_;  // a leaf
  CondVar resync_asked_;
  bool resync_wanted_ GUARDED_BY(resync_mu_) = false;
};

}  // namespace corral

#endif  // CORRAL_DAEMON_LOOKER_THREADS_H_
