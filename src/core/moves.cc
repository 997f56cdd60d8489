#include "core/moves.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/errors.h"
#include "core/core.h"

namespace corral {

Moves::Moves(Core& core)
    : tracker_(core.tracker),
      subsystems_(core.subsystems),
      tree_(core.tree),
      sets_(core.sets),
      set_links_(core.set_links),
      releases_(core.releases),
      events_(core.events),
      births_(core.births),
      cpu_ledger_(core.cpu_ledger),
      persistence_(core.persistence) {}

void Moves::KeepInRoots(std::set<Tgid> processes) { kept_in_roots_ = std::move(processes); }

Result<void> Moves::CheckMayGo(const Cgroup& to, Tgid process) const {
  if (!to.parent || !kept_in_roots_.contains(process)) return {};
  return Fail(EPERM, "process {} is corral's own and stays in the top groups", process.value);
}

// A leader that died before its threads, or that is inside an exec by one of them (I6), has no
// live word; its process is known by the others'.
Result<Tgid> Moves::ProcessOf(const Tracker& tracker, Tid tid) {
  if (const auto place = tracker.Describe(tid)) return place->tgid;
  bool lives = false;
  tracker.ForEachTask([&](Tid, Place place) { lives = lives || place.tgid.value == tid.value; });
  if (lives || tracker.Describe(tid)) return Tgid{tid.value};
  return Fail(ESRCH, "no live task {}", tid.value);
}

// ---- one task

Result<void> Moves::MoveTask(Cgroup& to, Tid tid, Tgid tgid, std::vector<Moved>* moved) {
  cpu_ledger_.Split(tid);
  return MoveAgreed(to, tid, tgid, nullptr, moved);
}

// `agreed`: the subsystems have agreed to move it from there; else they are asked.
Result<void> Moves::MoveAgreed(Cgroup& to, Tid tid, Tgid tgid, const Cgroup* agreed,
                               std::vector<Moved>* moved) {
  const auto call_off = [&]() REQUIRES(the_tree) {
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
    Introduce(tid, *place);
    if (!to.css.empty()) {
      const Cgroup& from = tree_.CgroupIn(*to.hierarchy, source);
      if (agreed != &from) {
        call_off();
        TRY(subsystems_.CanAttach(to.css, from.css, tid));
        agreed = &from;
      }
    }
    const SetTuple from = sets_.TupleOf(place->set);
    // Before the move: the set may be idle after it, and reclaimed.
    CssList from_css = births_.callbacks() ? sets_.CssOf(place->set) : CssList();
    auto target = set_links_.Intern(WithPlace(from, to.hierarchy->id, to.place()));
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

// Before a subsystem is asked or told of a move: it knows the task by then.
void Moves::Introduce(Tid tid, const Place& place) {
  if (auto* const callbacks = births_.callbacks()) callbacks->Forked({tid, place.tgid}, place.set);
}

// ---- a process

// Passes over the words until two in a row change nothing and see a live word: a thread born by
// a thread we had not moved yet is found by the next pass, one born by a moved thread is
// taken along by its birth (I5). One such pass is not enough: a maker ahead of it can make a
// thread behind it and exit (docs/concurrency.md, 4.3).
//
// Once it was seen and is not any more, it has ended, or is inside exec (I6). The latter is soon
// over, and what has been moved may have to be undone: so it is waited for with the tree locked,
// for some 10 ms at most, without sleeping.
Result<Moves::Seen> Moves::MoveProcess(Cgroup& to, Tgid tgid, std::vector<Moved>* moved) {
  constexpr int kCleanPasses = 2;
  constexpr int kEmptyPasses = 20;
  constexpr std::chrono::microseconds kBetweenPasses{500};
  bool ever_seen = false;
  for (int clean = 0, empty = 0; empty < kEmptyPasses;) {
    const Pass pass = LookFor(tgid, to);
    if (!pass.seen) {
      if (!ever_seen) return Seen::kNobody;
      clean = 0;
      ++empty;
      // By the clock: a yield can cost nothing, or the time slice of somebody else.
      const auto end = std::chrono::steady_clock::now() + kBetweenPasses;
      while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
      continue;
    }
    ever_seen = true;
    clean = pass.elsewhere.empty() ? clean + 1 : 0;
    if (clean == kCleanPasses) return Seen::kYes;
    TRY(MoveAll(to, pass.elsewhere, tgid, moved));
  }
  return Seen::kYes;  // it ended while we moved it
}

Moves::Pass Moves::LookFor(Tgid tgid, const Cgroup& to) const {
  Pass pass;
  tracker_.ForEachTask([&](Tid tid, Place place) {
    if (place.tgid != tgid) return;
    pass.seen = true;
    if (sets_.PlaceIn(place.set, to.hierarchy->id) != to.place()) pass.elsewhere.push_back(tid);
  });
  return pass;
}

Result<void> Moves::MoveAll(Cgroup& to, const std::vector<Tid>& tids, Tgid tgid,
                            std::vector<Moved>* moved) {
  if (tids.empty()) return {};
  cpu_ledger_.Split(tgid);
  auto agreed = TRY(Ask(to, tids, tgid));
  for (const Tid tid : tids) {
    const auto one = agreed.extract(tid);
    auto done = MoveAgreed(to, tid, tgid, one ? one.mapped() : nullptr, moved);
    if (done || done.error().code == ESRCH) continue;  // ESRCH: it died, fine
    CallOff(to, agreed);
    return done;
  }
  return {};
}

// Asks the subsystems about each of these that is of the process and elsewhere. One refusal, and
// all that was agreed is off (spec 13.2).
Result<Moves::Agreed> Moves::Ask(Cgroup& to, const std::vector<Tid>& tids, Tgid tgid) {
  Agreed agreed;
  if (to.css.empty()) return agreed;
  for (const Tid tid : tids) {
    const auto place = tracker_.Describe(tid);
    if (!place || place->tgid != tgid) continue;
    const Cgroup& from = tree_.CgroupIn(*to.hierarchy, sets_.PlaceIn(place->set, to.hierarchy->id));
    if (&from == &to) continue;
    Introduce(tid, *place);
    if (auto asked = subsystems_.CanAttach(to.css, from.css, tid); !asked) {
      CallOff(to, agreed);
      return Fail(asked.error());
    }
    agreed.emplace(tid, &from);
  }
  return agreed;
}

void Moves::CallOff(Cgroup& to, const Agreed& agreed) {
  for (const auto& [tid, from] : agreed) subsystems_.Cancel(to.css, from->css, tid);
}

// ---- the end of a move

Result<void> Moves::Finish(Cgroup& to, Result<void> done, const std::vector<Moved>& moved,
                           const AttachGuard& guard) {
  if (done && guard) done = guard();
  Commit(to, done ? moved : Undo(to, moved));
  // What a moved task bore before it was taken back stays, and is seen.
  if (!done && to.parent && releases_.HasCount(to)) events_.SetPopulated(to, true);
  return done;
}

// Flags, population and verdicts of where the tasks came from.
void Moves::Commit(Cgroup& to, const std::vector<Moved>& moved) {
  if (moved.empty()) return;
  if (to.parent) events_.SetPopulated(to, true);
  TaskCallbacks* const callbacks = births_.callbacks();
  std::vector<CgroupId> sources;
  for (const Moved& move : moved) {
    const CgroupId source = PlaceIn(move.from, to.hierarchy->id);
    sources.push_back(source);
    if (callbacks) callbacks->Leaving({move.tid, move.tgid}, move.from_css);
    subsystems_.Attach(to.css, tree_.CgroupIn(*to.hierarchy, source).css, move.tid);
    if (callbacks) callbacks->Moved(move.tid, move.to);
  }
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  for (const CgroupId id : sources) {
    Cgroup& source = tree_.CgroupIn(*to.hierarchy, id);
    if (!std::exchange(source.releasable, true)) {
      persistence_.Mark(source);  // any moved out (spec 9.3)
    }
    if (source.parent) releases_.Judge(source);
  }
}

// Takes moves back, newest first. Returns what stays: its old place finds no css_set any more.
std::vector<Moves::Moved> Moves::Undo(Cgroup& to, const std::vector<Moved>& moved) {
  std::vector<Moved> stayed;
  for (auto move = moved.rbegin(); move != moved.rend(); ++move) {
    const auto returned = MoveBack(*move);
    const bool died = !returned && returned.error().code == ESRCH;
    if (!returned && !died) {
      stayed.push_back(*move);
      continue;
    }
    const CgroupId source = PlaceIn(move->from, to.hierarchy->id);
    subsystems_.Cancel(to.css, tree_.CgroupIn(*to.hierarchy, source).css, move->tid);
    ForgetLeave(to, *move, died);
    if (died && source.value) releases_.Judge(**tree_.Find(source, ENODEV));
  }
  return stayed;
}

// A thread that is not at its tid any more may have taken its place to its leader's by an exec
// (I6).
Result<void> Moves::MoveBack(const Moved& move) {
  // Interned anew: the set it came from may have been idle and reclaimed since.
  const CssSetId back = TRY(set_links_.Intern(move.from));
  const Place there{move.tgid, move.to};
  auto returned = tracker_.Move(move.tid, there, back);
  if (!returned && returned.error().code == ESRCH && move.tid.value != move.tgid.value) {
    bool execed = false;  // by a list, which a handover under way makes look again
    tracker_.ForEachTask([&](Tid tid, Place place) {
      execed = execed || (tid.value == there.tgid.value && place == there);
    });
    if (execed) returned = tracker_.Move(Tid{there.tgid.value}, there, back);
  }
  return returned;
}

// A leave of the target that was none moves the baseline of the next verdict along (I7): in all
// cgroups of the set for a task that is back, in the target alone for one that died there
// meanwhile; the answer will be that it was never there, so it died in its source.
void Moves::ForgetLeave(Cgroup& to, const Moved& move, bool died) {
  for (const Member& member : sets_.TupleOf(move.to)) {
    if (died && member.cgroup != to.id) continue;
    auto& judged = (*tree_.Find(member.cgroup, ENODEV))->release.judged;
    const auto at = judged.find(move.to);  // none: the table was full, and it was reclaimed
    if (at == judged.end()) continue;
    ++at->second;
    persistence_.Mark(move.to);
  }
}

}  // namespace corral
