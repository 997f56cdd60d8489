#include "daemon/bell_loop.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>

#include "base/errors.h"
#include "base/log.h"
#include "base/thread.h"

namespace corral {
namespace {

// While a task is on its way out: look again after 1, 2, 4, ... ms. The end of a 1 GiB
// process takes about 17 ms.
constexpr int kSettleFirstMs = 1;
constexpr int kSettleMostMs = 128;
// Even without any bell: read the miss counters, and judge everything (I8).
constexpr auto kLookAnyway = std::chrono::minutes(1);
// Between two resyncs, so that a storm of unknown deaths costs no more than this.
constexpr auto kResyncPause = std::chrono::milliseconds(100);
constexpr auto kPauseAfterFailure = std::chrono::milliseconds(100);
constexpr auto kResyncPauseMost = std::chrono::milliseconds(1600);

}  // namespace

BellLoop::BellLoop(Registry& registry, Tree& tree, MountTable& mounts, Waiters& waiters,
                   EventFeed& feed, const Billing& billing, int wake)
    : registry_(registry),
      tree_(tree),
      mounts_(mounts),
      waiters_(waiters),
      feed_(feed),
      billing_(billing),
      wake_(wake) {}

BellLoop::~BellLoop() { Stop(); }

Result<void> BellLoop::Start() {
  auto looker = TRY(StartThread([this] { Persist("looker", &BellLoop::Run); }));
  looker_ = std::move(looker);
  auto resyncer = TRY(StartThread([this] { Persist("resyncer", &BellLoop::RunResync); }));
  resyncer_ = std::move(resyncer);
  return {};
}

void BellLoop::Persist(const char* name, void (BellLoop::*work)()) {
  for (bool again = false; !stopping_; again = true) {
    try {
      if (again) {
        std::this_thread::sleep_for(kPauseAfterFailure);
        ResyncNeeded();
        registry_.JudgeAll();
        (void)::eventfd_write(wake_, 1);
      }
      (this->*work)();
    } catch (...) {
      try {
        static log::Limit once_a_minute(1);
        log::WriteAtMost(once_a_minute, log::Level::kError,
                         fmt::format("the {} begins again: {}", name, CaughtError().message));
      } catch (...) {  // not even the line
      }
    }
  }
}

void BellLoop::Stop() {
  stopping_ = true;
  (void)::eventfd_write(wake_, 1);
  {
    MutexLock lock(resync_mu_);
    resync_asked_.NotifyAll();
  }
  if (looker_.joinable()) looker_.join();
  if (resyncer_.joinable()) resyncer_.join();
}

void BellLoop::SetMayBeEmpty(CssSetId set) { registry_.SetMayBeEmpty(set); }

void BellLoop::ResyncNeeded() {
  MutexLock lock(resync_mu_);
  resync_wanted_ = true;
  resync_asked_.NotifyOne();
}

void BellLoop::Run() {
  using Clock = std::chrono::steady_clock;
  int backoff_ms = 0;  // 0: nothing waits for a task on its way out
  auto look_anyway = Clock::now() + kLookAnyway;
  while (!stopping_) {
    pollfd fds[] = {{.fd = registry_.tracker().bell_fd(), .events = POLLIN, .revents = 0},
                    {.fd = wake_, .events = POLLIN, .revents = 0}};
    const int idle_ms = std::chrono::milliseconds(kLookAnyway).count();
    const int ready = ::poll(fds, 2, backoff_ms ? backoff_ms : idle_ms);
    if (fds[1].revents) {
      eventfd_t value;
      (void)::eventfd_read(wake_, &value);
    }
    registry_.tracker().Drain(*this);
    if (Clock::now() >= look_anyway) {
      registry_.JudgeAll();
      look_anyway = Clock::now() + kLookAnyway;
    }
    const bool waiting = registry_.Settle();
    if (!waiting) {
      backoff_ms = 0;
    } else if (ready > 0 || backoff_ms == 0) {
      backoff_ms = kSettleFirstMs;
    } else {
      backoff_ms = std::min(2 * backoff_ms, kSettleMostMs);
    }
    if (events_.empty()) events_ = feed_.Collect();
    for (; dispatched_ < events_.size(); ++dispatched_) Dispatch(events_[dispatched_]);
    events_.clear();
    dispatched_ = 0;
  }
}

void BellLoop::Dispatch(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kChanged:
      mounts_.NotifyChanged(event.cgroup);
      waiters_.Signal(event.cgroup);
      break;
    case Event::Kind::kReleased:
      log::Debug("{} released", event.path);
      if (event.auto_remove && !billing_.Holds(event.cgroup))
        (void)registry_.Remove(event.cgroup);  // EBUSY: used again
      break;
    case Event::Kind::kRemoved:
      tree_.Forget(event.cgroup);
      mounts_.NotifyChanged(event.cgroup);
      waiters_.Signal(event.cgroup);
      break;
  }
}

void BellLoop::RunResync() {
  auto pause = kResyncPause;
  for (;;) {
    {
      MutexLock lock(resync_mu_);
      while (!resync_wanted_ && !stopping_) resync_asked_.Wait(resync_mu_);
      if (stopping_) return;
      resync_wanted_ = false;
    }
    const AuditReport report = registry_.tracker().Resync();
    if (!report.differences.empty()) {
      log::Warn("resync: {} differences, {} repaired; the first: {}", report.differences.size(),
                report.repaired, report.differences.front());
      registry_.JudgeAll();
    }
    if (report.unsettled != 0) ResyncNeeded();  // could not be judged yet: look again
    // A task that hangs in its exit or its exec must not cost ten walks a second.
    pause = report.unsettled != 0 ? std::min(2 * pause, kResyncPauseMost) : kResyncPause;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace corral
