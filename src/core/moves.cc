// Moves: one task, one process; css_sets made and taken away for them.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/check.h"
#include "base/errors.h"
#include "base/log.h"
#include "core/registry.h"

namespace corral {

// For a task that is about to be moved there: the set is in use from now on. What it means is
// kept, and what limits it in force, before any word can show it.
Result<CssSetId> Registry::InternLocked(const SetTuple& tuple) {
  auto interned = sets_.Intern(tuple);
  if (!interned && interned.error().code == ENOSPC && ReclaimIdleSetsLocked() > 0) {
    interned = sets_.Intern(tuple);
  }
  if (!interned) return Fail(interned.error());
  for (const Member& member : tuple) {
    Cgroup& cgroup = **FindLocked(member.cgroup, ENODEV);
    // A reused id has left before, for others: our links start judged from there.
    if (interned->made) cgroup.judged[interned->set] = interned->leaves;
    cgroup.in_use.insert(interned->set);
  }
  if (!interned->made) return interned->set;
  SetMadeLocked(interned->set);
  MarkLocked(interned->set);
  auto usable = CommitRowsLocked();
  if (usable) usable = LimitSetLocked(interned->set, tuple);
  if (!usable) {  // no word may show it
    for (const Member& member : tuple) {
      Cgroup& cgroup = **FindLocked(member.cgroup, ENODEV);
      cgroup.judged.erase(interned->set);
      cgroup.in_use.erase(interned->set);
    }
    sets_.Unlink(interned->set);
    sets_.Retire(interned->set);
    MarkLocked(interned->set);
    return Fail(usable.error());
  }
  return interned->set;
}

// For the table of sets, which keeps it. A set that was taken over and is to be retired may name a
// cgroup that is gone: its css is gone with the process before us, and nobody is in it any more.
CssList Registry::CssOfLocked(const SetTuple& tuple) const {
  CssList all;
  for (const Member& member : tuple) {
    const auto cgroup = FindLocked(member.cgroup, ENODEV);
    if (!cgroup) continue;
    const CssList& own = (*cgroup)->css;
    all.resize(std::max(all.size(), own.size()));
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (own[i]) all[i] = own[i];
    }
  }
  return all;
}

// Before a subsystem is asked or told of a move: it knows the task by then.
void Registry::IntroduceLocked(Tid tid, const Place& place) {
  if (callbacks_) callbacks_->Forked({tid, place.tgid}, place.set);
}

Cgroup& Registry::CgroupInLocked(Hierarchy& hierarchy, CgroupId id) const {
  return id.value ? **FindLocked(id, ENODEV) : hierarchy.root;
}

// Asks the subsystems about each of these that is of the process and elsewhere. One refusal, and
// all that was agreed is off (spec 13.2).
Result<Registry::Agreed> Registry::AskLocked(Cgroup& to, const std::vector<Tid>& tids, Tgid tgid) {
  Agreed agreed;
  if (to.css.empty()) return agreed;
  for (const Tid tid : tids) {
    const auto place = tracker_.Describe(tid);
    if (!place || place->tgid != tgid) continue;
    const Cgroup& from = CgroupInLocked(*to.hierarchy, sets_.PlaceIn(place->set, to.hierarchy->id));
    if (&from == &to) continue;
    IntroduceLocked(tid, *place);
    if (auto asked = subsystems_.CanAttach(to.css, from.css, tid); !asked) {
      CallOffLocked(to, agreed);
      return Fail(asked.error());
    }
    agreed.emplace(tid, &from);
  }
  return agreed;
}

void Registry::CallOffLocked(Cgroup& to, const Agreed& agreed) {
  for (const auto& [tid, from] : agreed) subsystems_.Cancel(to.css, from->css, tid);
}

