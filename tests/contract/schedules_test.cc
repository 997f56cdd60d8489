// Schedules, one by one: something happens exactly between two steps of a hook. Random runs
// meet these windows once in a million, and a birth that dies at once hides what it did there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "support/interleave.h"
#include "support/matchers.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::IsEmpty;

constexpr CssSetId kA{7};
constexpr CssSetId kB{8};
constexpr Tid kParent{10};
constexpr Tid kChild{20};
constexpr int kMostSteps = 40;  // more than any hook makes without retrying much

// Each test makes a machine of its own for every step, and tells where it was.
struct Machine {
  Machine() {
    EXPECT_THAT(tracker.CreateSet(kA), IsOk());
    EXPECT_THAT(tracker.CreateSet(kB), IsOk());
    tracker.Start(kParent, Tgid{kParent.value});
    EXPECT_TRUE(Move(kParent, kA));
  }
  bool Move(Tid task, CssSetId to) {
    const auto place = tracker.Describe(task);
    return place && tracker.Move(task, *place, to).has_value();
  }
  CssSetId At(Tid task) { return tracker.Describe(task).value_or(Place{}).set; }
  // I1, 7.1: a live word is in every list.
  void CheckListed() {
    std::vector<Tid> listed;
    tracker.ForEachTask([&](Tid task, Place) { listed.push_back(task); });
    for (std::uint32_t tid = 1; tid < 64; ++tid) {
      if (tracker.Describe(Tid{tid})) {
        EXPECT_THAT(listed, Contains(Tid{tid}));
      }
    }
  }
  void Fork() { tracker.Birth(kParent, kChild, Tgid{kChild.value}); }
  InprocTracker tracker{{.tids = 64, .sets = 16}};
};

// I5: the child is where its parent is, whenever the parent was moved; nobody stays behind.
TEST(Schedules, AChildFollowsAParentThatIsMovedAtAnyStepOfTheBirth) {
  int met = 0;
  for (int step = 1; step <= kMostSteps; ++step) {
    SCOPED_TRACE(step);
    Machine m;
    bool moved = false;
    {
      AtSteps script({{step, [&] { moved = m.Move(kParent, kB); }}});
      m.Fork();
    }
    if (!moved) continue;
    ++met;
    EXPECT_EQ(m.At(kParent), kB);
    EXPECT_EQ(m.At(kChild), kB);
    EXPECT_EQ(m.tracker.Count(kA).count, 0u);
    EXPECT_EQ(m.tracker.Count(kB), (SetCount{.count = 2, .leaves = 0}));
    EXPECT_THAT(m.tracker.Audit().differences, IsEmpty());
  }
  EXPECT_GE(met, 3);
}

// The same, for a parent that is moved twice: away and back, and on.
TEST(Schedules, AChildFollowsAParentThatIsMovedAtAnyTwoStepsOfTheBirth) {
  for (int first = 1; first <= kMostSteps; ++first) {
    for (int second = first + 1; second <= kMostSteps; ++second) {
      for (const CssSetId last : {kA, CssSetId{9}}) {
        SCOPED_TRACE(first * 100 + second);
        Machine m;
        {
          AtSteps script(
              {{first, [&] { m.Move(kParent, kB); }}, {second, [&] { m.Move(kParent, last); }}});
          m.Fork();
        }
        EXPECT_EQ(m.At(kChild), m.At(kParent));
        EXPECT_THAT(m.tracker.Audit().differences, IsEmpty());
      }
    }
  }
}

// A mover that reaches the child before its own birth takes it along has the last word.
TEST(Schedules, AChildThatIsMovedItselfIsCountedWhereItWasMoved) {
  constexpr CssSetId kC{9};
  int met = 0;
  for (int first = 1; first <= kMostSteps; ++first) {
    for (int second = first + 1; second <= kMostSteps; ++second) {
      SCOPED_TRACE(first * 100 + second);
      Machine m;
      bool moved = false;
      {
        AtSteps script(
            {{first, [&] { m.Move(kParent, kB); }}, {second, [&] { moved = m.Move(kChild, kC); }}});
        m.Fork();
      }
      if (!moved) continue;
      ++met;
      EXPECT_THAT(m.tracker.Audit().differences, IsEmpty());
      EXPECT_EQ(m.tracker.Count(kA).count, 0u);
      EXPECT_EQ(m.tracker.Count(kB).count + m.tracker.Count(kC).count, 2u);
    }
  }
  EXPECT_GE(met, 3);
}

