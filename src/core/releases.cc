// Releases: the verdict on state (I7), who must be through before it is told (spec 10.10),
// and the flags and events that depend on it.
#include <algorithm>
#include <cerrno>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "core/registry.h"

namespace corral {

bool Registry::HasCountLocked(const Cgroup& cgroup) const {
  return std::any_of(cgroup.judged.begin(), cgroup.judged.end(), [&](const auto& link) {
    return tracker_.Count(link.first).count != 0;
  });
}

// For rmdir: a count without a live word is a birth that is about to take its raise back
// (I5), nanoseconds away on another processor; look again.
bool Registry::HasLiveTaskLocked(const Cgroup& cgroup) const {
  constexpr int kLooks = 10000;
  for (int look = 0; look < kLooks; ++look) {
    if (!HasCountLocked(cgroup)) return false;
    bool live = false;
    sets_.ForEachTaskIn(cgroup.hierarchy->id, {cgroup.id}, [&](Tid, Place) { live = true; });
    if (live) return true;
    std::this_thread::yield();
  }
  log::Error("{}: a css_set counts tasks but none is found; run corral audit", BuildPath(cgroup));
  return true;
}

// Idle now, and something left since the last verdict. One load for each set gives count and
// leaves of the same instant; no task can go from one of the sets to another meanwhile, moves
// need the lock we hold and a birth enters only a set that counts its parent.
void Registry::JudgeLocked(Cgroup& cgroup) {
  if (!cgroup.parent) return;
  bool left = cgroup.unjudged;
  std::vector<std::pair<std::uint32_t*, std::uint32_t>> verdicts;
  verdicts.reserve(cgroup.judged.size());
  for (auto& [set, judged] : cgroup.judged) {
    const SetCount now = tracker_.Count(set);
    if (now.count != 0) return;  // busy; judged when it empties
    left = left || now.leaves != judged;
    verdicts.emplace_back(&judged, now.leaves);
  }
  if (!left) {
    // A birth's raise that came to nothing (I5) may have hidden that it was idle from the
    // announcement: it is told apart from a leave, but `populated` must not stay.
    if (cgroup.populated_self && !cgroup.settling) StartSettlingLocked(cgroup);
    return;
  }
  for (const auto& [judged, leaves] : verdicts) *judged = leaves;
  cgroup.unjudged = false;
  if (cgroup.notify_on_release) cgroup.releasable = true;  // spec 9.3
  if (cgroup.children.empty()) {
    cgroup.release_decided = true;
    cgroup.notify_decided = cgroup.notify_decided || cgroup.notify_on_release;
  }
  StartSettlingLocked(cgroup);
}

void Registry::StartSettlingLocked(Cgroup& cgroup) {
  if (!cgroup.parent) return;
  ++cgroup.settle_serial;
  cgroup.awaited_known = false;
  if (!cgroup.settling) {
    cgroup.settling = true;
    settling_.push_back(cgroup.id);
  }
  wake_();
}

void Registry::SetMayBeEmpty(CssSetId set) {
  MutexLock lock(tree_mu_);
  for (const Member& member : sets_.TupleOf(set)) {
    if (auto cgroup = FindLocked(member.cgroup, ENODEV)) JudgeLocked(**cgroup);
  }
  if (unlinked_.contains(set)) wake_();
}

void Registry::JudgeAll() {
  MutexLock lock(tree_mu_);
  for (const auto& [id, cgroup] : cgroups_) JudgeLocked(*cgroup);
}

// The walk over the machine's tasks is done without the lock, and after the decisions: who
// left before them and is not in it is through. What was decided again meanwhile has
// another serial and waits for the next walk.
bool Registry::Settle() {
  std::vector<std::pair<CgroupId, std::uint64_t>> batch;
  std::vector<CssSetId> unlinked;
  {
    MutexLock lock(tree_mu_);
    for (const CgroupId id : settling_) {
      if (auto cgroup = FindLocked(id, ENODEV)) batch.emplace_back(id, (*cgroup)->settle_serial);
    }
    for (const auto& [set, ghosts] : unlinked_) unlinked.push_back(set);
    if (batch.empty() && unlinked.empty()) {
      settling_.clear();
      return false;
    }
  }
  const std::vector<Leaver> leavers = tracker_.Leavers();

  MutexLock lock(tree_mu_);
  for (const auto& [id, serial] : batch) {
    auto found = FindLocked(id, ENODEV);
    if (!found || (*found)->settle_serial != serial || !(*found)->settling) continue;
    Cgroup& cgroup = **found;
    std::vector<Tid> now;
    for (const Leaver& leaver : leavers) {
      if (cgroup.judged.contains(leaver.set) ||
          std::find(cgroup.ghosts.begin(), cgroup.ghosts.end(), leaver.set) !=
              cgroup.ghosts.end()) {
        now.push_back(leaver.tid);
      }
    }
    if (cgroup.awaited_known) {
      // Only those of the first look: later ones belong to a later release.
      std::erase_if(cgroup.awaited, [&](Tid tid) {
        return std::find(now.begin(), now.end(), tid) == now.end();
      });
    } else {
      cgroup.awaited = std::move(now);
      cgroup.awaited_known = true;
    }
    if (cgroup.awaited.empty()) AnnounceLocked(cgroup);
  }
  std::erase_if(settling_, [&](CgroupId id) REQUIRES(tree_mu_) {
    auto cgroup = FindLocked(id, ENODEV);
    return !cgroup || !(*cgroup)->settling;
  });
  RetireUnlinkedLocked(leavers, unlinked);
  return !settling_.empty() || !unlinked_.empty();
}

void Registry::AnnounceLocked(Cgroup& cgroup) {
  cgroup.settling = false;
  if (!HasCountLocked(cgroup)) SetPopulatedLocked(cgroup, false);
  if (!cgroup.release_decided) return;
  cgroup.release_decided = false;
  ++cgroup.releases;
  ++cgroup.event_serial;
  EmitLocked(Event::Kind::kChanged, cgroup);
  EmitLocked(Event::Kind::kReleased, cgroup);
  if (std::exchange(cgroup.notify_decided, false) && !cgroup.queued) {
    cgroup.queued = true;  // at most once (spec 10.7)
    queue_.Push(cgroup.id);
  }
}

std::optional<Notification> Registry::BeginNotification(CgroupId id) {
  MutexLock lock(tree_mu_);
  auto found = FindLocked(id, ENODEV);
  if (!found) return std::nullopt;  // removed while it waited: dropped (spec 2)
  Cgroup& cgroup = **found;
  cgroup.queued = false;
  return Notification{.cgroup = id,
                      .hierarchy = cgroup.hierarchy->name,
                      .path = BuildPath(cgroup),
                      .agent = cgroup.hierarchy->release_agent,
                      .agent_user = cgroup.hierarchy->agent_user};
}

// ---- population and events

void Registry::SetPopulatedLocked(Cgroup& cgroup, bool populated) {
  if (cgroup.populated_self == populated) return;
  const bool was = cgroup.populated();
  cgroup.populated_self = populated;
  Cgroup* at = &cgroup;
  for (bool changed = at->populated() != was; changed;) {
    ++at->event_serial;
    EmitLocked(Event::Kind::kChanged, *at);
    Cgroup* parent = at->parent;
    if (!parent) return;
    const bool parent_was = parent->populated();
    parent->populated_children += at->populated() ? 1 : -1;
    changed = parent->populated() != parent_was;
    at = parent;
  }
}

void Registry::EmitLocked(Event::Kind kind, const Cgroup& cgroup) {
  MutexLock lock(events_mu_);
  events_.push_back({.kind = kind,
                     .cgroup = cgroup.id,
                     .hierarchy = cgroup.hierarchy->id,
                     .path = kind == Event::Kind::kChanged ? std::string() : BuildPath(cgroup),
                     .auto_remove = cgroup.auto_remove});
  wake_();
}

std::vector<Event> Registry::TakeEvents() {
  MutexLock lock(events_mu_);
  return std::exchange(events_, {});
}

// ---- flags; each passes the verdict under the old state first (I7)

Result<bool> Registry::NotifyOnRelease(CgroupId id) {
  MutexLock lock(tree_mu_);
  auto cgroup = FindLocked(id, ENODEV);
  if (!cgroup) return Fail(cgroup.error());
  return (*cgroup)->notify_on_release;
}

Result<void> Registry::SetNotifyOnRelease(CgroupId id, bool on) {
  MutexLock lock(tree_mu_);
  auto cgroup = FindLocked(id, ENODEV);
  if (!cgroup) return Fail(cgroup.error());
  JudgeLocked(**cgroup);
  (*cgroup)->notify_on_release = on;
  (*cgroup)->releasable = false;  // any write (spec 9.3)
  return {};
}

Result<bool> Registry::Releasable(CgroupId id) {
  MutexLock lock(tree_mu_);
  auto cgroup = FindLocked(id, ENODEV);
  if (!cgroup) return Fail(cgroup.error());
  JudgeLocked(**cgroup);
  return (*cgroup)->releasable;
}

// Whoever asks looks for himself: after waitpid() nobody is on the way out any more, and that
// must show at once, not when the looker comes round (spec 10.10).
Result<EventsInfo> Registry::Events(CgroupId id) {
  bool settling = false;
  {
    MutexLock lock(tree_mu_);
    auto cgroup = FindLocked(id, ENODEV);
    if (!cgroup) return Fail(cgroup.error());
    JudgeLocked(**cgroup);
    settling = (*cgroup)->settling || (*cgroup)->populated();
  }
  if (settling) Settle();
  MutexLock lock(tree_mu_);
  auto cgroup = FindLocked(id, ENODEV);
  if (!cgroup) return Fail(cgroup.error());
  return EventsInfo{.populated = (*cgroup)->populated(),
                    .releases = (*cgroup)->releases,
                    .serial = (*cgroup)->event_serial};
}

}  // namespace corral