// One task of process `tgid`, wherever it is. `agreed`: the subsystems have agreed to move it from
// there; else they are asked. Fills `moved` when it was elsewhere; then they wait for what comes
// of it.
Result<void> Registry::MoveTaskLocked(Cgroup& to, Tid tid, Tgid tgid, const Cgroup* agreed,
                                      std::vector<Moved>* moved) {
  const auto call_off = [&]() REQUIRES(tree_mu_) {
    if (agreed) subsystems_.Cancel(to.css, agreed->css, tid);
    agreed = nullptr;
  };
  for (;;) {
    auto place = tracker_.Describe(tid);
    if (place && place->tgid != tgid) {
      place = Fail(ESRCH, "task {} is another one by now", tid.value);
    }
    if (!place) {
      call_off();
      return Fail(place.error());
    }
    const CgroupId source = sets_.PlaceIn(place->set, to.hierarchy->id);
    if (source == to.place()) {
      call_off();
      return {};
    }
    IntroduceLocked(tid, *place);
    if (!to.css.empty()) {
      const Cgroup& from = CgroupInLocked(*to.hierarchy, source);
      if (agreed != &from) {
        call_off();
        if (auto asked = subsystems_.CanAttach(to.css, from.css, tid); !asked) return asked;
        agreed = &from;
      }
    }
    const SetTuple from = sets_.TupleOf(place->set);
    // Before the move: the set may be idle after it, and reclaimed.
    CssList from_css = callbacks_ ? sets_.CssOf(place->set) : CssList();
    auto target = InternLocked(WithPlace(from, to.hierarchy->id, to.place()));
    auto done = target ? tracker_.Move(tid, *place, *target) : Result<void>(Fail(target.error()));
    if (done) {
      moved->push_back(
          {.tid = tid, .tgid = tgid, .from = from, .from_css = std::move(from_css), .to = *target});
      return {};
    }
    // EAGAIN: a birth moved its newborn along with the parent meanwhile (I5).
    if (done.error().code != EAGAIN) {
      call_off();
      return done;
    }
  }
}

// Takes moves back, newest first. A leave of the target that was none moves the baseline of
// the next verdict along (I7): in all cgroups of the set for a task that is back, in the
// target alone for one that died there meanwhile; the answer will be that it was never there,
// so it died in its source. A thread that is not at its tid any more may have taken its place to
// its leader's by an exec (I6). Returns what stays: its old place finds no css_set any more.
std::vector<Registry::Moved> Registry::UndoLocked(Cgroup& to, const std::vector<Moved>& moved) {
  std::vector<Moved> stayed;
  for (auto move = moved.rbegin(); move != moved.rend(); ++move) {
    // Interned anew: the set it came from may have been idle and reclaimed since.
    auto back = InternLocked(move->from);
    const Place there{move->tgid, move->to};
    auto returned =
        back ? tracker_.Move(move->tid, there, *back) : Result<void>(Fail(back.error()));
    if (!returned && returned.error().code == ESRCH && move->tid.value != move->tgid.value) {
      bool execed = false;  // by a list, which a handover under way makes look again
      tracker_.ForEachTask([&](Tid tid, Place place) {
        execed = execed || (tid.value == there.tgid.value && place == there);
      });
      if (execed) returned = tracker_.Move(Tid{there.tgid.value}, there, *back);
    }
    const bool died = !returned && returned.error().code == ESRCH;
    if (!returned && !died) {
      stayed.push_back(*move);
      continue;
    }
    const CgroupId source = PlaceIn(move->from, to.hierarchy->id);
    subsystems_.Cancel(to.css, CgroupInLocked(*to.hierarchy, source).css, move->tid);
    for (const Member& member : sets_.TupleOf(move->to)) {
      if (died && member.cgroup != to.id) continue;
      auto& judged = (*FindLocked(member.cgroup, ENODEV))->judged;
      const auto at = judged.find(move->to);  // none: the table was full, and it was reclaimed
      if (at == judged.end()) continue;
      ++at->second;
      MarkLocked(move->to);
    }
    if (died && source.value) JudgeLocked(**FindLocked(source, ENODEV));
  }
  return stayed;
}

