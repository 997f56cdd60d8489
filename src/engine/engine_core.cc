// The thread that looks: what happened is judged, announced and told.
#include "engine/engine_core.h"

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/poll.h"
#include "core/foreign_calls.h"

namespace corral {
EngineCore::EngineCore(const EngineOptions& options, EventFd wake)
    : wake_(std::move(wake)),
      tasks_(Tid{TidOf(kProgram).value + 1}, options.tasks),
      tracker_({.tids = TidOf(kProgram).value + 1 + options.tasks,
                .sets = kInitialSet.value + 1 + options.places,
                // Each set rings once before it is looked at: there is room for all.
                .bells = std::size_t{options.places} + 2,
                .machine_tasks =
                    [this] {
                      std::map<Tid, Tgid> all = tasks_.All();
                      all.emplace(TidOf(kProgram), Tgid{TidOf(kProgram).value});
                      return all;
                    },
                .rang = [this] { Wake(); }}),
      registry_(tracker_, [this] { Wake(); }),
      looker_(registry_, *this) {
  tracker_.Start(TidOf(kProgram), Tgid{TidOf(kProgram).value});
  thread_ = std::thread([this] { Run(); });
}

EngineCore::~EngineCore() {
  CORRAL_CHECK(tasks_.live() == 0);  // a Task outlives its engine
  CORRAL_CHECK(handles == 0);        // a Group does
  (void)Flush();
  stopping_ = true;
  Wake();
  thread_.join();
}

// A round that leaves nothing open answers what was asked before it began.
void EngineCore::Run() {
  std::vector<HierarchyId> ended;
  while (!stopping_) {
    pollfd fds[] = {{.fd = wake_.fd(), .events = POLLIN, .revents = 0}};
    const int ready = PollAll(fds, static_cast<int>(looker_.pause().count()));
    wake_.Reset();
    std::uint64_t asked;
    {
      MutexLock lock(rounds_mu_);
      asked = asked_;
    }
    {
      MutexLock lock(told_mu_);
      ended.insert(ended.end(), ended_.begin(), ended_.end());
      ended_.clear();
    }
    looker_.Look(ready > 0);
    TellReleases();
    if (!looker_.settled()) continue;
    ForgetCallbacks(std::exchange(ended, {}));
    MutexLock lock(rounds_mu_);
    done_ = asked;
    round_done_.NotifyAll();
  }
}

Result<void> EngineCore::Flush() {
  if (OnOwnThread()) return Fail(EDEADLK, "on_release would wait for itself");
  MutexLock lock(rounds_mu_);
  const std::uint64_t mine = ++asked_;
  Wake();
  while (done_ < mine) round_done_.Wait(rounds_mu_);
  return {};
}

void EngineCore::Dispatch(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kChanged: waiters_.Signal(event.cgroup); break;
    case Event::Kind::kReleased: RemoveIfDropped(event.cgroup); break;
    case Event::Kind::kRemoved: {
      waiters_.Signal(event.cgroup);
      if (const auto root = registry_.Root(event.hierarchy)) RemoveIfDropped(*root);
      break;
    }
  }
}

void EngineCore::TellReleases() {
  while (const auto next = registry_.queue().TryTake()) {
    const auto told = registry_.BeginNotification(*next);
    if (!told) continue;
    std::shared_ptr<const HierarchySpec> spec;
    {
      MutexLock lock(told_mu_);
      const auto found = told_.find(told->hierarchy_id);
      if (found != told_.end()) spec = found->second;
    }
    if (!spec || !spec->on_release) continue;
    const auto called = CallForeign(
        [&] { return fmt::format("on_release of hierarchy {}", spec->name); },
        [&] {
          spec->on_release({.group = told->cgroup, .hierarchy = spec->name, .path = told->path});
        });
    if (!called) log::Error("{}", called.error().message);
  }
}

void EngineCore::ForgetCallbacks(const std::vector<HierarchyId>& ended) {
  MutexLock lock(told_mu_);
  for (const HierarchyId id : ended) told_.erase(id);
}

// ---- groups that go with their handles

Result<void> EngineCore::Remove(CgroupId group) {
  const auto facts = registry_.Facts(group);
  if (!facts) return Fail(ENODEV, "the group is gone");
  auto removed =
      facts->is_root() ? registry_.DestroyHierarchy(facts->hierarchy) : registry_.Remove(group);
  if (!removed && removed.error().code == ENOENT) return Fail(ENODEV, "the group is gone");
  if (removed && facts->is_root()) {
    MutexLock lock(told_mu_);
    ended_.push_back(facts->hierarchy);
  }
  return removed;
}

// Marked first, then tried: whatever keeps it now rings when it goes.
void EngineCore::Drop(CgroupId group) {
  --handles;
  if (!registry_.Exists(group)) return;
  {
    MutexLock lock(told_mu_);
    dropped_.insert(group);
  }
  RemoveIfDropped(group);
}

void EngineCore::RemoveIfDropped(CgroupId group) {
  {
    MutexLock lock(told_mu_);
    if (!dropped_.contains(group)) return;
  }
  const auto removed = Remove(group);
  if (!removed && removed.error().code != ENODEV) return;  // used again; its next release
  MutexLock lock(told_mu_);
  dropped_.erase(group);
}

}  // namespace corral