// I5: a css_set that was seen with count 0 may be retired at once. A birth that had read it
// before may raise it and take that back, but is never in it: no leave comes of it (I7).
TEST(Schedules, ASetThatWasSeenEmptyIsNeverLeftByABirthUnderWay) {
  int met = 0;
  for (int step = 1; step <= kMostSteps; ++step) {
    SCOPED_TRACE(step);
    Machine m;
    std::optional<SetCount> seen;
    {
      AtSteps script({{step, [&] {
                         m.Move(kParent, kB);
                         seen = m.tracker.Count(kA);
                         if (seen->count == 0) m.tracker.RetireSet(kA);
                       }}});
      m.Fork();
    }
    if (!seen || seen->count != 0) continue;
    ++met;
    EXPECT_EQ(m.tracker.Count(kA), *seen);
  }
  EXPECT_GE(met, 1);
}

// The same one look later: the set that the birth takes its child along to is seen empty.
TEST(Schedules, ASetThatWasSeenEmptyIsNeverLeftByABirthThatTakesItsChildAlong) {
  int met = 0;
  for (int first = 1; first <= kMostSteps; ++first) {
    for (int second = first + 1; second <= kMostSteps; ++second) {
      SCOPED_TRACE(first * 100 + second);
      Machine m;
      std::optional<SetCount> seen;
      {
        AtSteps script({{first, [&] { m.Move(kParent, kB); }}, {second, [&] {
                                                                  m.Move(kParent, kA);
                                                                  seen = m.tracker.Count(kB);
                                                                }}});
        m.Fork();
      }
      if (!seen || seen->count != 0) continue;
      ++met;
      EXPECT_EQ(m.tracker.Count(kB), *seen);
      EXPECT_EQ(m.At(kChild), kA);
    }
  }
  EXPECT_GE(met, 3);
}

// I3: whoever looks at any step sees every live word listed and counted.
TEST(Schedules, EveryLiveWordIsCountedAtEveryStep) {
  int met = 0;
  for (int step = 1; step <= 2 * kMostSteps; ++step) {
    SCOPED_TRACE(step);
    Machine m;
    AtSteps script({{step, [&] {
                       ++met;
                       m.CheckListed();
                       std::map<CssSetId, std::uint32_t> words;
                       m.tracker.ForEachTask([&](Tid, Place place) { ++words[place.set]; });
                       for (const CssSetId set : {kA, kB}) {
                         EXPECT_GE(m.tracker.Count(set).count, words[set]);
                       }
                     }}});
    m.Fork();
    m.Move(kParent, kB);
    m.Move(kChild, kB);
    m.tracker.Death(kChild);
  }
  EXPECT_GE(met, 20);
}

// I7: count and leaves change as one; a judge never sees an emptying that nobody left.
TEST(Schedules, ADeathIsOneStepForWhoeverJudges) {
  for (int step = 1; step <= kMostSteps; ++step) {
    SCOPED_TRACE(step);
    Machine m;
    AtSteps script({{step, [&] {
                       EXPECT_THAT(m.tracker.Count(kA), AnyOf(SetCount{.count = 1, .leaves = 0},
                                                              SetCount{.count = 0, .leaves = 1}));
                     }}});
    m.tracker.Death(kParent);
  }
}

// I4: a task that dies inside a move is not revived, and the target sees no leave.
TEST(Schedules, AMoveNeverRevivesATaskThatDiesInsideIt) {
  int met = 0;
  for (int step = 1; step <= kMostSteps; ++step) {
    SCOPED_TRACE(step);
    Machine m;
    m.Fork();
    bool died = false;
    bool moved = false;
    {
      AtSteps script({{step, [&] {
                         m.tracker.Death(kChild);
                         died = true;
                       }}});
      moved = m.Move(kChild, kB);
    }
    if (!died) continue;
    if (!moved) ++met;
    EXPECT_THAT(m.tracker.Describe(kChild), FailsWith(ESRCH));
    EXPECT_EQ(m.tracker.Count(kB), (SetCount{.count = 0, .leaves = moved ? 1u : 0u}));
    EXPECT_EQ(m.tracker.Count(kA), (SetCount{.count = 1, .leaves = 1}));
  }
  EXPECT_GE(met, 2);
}

