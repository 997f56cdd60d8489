#include "daemon/looker_threads.h"

#include <algorithm>
#include <chrono>

#include "base/errors.h"
#include "base/log.h"
#include "base/poll.h"
#include "base/thread.h"

namespace corral {
namespace {

// Between two resyncs, so that a storm of unknown deaths costs no more than this.
constexpr auto kResyncPause = std::chrono::milliseconds(100);
constexpr auto kPauseAfterFailure = std::chrono::milliseconds(100);
constexpr auto kLongestResyncPause = std::chrono::milliseconds(1600);

}  // namespace

LookerThreads::LookerThreads(Registry& registry, Tree& tree, MountTable& mounts, Waiters& waiters,
                             EventFeed& feed, const Billing& billing, EventFd& wake)
    : registry_(registry),
      tree_(tree),
      mounts_(mounts),
      waiters_(waiters),
      feed_(feed),
      billing_(billing),
      wake_(wake),
      looker_(registry, *this) {}

LookerThreads::~LookerThreads() { Stop(); }

Result<void> LookerThreads::Start() {
  looker_thread_ = TRY(StartThread([this] { Persist("looker", &LookerThreads::RunLooker); }));
  resyncer_thread_ = TRY(StartThread([this] { Persist("resyncer", &LookerThreads::RunResyncer); }));
  return {};
}

void LookerThreads::Persist(const char* name, void (LookerThreads::*work)()) {
  for (bool again = false; !stopping_; again = true) {
    try {
      if (again) {
        std::this_thread::sleep_for(kPauseAfterFailure);
        AskForResync();
        registry_.JudgeAll();
        wake_.Wake();
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

void LookerThreads::Stop() {
  stopping_ = true;
  wake_.Wake();
  {
    MutexLock lock(resync_mu_);
    resync_asked_.NotifyAll();
  }
  if (looker_thread_.joinable()) looker_thread_.join();
  if (resyncer_thread_.joinable()) resyncer_thread_.join();
}

void LookerThreads::RunLooker() {
  while (!stopping_) {
    pollfd fds[] = {{.fd = registry_.tracker().bell_fd(), .events = POLLIN, .revents = 0},
                    {.fd = wake_.fd(), .events = POLLIN, .revents = 0}};
    const int ready = PollAll(fds, static_cast<int>(looker_.pause().count()));
    if (fds[1].revents) wake_.Reset();
    looker_.Look(ready > 0);
  }
}

std::vector<Event> LookerThreads::Collect(Registry& /*registry*/) { return feed_.Collect(); }

void LookerThreads::Dispatch(const Event& event) {
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

bool LookerThreads::Resync(Registry& /*registry*/) {
  AskForResync();
  return true;  // the resyncer sees to the rest
}

void LookerThreads::AskForResync() {
  MutexLock lock(resync_mu_);
  resync_wanted_ = true;
  resync_asked_.NotifyOne();
}

void LookerThreads::RunResyncer() {
  for (auto pause = kResyncPause;;) {
    {
      MutexLock lock(resync_mu_);
      while (!resync_wanted_ && !stopping_) resync_asked_.Wait(resync_mu_);
      if (stopping_) return;
      resync_wanted_ = false;
    }
    const bool settled = ResyncAndJudge(registry_).unsettled == 0;
    if (!settled) AskForResync();
    // A task that hangs in its exit or its exec must not cost ten walks a second.
    pause = settled ? kResyncPause : std::min(2 * pause, kLongestResyncPause);
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace corral