// Moves are done: flags, population and verdicts of where the tasks came from.
void Registry::CommitLocked(Cgroup& to, const std::vector<Moved>& moved) {
  if (moved.empty()) return;
  if (to.parent) SetPopulatedLocked(to, true);
  std::vector<CgroupId> sources;
  for (const Moved& move : moved) {
    const CgroupId source = PlaceIn(move.from, to.hierarchy->id);
    sources.push_back(source);
    if (callbacks_) callbacks_->Leaving({move.tid, move.tgid}, move.from_css);
    subsystems_.Attach(to.css, CgroupInLocked(*to.hierarchy, source).css, move.tid);
    if (callbacks_) callbacks_->Moved(move.tid, move.to);
  }
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  for (const CgroupId id : sources) {
    Cgroup& source = CgroupInLocked(*to.hierarchy, id);
    if (!std::exchange(source.releasable, true)) MarkLocked(source);  // any moved out (spec 9.3)
    if (source.parent) JudgeLocked(source);
  }
}

// All of it stays, or none (spec 6.8).
Result<void> Registry::FinishLocked(Cgroup& to, Result<void> done, const std::vector<Moved>& moved,
                                    const AttachGuard& guard) {
  if (done && guard) done = guard();
  CommitLocked(to, done ? moved : UndoLocked(to, moved));
  // What a moved task bore before it was taken back stays, and is seen.
  if (!done && to.parent && HasCountLocked(to)) SetPopulatedLocked(to, true);
  return done;
}

void Registry::KeepInRoots(std::set<Tgid> processes) {
  MutexLock lock(tree_mu_);
  kept_in_roots_ = std::move(processes);
}

Result<void> Registry::CheckMayGoLocked(const Cgroup& to, Tgid process) const {
  if (!to.parent || !kept_in_roots_.contains(process)) return {};
  return Fail(EPERM, "process {} is corral's own and stays in the top cgroups", process.value);
}

Result<void> Registry::Attach(CgroupId id, Tid tid, const AttachGuard& guard) {
  Operation lock(*this);
  auto to = FindLocked(id, ENODEV);
  if (!to) return Fail(to.error());
  const auto still = tracker_.HoldTasks();
  auto place = TRY(tracker_.Describe(tid));
  if (auto may = CheckMayGoLocked(**to, place.tgid); !may) return may;
  JudgeLocked(**to);
  if (meter_) meter_->Split(tid);
  std::vector<Moved> moved;
  auto done = MoveTaskLocked(**to, tid, place.tgid, nullptr, &moved);
  return FinishLocked(**to, std::move(done), moved, guard);
}

// Passes over the words until two in a row change nothing and see a live word: a thread born by
// a thread we had not moved yet is found by the next pass, one born by a moved thread is
// taken along by its birth (I5). One such pass is not enough: a maker ahead of it can make a
// thread behind it and exit (docs/concurrency.md, 4.3). A process that is never seen is gone,
// or was inside exec each time (I6): a few pauses tell.
Result<void> Registry::MoveProcessLocked(Cgroup& to, Tgid tgid, std::vector<Moved>* moved) {
  constexpr int kCleanPasses = 2;
  constexpr int kEmptyPasses = 20;
  constexpr auto kPause = std::chrono::microseconds(500);
  bool ever_seen = false;
  for (int clean = 0, empty = 0; empty < kEmptyPasses;) {
    std::vector<Tid> elsewhere;
    bool seen = false;
    tracker_.ForEachTask([&](Tid tid, Place place) {
      if (place.tgid != tgid) return;
      seen = true;
      if (sets_.PlaceIn(place.set, to.hierarchy->id) != to.place()) elsewhere.push_back(tid);
    });
    ever_seen = ever_seen || seen;
    clean = seen && elsewhere.empty() ? clean + 1 : 0;
    if (clean == kCleanPasses) return {};
    if (!seen) {
      ++empty;
      std::this_thread::sleep_for(kPause);
    }
    if (meter_ && !elsewhere.empty()) meter_->Split(tgid);
    auto agreed = TRY(AskLocked(to, elsewhere, tgid));
    for (const Tid tid : elsewhere) {
      const auto one = agreed.extract(tid);
      auto done = MoveTaskLocked(to, tid, tgid, one ? one.mapped() : nullptr, moved);
      if (done || done.error().code == ESRCH) continue;  // ESRCH: it died, fine
      CallOffLocked(to, agreed);
      return done;
    }
  }
  if (ever_seen) return {};  // it ended while we moved it
  return Fail(ESRCH, "no live process {}", tgid.value);
}

