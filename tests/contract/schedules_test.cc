// Schedules, one by one: something happens exactly between two steps of a hook. Random runs
// meet these windows once in a million, and a birth that dies at once hides what it did there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/interleave.h"
#include "support/matchers.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {
namespace {

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
  void Bear() { tracker.Birth(kParent, kChild, Tgid{kChild.value}); }
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
      m.Bear();
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
          AtSteps script({{first, [&] { m.Move(kParent, kB); }},
                          {second, [&] { m.Move(kParent, last); }}});
          m.Bear();
        }
        EXPECT_EQ(m.At(kChild), m.At(kParent));
        EXPECT_THAT(m.tracker.Audit().differences, IsEmpty());
      }
    }
  }
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
      m.Bear();
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
        AtSteps script({{first, [&] { m.Move(kParent, kB); }},
                        {second, [&] {
                           m.Move(kParent, kA);
                           seen = m.tracker.Count(kB);
                         }}});
        m.Bear();
      }
      if (!seen || seen->count != 0) continue;
      ++met;
      EXPECT_EQ(m.tracker.Count(kB), *seen);
      EXPECT_EQ(m.At(kChild), kA);
    }
  }
  EXPECT_GE(met, 3);
}

// I3: whoever looks at any step sees every live word counted.
TEST(Schedules, EveryLiveWordIsCountedAtEveryStep) {
  int met = 0;
  for (int step = 1; step <= 2 * kMostSteps; ++step) {
    SCOPED_TRACE(step);
    Machine m;
    AtSteps script({{step, [&] {
                       ++met;
                       std::map<CssSetId, std::uint32_t> words;
                       m.tracker.ForEachTask([&](Tid, Place place) { ++words[place.set]; });
                       for (const CssSetId set : {kA, kB}) {
                         EXPECT_GE(m.tracker.Count(set).count, words[set]);
                       }
                     }}});
    m.Bear();
    m.Move(kParent, kB);
    m.Move(kChild, kB);
    m.tracker.Death(kChild);
  }
  EXPECT_GE(met, 20);
}

// I4: a task that dies inside a move is not revived, and the target sees no leave.
TEST(Schedules, AMoveNeverRevivesATaskThatDiesInsideIt) {
  int met = 0;
  for (int step = 1; step <= kMostSteps; ++step) {
    SCOPED_TRACE(step);
    Machine m;
    m.Bear();
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
      EXPECT_THAT(m.tracker.Audit().differences, IsEmpty());
      EXPECT_EQ(m.tracker.Count(kA).count + m.tracker.Count(kB).count, 1u);
    }
  }
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
                       }}});
      m.tracker.Exec(thread, kParent);
      EXPECT_LE(seen, 1);
    }
  }
}

}  // namespace
}  // namespace corral