// I6: a move, or a birth that takes the old tid, at any step of an exec by a thread.
TEST(Schedules, AnExecKeepsThePlaceWhateverHappensAtAnyStep) {
  constexpr Tid kThread{11};
  const Tgid process{kParent.value};
  for (const bool take : {false, true}) {
    for (int step = 1; step <= kMostSteps; ++step) {
      SCOPED_TRACE(step + (take ? 100 : 0));
      Machine m;
      m.tracker.Start(Tid{30}, Tgid{30});
      m.tracker.Birth(kParent, kThread, process);
      m.tracker.Death(kParent);
      CssSetId expected = kA;
      {
        AtSteps script({{step, [&] {
                           if (take) {
                             m.tracker.Birth(Tid{30}, kThread, Tgid{kThread.value});
                           } else if (m.Move(kThread, kB) || m.Move(kParent, kB)) {
                             expected = kB;
                           }
                         }}});
        m.tracker.Exec(kThread, kParent);
      }
      EXPECT_THAT(m.tracker.Describe(kParent), IsOkAndHolds(Place{process, expected}));
      m.CheckListed();
      EXPECT_THAT(m.tracker.Audit().differences, IsEmpty());
      EXPECT_EQ(m.tracker.Count(kA).count + m.tracker.Count(kB).count, 1u);
    }
  }
}

// 5.2: the birth has taken the word and not handed it over yet; exec waits for it.
TEST(Schedules, AnExecWaitsForTheBirthThatTookItsTid) {
  constexpr Tid kThread{11};
  const Tgid process{kParent.value};
  int met = 0;
  for (int halt = 1; halt <= 20; ++halt) {
    SCOPED_TRACE(halt);
    Machine m;
    m.tracker.Start(Tid{30}, Tgid{30});
    m.tracker.Birth(kParent, kThread, process);
    m.tracker.Death(kParent);
    Halted birth(halt, [&] { m.tracker.Birth(Tid{30}, kThread, Tgid{kThread.value}); });
    {
      AtSteps script({{30, [&] {
                         birth.Finish();
                         ++met;
                       }}});
      m.tracker.Exec(kThread, kParent);
    }
    birth.Finish();
    EXPECT_THAT(m.tracker.Describe(kParent), IsOkAndHolds(Place{process, kA}));
    EXPECT_EQ(m.tracker.misses().retries, 0u);
    EXPECT_EQ(m.tracker.misses().adopted, 0u);
  }
  EXPECT_GE(met, 1);
}

// I6: a task that lives through the whole list is in it once, wherever its exec falls.
TEST(Schedules, AListHasATaskThatExecsDuringItOnce) {
  const Tgid process{kParent.value};
  for (const Tid thread : {Tid{5}, Tid{40}}) {  // its word goes up the table, or down
    int met = 0;
    for (int step = 1; step <= 3 * kMostSteps; ++step) {
      SCOPED_TRACE(step);
      Machine m;
      for (std::uint32_t tid = 20; tid < 30; ++tid) m.tracker.Start(Tid{tid}, Tgid{tid});
      m.tracker.Birth(kParent, thread, process);
      m.tracker.Death(kParent);
      int seen = 0;
      {
        AtSteps script({{step, [&] {
                           m.tracker.Exec(thread, kParent);
                           ++met;
                         }}});
        m.tracker.ForEachTask([&](Tid, Place place) { seen += place.tgid == process; });
      }
      EXPECT_EQ(seen, 1);
    }
    EXPECT_GE(met, 10);
  }
}

// ... and a list that falls inside an exec has it once or not at all.
TEST(Schedules, AListInsideAnExecHasTheTaskAtMostOnce) {
  const Tgid process{kParent.value};
  for (const Tid thread : {Tid{5}, Tid{40}}) {
    for (int step = 1; step <= kMostSteps; ++step) {
      SCOPED_TRACE(step);
      Machine m;
      m.tracker.Birth(kParent, thread, process);
      m.tracker.Death(kParent);
      int seen = 0;
      AtSteps script({{step, [&] {
                         m.tracker.ForEachTask(
                             [&](Tid, Place place) { seen += place.tgid == process; });
                         m.CheckListed();
                       }}});
      m.tracker.Exec(thread, kParent);
      EXPECT_LE(seen, 1);
    }
  }
}

