// Releases: the verdict on state (I7), who must be through before it is told (spec 10.10),
// and the flags and events that depend on it.
#include <algorithm>
#include <cerrno>
#include <thread>

#include "base/check.h"
#include "base/errors.h"
#include "base/log.h"
#include "core/registry.h"

namespace corral {

bool Registry::HasCountLocked(const Cgroup& cgroup) const {
  return std::any_of(cgroup.in_use.begin(), cgroup.in_use.end(),
                     [&](CssSetId set) { return tracker_.Count(set).count != 0; });
}

// For rmdir: a count without a live word is a birth that is about to take its raise back
// (I5), nanoseconds away on another processor; look again.
bool Registry::HasLiveTaskLocked(const Cgroup& cgroup) const {
  constexpr int kLooks = 10000;
  for (int look = 0; look < kLooks; ++look) {
    if (!HasCountLocked(cgroup)) return false;
    bool live = false;
    sets_.ForEachTaskIn(
        cgroup.hierarchy->id, [&](CgroupId at) { return at == cgroup.id; },
        [&](Tid, Place) { live = true; });
    if (live) return true;
    std::this_thread::yield();
  }
  log::Error("{}: a css_set counts tasks but none is found; run corral audit", ShownPath(cgroup));
  return true;
}

// Whether a set of the cgroup counts 0. Then it is out of use, and what left it is remembered
// until all of them are.
bool Registry::LookAtSetLocked(Cgroup& cgroup, CssSetId set) {
  const SetCount now = tracker_.Count(set);
  if (now.count != 0) {
    cgroup.in_use.insert(set);
    return false;
  }
  const auto judged = cgroup.judged.find(set);
  if (std::exchange(judged->second, now.leaves) != now.leaves) {
    cgroup.unjudged = true;
    MarkLocked(set);
    MarkLocked(cgroup);
  }
  cgroup.in_use.erase(set);
  return true;
}

// Idle now, and something left since the last verdict. One load for each set gives count and
// leaves of the same instant; no task can go from one of the sets to another meanwhile, moves
// need the lock we hold and a birth enters only a set that counts its parent. For the same
// reason a set that counts 0 stays so until a task is moved to it.
void Registry::JudgeLocked(Cgroup& cgroup) {
  if (!cgroup.parent) return;
  TakePutsLocked();
  while (!cgroup.in_use.empty()) {
    if (!LookAtSetLocked(cgroup, *cgroup.in_use.begin())) return;  // busy; judged when it empties
  }
  if (!cgroup.unjudged) {
    // A birth's raise that came to nothing (I5) may have hidden that it was idle from the
    // announcement: it is told apart from a leave, but `populated` must not stay.
    if (cgroup.populated_self && !cgroup.settling) StartSettlingLocked(cgroup);
    return;
  }
  cgroup.unjudged = false;
  if (cgroup.notify_on_release) cgroup.releasable = true;  // spec 9.3
  if (cgroup.children.empty() && !SubsystemTable::AnyReference(cgroup.css)) {
    cgroup.release_decided = true;
    if (cgroup.notify_on_release) DecideNotificationLocked(cgroup);
  }
  StartSettlingLocked(cgroup);
}

void Registry::StartSettlingLocked(Cgroup& cgroup) {
  if (!cgroup.parent) return;
  MarkLocked(cgroup);
  ++cgroup.settle_serial;
  cgroup.awaited_known = false;
  if (!cgroup.settling) {
    cgroup.settling = true;
    settling_.push_back(cgroup.id);
  }
  wake_();
}

// Each set that rang is looked at by itself: a cgroup that is busy through another one would
// keep it among those in use.
void Registry::SetMayBeEmpty(CssSetId set) {
  Operation lock(*this);
  for (const Member& member : sets_.TupleOf(set)) {
    auto cgroup = FindLocked(member.cgroup, ENODEV);
    if (!cgroup) continue;
    if ((*cgroup)->judged.contains(set)) LookAtSetLocked(**cgroup, set);
    JudgeLocked(**cgroup);
  }
  if (unlinked_.contains(set)) wake_();
}

// Believes nothing: looks at every set of every cgroup.
void Registry::JudgeAll() {
  Operation lock(*this);
  for (const auto& [id, cgroup] : cgroups_) {
    for (const auto& [set, leaves] : cgroup->judged) LookAtSetLocked(*cgroup, set);
    JudgeLocked(*cgroup);
  }
}

Registry::LeaversBySet Registry::BySet(const std::vector<Leaver>& leavers) {
  LeaversBySet by_set;
  for (const Leaver& leaver : leavers) by_set[leaver.set].push_back(leaver.tid);
  return by_set;
}

bool Registry::Settle() {
  MutexLock walking(settle_mu_);
  return SettleOnce();
}

// The walk over the machine's tasks is done without the tree's lock, and after the decisions:
// who left before them and is not in it is through. What was decided again meanwhile has
// another serial and waits for the next walk.
bool Registry::SettleOnce() {
  Batch batch;
  {
    Operation lock(*this);
    JudgePutsLocked();
    batch = TakeBatchLocked();
    if (batch.decided.empty() && batch.unlinked.empty()) {
      settling_.clear();
      return !unlinked_.empty();
    }
  }
  const LeaversBySet leavers = BySet(tracker_.Leavers());

  Operation lock(*this);
  std::unordered_map<CgroupId, std::vector<Tid>> leaving;  // by the cgroups that wait for them
  for (const auto& [set, tids] : leavers) {
    const auto tell = [&](CgroupId id) {
      std::vector<Tid>& all = leaving[id];
      all.insert(all.end(), tids.begin(), tids.end());
    };
    if (const auto unlinked = unlinked_.find(set); unlinked != unlinked_.end()) {
      for (const CgroupId id : unlinked->second.waiting) tell(id);
    } else {
      for (const Member& member : sets_.TupleOf(set)) tell(member.cgroup);
    }
  }
  for (const auto& [id, serial] : batch.decided) {
    Cgroup* const found = FindSettlingLocked(id);
    if (!found || found->settle_serial != serial || !found->settling) continue;
    const auto left = leaving.find(id);
    AwaitLocked(*found, left == leaving.end() ? std::vector<Tid>() : std::move(left->second));
  }
  std::erase_if(settling_, [&](CgroupId id) REQUIRES(tree_mu_) {
    const Cgroup* cgroup = FindSettlingLocked(id);
    return !cgroup || !cgroup->settling;
  });
  RetireUnlinkedLocked(leavers, batch.unlinked);
  return !settling_.empty() || !unlinked_.empty();
}

Registry::Batch Registry::TakeBatchLocked() const {
  Batch batch;
  for (const CgroupId id : settling_) {
    const Cgroup* cgroup = FindSettlingLocked(id);
    if (cgroup) batch.decided.emplace_back(id, cgroup->settle_serial);
  }
  for (const auto& [set, state] : unlinked_) {
    // Not 0: a birth is about to take its raise back.
    if (tracker_.Count(set).count != 0) continue;
    batch.unlinked.emplace_back(set, state.serial);
  }
  return batch;
}

// Announces it when nobody is awaited any more. Only those of the first look are: later ones
// belong to a later release.
void Registry::AwaitLocked(Cgroup& cgroup, std::vector<Tid> leaving) {
  if (cgroup.awaited_known) {
    std::sort(leaving.begin(), leaving.end());
    std::erase_if(cgroup.awaited, [&](Tid tid) {
      return !std::binary_search(leaving.begin(), leaving.end(), tid);
    });
  } else {
    cgroup.awaited = std::move(leaving);
    cgroup.awaited_known = true;
  }
  if (cgroup.awaited.empty()) AnnounceLocked(cgroup);
}

void Registry::AnnounceLocked(Cgroup& cgroup) {
  MarkLocked(cgroup);
  cgroup.settling = false;
  if (const auto departed = departed_.extract(cgroup.id)) {
    QueueNotificationsLocked(cgroup);
    --cgroup.hierarchy->waiting;
    return;
  }
  // Not while a set is in use or a leave is not judged: somebody may have come and left since
  // the walk; the verdict on that settles again.
  if (cgroup.in_use.empty() && !cgroup.unjudged) SetPopulatedLocked(cgroup, false);
  if (!cgroup.release_decided) return;
  cgroup.release_decided = false;
  ++cgroup.releases;
  ++cgroup.event_serial;
  EmitLocked(Event::Kind::kChanged, cgroup);
  EmitLocked(Event::Kind::kReleased, cgroup);
  QueueNotificationsLocked(cgroup);
}

// ---- population and events

void Registry::SetPopulatedLocked(Cgroup& cgroup, bool populated) {
  if (cgroup.populated_self == populated) return;
  const bool was = cgroup.populated();
  cgroup.populated_self = populated;
  MarkLocked(cgroup);
  Cgroup* at = &cgroup;
  for (bool changed = at->populated() != was; changed;) {
    ++at->event_serial;
    EmitLocked(Event::Kind::kChanged, *at, at->populated());
    Cgroup* parent = at->parent;
    if (!parent) return;
    const bool parent_was = parent->populated();
    parent->populated_children += at->populated() ? 1 : -1;
    changed = parent->populated() != parent_was;
    at = parent;
  }
}

void Registry::EmitLocked(Event::Kind kind, const Cgroup& cgroup, std::optional<bool> populated) {
  emitted_.push_back({.kind = kind,
                      .cgroup = cgroup.id,
                      .hierarchy = cgroup.hierarchy->id,
                      .path = tells_paths_ && kind != Event::Kind::kChanged
                                  ? PathWithin(cgroup, kMostTold, kMostLevelsTold).value_or("")
                                  : std::string(),
                      .auto_remove = cgroup.auto_remove,
                      .populated = populated});
}

void Registry::TellPaths(bool on) {
  MutexLock lock(tree_mu_);
  tells_paths_ = on;
}

std::vector<Event> Registry::TakeEvents() {
  MutexLock lock(events_mu_);
  return std::exchange(events_, {});
}

// ---- flags; each passes the verdict under the old state first (I7)

Result<bool> Registry::NotifyOnRelease(CgroupId id) {
  Operation lock(*this);
  auto cgroup = TRY(FindLocked(id, ENODEV));
  return cgroup->notify_on_release;
}

Result<void> Registry::SetNotifyOnRelease(CgroupId id, bool on) {
  Operation lock(*this);
  auto cgroup = FindLocked(id, ENODEV);
  if (!cgroup) return Fail(cgroup.error());
  JudgeLocked(**cgroup);
  (*cgroup)->notify_on_release = on;
  (*cgroup)->releasable = false;  // any write (spec 9.3)
  MarkLocked(**cgroup);
  return {};
}

Result<bool> Registry::CloneChildren(CgroupId id) const {
  MutexLock lock(tree_mu_);
  auto cgroup = TRY(FindLocked(id, ENODEV));
  return cgroup->clone_children;
}

Result<void> Registry::SetCloneChildren(CgroupId id, bool on) {
  Operation lock(*this);
  auto cgroup = FindLocked(id, ENODEV);
  if (!cgroup) return Fail(cgroup.error());
  (*cgroup)->clone_children = on;
  MarkLocked(**cgroup);
  return {};
}

Result<bool> Registry::Releasable(CgroupId id) {
  Operation lock(*this);
  auto cgroup = FindLocked(id, ENODEV);
  if (!cgroup) return Fail(cgroup.error());
  JudgeLocked(**cgroup);
  return (*cgroup)->releasable;
}

// Judges the cgroup, and as long as it has no tasks itself what is populated below it: a child's
// last exit must show in its parents, too. Whether a look for leavers can change what it shows: not
// when one is busy, for then so is all above it; else all that is populated waits for leavers.
bool Registry::JudgePopulatedLocked(Cgroup& top) {
  std::vector<Cgroup*> todo{&top};
  while (!todo.empty()) {
    Cgroup& cgroup = *todo.back();
    todo.pop_back();
    JudgeLocked(cgroup);
    if (cgroup.parent && !cgroup.in_use.empty()) return top.settling;
    if (!cgroup.parent || cgroup.populated_children == 0) continue;
    for (const auto& [name, child] : cgroup.children) {
      if (child->populated()) todo.push_back(child.get());
    }
  }
  return top.settling || (top.parent && top.populated());
}

EventsInfo Registry::EventsLocked(const Cgroup& cgroup) const {
  return {
      .populated = cgroup.populated(), .releases = cgroup.releases, .serial = cgroup.event_serial};
}

// Whoever asks looks for himself: after waitpid() nobody is on the way out any more, and that
// must show at once, not when the looker comes round (spec 10.10).
Result<EventsInfo> Registry::Events(CgroupId id) {
  {
    Operation lock(*this);
    auto cgroup = FindLocked(id, ENODEV);
    if (!cgroup) return Fail(cgroup.error());
    if (!JudgePopulatedLocked(**cgroup)) return EventsLocked(**cgroup);
  }
  MutexLock walking(settle_mu_);
  {
    Operation lock(*this);
    auto cgroup = FindLocked(id, ENODEV);
    if (!cgroup) return Fail(cgroup.error());
    // Somebody else's walk may have told it.
    if (!JudgePopulatedLocked(**cgroup)) return EventsLocked(**cgroup);
  }
  SettleOnce();
  Operation lock(*this);
  auto cgroup = FindLocked(id, ENODEV);
  if (!cgroup) return Fail(cgroup.error());
  return EventsLocked(**cgroup);
}

// As Events() for each cgroup, with one walk for all of them. A task is told with the cgroups of
// the same moment.
Result<std::vector<TreeNode>> Registry::Subtree(CgroupId id, const ListOptions& options) {
  bool open = false;
  {
    Operation lock(*this);
    auto top = TRY(FindLocked(id, ENOENT));
    std::vector<Cgroup*> all{top};
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i]->populated_self) JudgeLocked(*all[i]);
      open |= all[i]->settling;
      for (const auto& [name, child] : all[i]->children) all.push_back(child.get());
    }
  }
  if (open) Settle();

  Operation lock(*this);
  auto top = TRY(FindLocked(id, ENOENT));
  const HierarchyId hierarchy = top->hierarchy->id;
  std::vector<TreeNode> nodes;
  std::unordered_map<CgroupId, std::size_t> node_at;  // by place in tuples
  struct Step {
    const Cgroup* cgroup;
    std::size_t parent;
    std::size_t depth;
  };
  std::vector<Step> todo{{top, 0, 0}};
  while (!todo.empty()) {
    const auto [cgroup, parent, depth] = todo.back();
    todo.pop_back();
    const std::size_t at = nodes.size();
    node_at.emplace(cgroup->place(), at);
    nodes.push_back({.id = cgroup->id,
                     .parent = parent,
                     .name = cgroup->name,
                     .children = cgroup->children.size(),
                     .populated = cgroup->populated(),
                     .notify_on_release = cgroup->notify_on_release});
    if (depth == options.depth) continue;
    for (auto child = cgroup->children.rbegin(); child != cgroup->children.rend(); ++child) {
      todo.push_back({child->second.get(), at, depth + 1});
    }
  }
  std::vector<TaskMember> members;
  std::unordered_map<CssSetId, std::size_t> in_set;
  sets_.ForEachTaskIn(
      hierarchy, [&](CgroupId at) { return node_at.contains(at); },
      [&](Tid tid, Place place) {
        ++in_set[place.set];
        if (options.tasks) members.push_back({tid, place.tgid, place.set});
      });
  std::unordered_map<CssSetId, std::size_t> node_of;
  for (const auto& [set, count] : in_set) {
    const std::size_t at = node_of[set] = node_at.at(sets_.PlaceIn(set, hierarchy));
    nodes[at].tasks += count;
  }
  for (const TaskMember& task : members) {
    options.tasks->push_back({task.tid, task.tgid, node_of.at(task.set)});
  }
  return nodes;
}

}  // namespace corral
