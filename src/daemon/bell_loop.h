// BellLoop: the thread that looks when the tracker rings.
//
// It passes hints to the registry, announces what settled, tells subscribers, wakes pollers and
// waiters, removes groups made for one run, and has a second thread compare everything (resync)
// when a hook missed something. Both serve no requests and hold no lock of the registry while
// acting.
#ifndef CORRAL_DAEMON_BELL_LOOP_H_
#define CORRAL_DAEMON_BELL_LOOP_H_

#include <atomic>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "core/registry.h"
#include "core/waiters.h"
#include "daemon/billing.h"
#include "daemon/event_feed.h"
#include "daemon/mount_table.h"

namespace corral {

class BellLoop final : public Tracker::Listener {
 public:
  // `wake` is the eventfd that the registry's wake callback writes.
  BellLoop(Registry& registry, Tree& tree, MountTable& mounts, Waiters& waiters, EventFeed& feed,
           const Billing& billing, int wake);
  ~BellLoop() override;

  Result<void> Start();  // EAGAIN: no thread can be started
  void Stop();

  // Tracker::Listener, called within Drain() by our own thread.
  void SetMayBeEmpty(CssSetId set) override;
  void ResyncNeeded() override;

 private:
  // `work` until it returns, again and again: what flies out of it is a lack of memory or
  // descriptors, and ends nothing. What it was at is looked at anew.
  void Persist(const char* name, void (BellLoop::*work)());
  void Run();
  void Dispatch(const Event& event);
  void RunResync();

  Registry& registry_;
  Tree& tree_;
  MountTable& mounts_;
  Waiters& waiters_;
  EventFeed& feed_;
  const Billing& billing_;
  const int wake_;
  std::atomic<bool> stopping_ = false;
  // The looker's: collected, and how many of them were dispatched.
  std::vector<Event> events_;
  std::size_t dispatched_ = 0;
  std::thread looker_;
  std::thread resyncer_;

  Mutex resync_mu_;
  CondVar resync_asked_;
  bool resync_wanted_ GUARDED_BY(resync_mu_) = false;
};

}  // namespace corral

#endif  // CORRAL_DAEMON_BELL_LOOP_H_