// ... and once, when the exec was under way before the list began and ends during it.
TEST(Schedules, AListDuringWhichAnExecEndsHasTheTaskOnce) {
  const Tgid process{kParent.value};
  for (const Tid thread : {Tid{5}, Tid{40}}) {
    for (int halt = 1; halt <= 14; ++halt) {
      for (int step = 1; step <= kMostSteps; ++step) {
        SCOPED_TRACE(halt * 100 + step);
        Machine m;
        m.tracker.Birth(kParent, thread, process);
        m.tracker.Death(kParent);
        Halted exec(halt, [&] { m.tracker.Exec(thread, kParent); });
        int seen = 0;
        {
          AtSteps script({{step, [&] { exec.Finish(); }}});
          m.tracker.ForEachTask([&](Tid, Place place) { seen += place.tgid == process; });
        }
        exec.Finish();
        EXPECT_EQ(seen, 1);
      }
    }
  }
}

// The same for the handover by a birth that took the old tid inside the exec.
TEST(Schedules, AListDuringWhichAHandoverEndsHasTheTaskOnce) {
  const Tgid process{kParent.value};
  for (const Tid thread : {Tid{5}, Tid{40}}) {
    for (int halt = 1; halt <= 20; ++halt) {
      for (int step = 1; step <= kMostSteps; ++step) {
        SCOPED_TRACE(halt * 100 + step);
        Machine m;
        m.tracker.Start(Tid{30}, Tgid{30});
        m.tracker.Birth(kParent, thread, process);
        m.tracker.Death(kParent);
        Halted birth(halt, [&] { m.tracker.Birth(Tid{30}, thread, Tgid{thread.value}); });
        const bool published = m.tracker.Describe(thread)->tgid != process;
        const bool begun = !m.tracker.Describe(kParent) && published;
        int seen = 0;
        {
          AtSteps script({{step, [&] { birth.Finish(); }}});
          m.tracker.ForEachTask([&](Tid, Place place) { seen += place.tgid == process; });
        }
        birth.Finish();
        // Between its exchange and its count the birth has the word in its hands, unannounced.
        EXPECT_LE(seen, 1);
        if (!begun) {
          EXPECT_EQ(seen, 1);
        }
        m.CheckListed();
      }
    }
  }
}

// 5.4: an exec failed, and its process's tid has another owner before the birth that took the
// old tid hands over. The word that is there stays; the displaced one leaves.
TEST(Schedules, AHandoverDoesNotOverwriteWhoeverHasTheTidByNow) {
  constexpr Tid kThread{11};
  constexpr Tid kOther{30};
  int met = 0;
  for (int step = 1; step <= kMostSteps; ++step) {
    SCOPED_TRACE(step);
    Machine m;
    m.tracker.Start(kOther, Tgid{kOther.value});
    EXPECT_TRUE(m.Move(kOther, kB));
    m.tracker.Birth(kParent, kThread, Tgid{kParent.value});
    m.tracker.Death(kParent);
    {
      AtSteps script({{step, [&] {
                         m.tracker.Birth(kOther, kParent, Tgid{kParent.value});
                         ++met;
                       }}});
      m.tracker.Birth(kOther, kThread, Tgid{kThread.value});
    }
    EXPECT_THAT(m.tracker.Audit().differences, IsEmpty());
  }
  EXPECT_GE(met, 10);
}

// 5.5: burial leaves the live bit; a birth that takes the tid may have set it already.
TEST(Schedules, ABurialDoesNotHideTheBirthThatTakesTheTid) {
  int met = 0;
  for (int step = 1; step <= 10; ++step) {
    SCOPED_TRACE(step);
    InprocTracker tracker({.tids = 64, .sets = 16, .machine_tasks = [] {
                             return std::map<Tid, Tgid>{{kParent, Tgid{kParent.value}}};
                           }});
    tracker.Start(kParent, Tgid{kParent.value});
    tracker.Start(kChild, Tgid{50});  // nobody told its death
    {
      AtSteps script({{step, [&] {
                         if (tracker.Describe(kChild)->tgid != Tgid{50}) return;
                         EXPECT_EQ(tracker.Resync().repaired, 1u);
                         ++met;
                       }}});
      tracker.Birth(kParent, kChild, Tgid{kChild.value});
    }
    int seen = 0;
    tracker.ForEachTask([&](Tid task, Place) { seen += task == kChild; });
    EXPECT_EQ(seen, 1);
  }
  EXPECT_GE(met, 2);
}

}  // namespace
}  // namespace corral