// The process of any of its tids. A leader that died before its threads, or that is inside an
// exec by one of them (I6), has no live word; its process is known by the others'.
Result<Tgid> Registry::ProcessOf(Tid tid) const {
  if (const auto place = tracker_.Describe(tid)) return place->tgid;
  bool lives = false;
  tracker_.ForEachTask([&](Tid, Place place) { lives = lives || place.tgid.value == tid.value; });
  if (lives || tracker_.Describe(tid)) return Tgid{tid.value};
  return Fail(ESRCH, "no live task {}", tid.value);
}

Result<void> Registry::AttachProcess(CgroupId id, Tid tid, const AttachGuard& guard) {
  Operation lock(*this);
  auto to = FindLocked(id, ENODEV);
  if (!to) return Fail(to.error());
  const auto still = tracker_.HoldTasks();
  auto process = TRY(ProcessOf(tid));
  if (auto may = CheckMayGoLocked(**to, process); !may) return may;
  JudgeLocked(**to);
  std::vector<Moved> moved;
  auto done = MoveProcessLocked(**to, process, &moved);
  return FinishLocked(**to, std::move(done), moved, guard);
}

// ---- css_sets that go

void Registry::AddGhostLocked(Cgroup& cgroup, CssSetId set) {
  if (!cgroup.parent) return;  // a root is never released
  if (!cgroup.ghosts.insert(set).second) return;
  unlinked_[set].waiting.push_back(cgroup.id);
  MarkLocked(set);
}

// One of its cgroups is about to go, or it is idle and the table is full.
void Registry::UnlinkSetLocked(CssSetId set) {
  Unlinked& unlinked = unlinked_[set];
  unlinked.serial = ++unlinked_serial_;
  MarkLocked(set);
  const std::uint32_t leaves = tracker_.Count(set).leaves;
  for (const Member& member : sets_.TupleOf(set)) {
    Cgroup& cgroup = **FindLocked(member.cgroup, ENODEV);
    JudgeLocked(cgroup);
    const auto judged = cgroup.judged.find(set);
    if (judged->second != leaves) {  // folded (I7)
      cgroup.unjudged = true;
      MarkLocked(cgroup);
    }
    cgroup.judged.erase(judged);
    cgroup.in_use.erase(set);
    unlinked.payees.push_back({cgroup.id});
    AddGhostLocked(cgroup, set);
  }
  sets_.Unlink(set);
}

std::size_t Registry::ReclaimIdleSetsLocked() {
  std::size_t unlinked = 0;
  for (const CssSetId set : sets_.All()) {
    if (set == kInitialSet || tracker_.Count(set).count != 0) continue;
    UnlinkSetLocked(set);
    ++unlinked;
  }
  std::vector<Retiring> candidates;
  for (const auto& [set, state] : unlinked_) {
    if (tracker_.Count(set).count == 0) candidates.emplace_back(set, state.serial);
  }
  const std::size_t retired = RetireUnlinkedLocked(BySet(tracker_.Leavers()), candidates);
  log::Warn("the css_set table is full: {} idle sets unlinked, {} retired", unlinked, retired);
  return retired;
}

// REQUIRES: the candidates counted 0 before the leavers were asked for.
std::size_t Registry::RetireUnlinkedLocked(const LeaversBySet& leavers,
                                           const std::vector<Retiring>& candidates) {
  std::size_t retired = 0;
  for (const auto& [set, serial] : candidates) {
    const auto unlinked = unlinked_.find(set);
    // Another serial: the id was retired, used and unlinked again meanwhile.
    if (unlinked == unlinked_.end() || unlinked->second.serial != serial) continue;
    if (leavers.contains(set)) continue;
    if (tracker_.Count(set).count != 0) continue;    // a birth is about to take its raise back
    if (meter_ && meter_->Owed(set) != 0) continue;  // its cgroups are not billed in full yet
    SetRetiredLocked(set, unlinked->second);
    for (const CgroupId id : unlinked->second.waiting) {
      if (auto cgroup = FindLocked(id, ENODEV)) (*cgroup)->ghosts.erase(set);
    }
    unlinked_.erase(unlinked);
    sets_.Retire(set);
    MarkLocked(set);
    ++retired;
  }
  return retired;
}

}  // namespace corral
