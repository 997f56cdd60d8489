#include "core/releases.h"

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "base/log.h"
#include "core/core.h"

namespace corral {

Releases::Releases(Core& core)
    : tracker_(core.tracker),
      tree_(core.tree),
      sets_(core.sets),
      leaving_sets_(core.leaving_sets),
      puts_(core.puts),
      events_(core.events),
      notifications_(core.notifications),
      persistence_(core.persistence),
      wake_(core.wake) {}

// ---- looks

bool Releases::HasCount(const Cgroup& cgroup) const {
  return std::any_of(cgroup.release.in_use.begin(), cgroup.release.in_use.end(),
                     [&](CssSetId set) { return tracker_.Count(set).count != 0; });
}

// A count without a live word is a birth that is about to take its raise back (I5), nanoseconds
// away on another processor; look again.
bool Releases::HasLiveTask(const Cgroup& cgroup) const {
  constexpr int kLooks = 10000;
  for (int look = 0; look < kLooks; ++look) {
    if (!HasCount(cgroup)) return false;
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
bool Releases::LookAtSet(Cgroup& cgroup, CssSetId set) {
  ReleaseState& release = cgroup.release;
  const SetCount now = tracker_.Count(set);
  if (now.count != 0) {
    release.in_use.insert(set);
    return false;
  }
  const auto judged = release.judged.find(set);
  if (std::exchange(judged->second, now.leaves) != now.leaves) {
    release.unjudged = true;
    persistence_.Mark(set);
    persistence_.Mark(cgroup);
  }
  release.in_use.erase(set);
  return true;
}

// ---- verdicts

// Idle now, and something left since the last verdict. One load for each set gives count and
// leaves of the same instant; no task can go from one of the sets to another meanwhile, moves
// need the lock we hold and a birth enters only a set that counts its parent. For the same
// reason a set that counts 0 stays so until a task is moved to it.
void Releases::Judge(Cgroup& cgroup) {
  if (!cgroup.parent) return;
  puts_.TakeNotes();
  ReleaseState& release = cgroup.release;
  while (!release.in_use.empty()) {
    if (!LookAtSet(cgroup, *release.in_use.begin())) return;  // busy; judged when it empties
  }
  if (!release.unjudged) {
    // A birth's raise that came to nothing (I5) may have hidden that it was idle from the
    // announcement: it is told apart from a leave, but `populated` must not stay.
    if (cgroup.shown.populated_self && !release.settling) StartSettling(cgroup);
    return;
  }
  release.unjudged = false;
  if (cgroup.notify_on_release) cgroup.releasable = true;  // spec 9.3
  if (cgroup.children.empty() && !SubsystemTable::AnyReference(cgroup.css)) {
    release.decided = true;
    if (cgroup.notify_on_release) notifications_.Decide(cgroup);
  }
  StartSettling(cgroup);
}

// Each set that rang is looked at by itself: a cgroup that is busy through another one would
// keep it among those in use.
void Releases::JudgeSet(CssSetId set) {
  for (const Member& member : sets_.TupleOf(set)) {
    auto cgroup = tree_.Find(member.cgroup, ENODEV);
    if (!cgroup) continue;
    if ((*cgroup)->release.judged.contains(set)) LookAtSet(**cgroup, set);
    Judge(**cgroup);
  }
  if (leaving_sets_.Contains(set)) wake_();
}

void Releases::JudgeAll() {
  for (const auto& [id, cgroup] : tree_.cgroups()) {
    for (const auto& [set, leaves] : cgroup->release.judged) LookAtSet(*cgroup, set);
    Judge(*cgroup);
  }
}

void Releases::JudgeBelow(Cgroup& top) {
  for (Cgroup* const cgroup : WithAllBelow(top)) Judge(*cgroup);
}

void Releases::JudgePuts() {
  for (const CgroupId id : puts_.TakeToJudge()) {
    if (auto cgroup = tree_.Find(id, ENODEV)) Judge(**cgroup);
  }
}

// A child's last exit must show in its parents, too. A look for leavers changes nothing when one is
// busy, for then so is all above it; else all that is populated waits for leavers.
bool Releases::JudgePopulated(Cgroup& top) {
  std::vector<Cgroup*> todo{&top};
  while (!todo.empty()) {
    Cgroup& cgroup = *todo.back();
    todo.pop_back();
    Judge(cgroup);
    if (cgroup.parent && !cgroup.release.in_use.empty()) return top.release.settling;
    if (!cgroup.parent || cgroup.shown.populated_children == 0) continue;
    for (const auto& [name, child] : cgroup.children) {
      if (child->populated()) todo.push_back(child.get());
    }
  }
  return top.release.settling || (top.parent && top.populated());
}

// ---- settling

void Releases::StartSettling(Cgroup& cgroup) {
  if (!cgroup.parent) return;
  persistence_.Mark(cgroup);
  ReleaseState& release = cgroup.release;
  ++release.serial;
  release.awaited_known = false;
  if (!release.settling) {
    release.settling = true;
    settling_.push_back(cgroup.id);
  }
  wake_();
}

Releases::Batch Releases::TakeBatch() const {
  Batch batch;
  for (const CgroupId id : settling_) {
    const Cgroup* cgroup = notifications_.FindOrDeparted(id);
    if (cgroup) batch.emplace_back(id, cgroup->release.serial);
  }
  return batch;
}

// Who left before the decision and is not among the leavers is through. What was decided again
// meanwhile has another serial and waits for the next walk.
void Releases::Settle(const Batch& batch, const LeaversBySet& leavers) {
  std::unordered_map<CgroupId, std::vector<Tid>> leaving;  // by the cgroups that wait for them
  for (const auto& [set, tids] : leavers) {
    const auto tell = [&](CgroupId id) {
      std::vector<Tid>& all = leaving[id];
      all.insert(all.end(), tids.begin(), tids.end());
    };
    if (const auto* const waiting = leaving_sets_.WaitingFor(set)) {
      for (const CgroupId id : *waiting) tell(id);
    } else {
      for (const Member& member : sets_.TupleOf(set)) tell(member.cgroup);
    }
  }
  for (const auto& [id, serial] : batch) {
    Cgroup* const found = notifications_.FindOrDeparted(id);
    if (!found || found->release.serial != serial || !found->release.settling) continue;
    const auto left = leaving.find(id);
    Await(*found, left == leaving.end() ? std::vector<Tid>() : std::move(left->second));
  }
  std::erase_if(settling_, [&](CgroupId id) REQUIRES(the_tree) {
    const Cgroup* cgroup = notifications_.FindOrDeparted(id);
    return !cgroup || !cgroup->release.settling;
  });
}

// Announces it when nobody is awaited any more. Only those of the first look are: later ones
// belong to a later release.
void Releases::Await(Cgroup& cgroup, std::vector<Tid> leaving) {
  ReleaseState& release = cgroup.release;
  if (release.awaited_known) {
    std::sort(leaving.begin(), leaving.end());
    std::erase_if(release.awaited, [&](Tid tid) {
      return !std::binary_search(leaving.begin(), leaving.end(), tid);
    });
  } else {
    release.awaited = std::move(leaving);
    release.awaited_known = true;
  }
  if (release.awaited.empty()) Announce(cgroup);
}

void Releases::Announce(Cgroup& cgroup) {
  persistence_.Mark(cgroup);
  ReleaseState& release = cgroup.release;
  release.settling = false;
  if (notifications_.AnnounceDeparted(cgroup)) return;
  // Not while a set is in use or a leave is not judged: somebody may have come and left since
  // the walk; the verdict on that settles again.
  if (release.in_use.empty() && !release.unjudged) events_.SetPopulated(cgroup, false);
  if (!release.decided) return;
  release.decided = false;
  events_.CountRelease(cgroup);
  notifications_.Queue(cgroup);
}

}  // namespace corral
