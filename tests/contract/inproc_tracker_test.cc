// What only a simulated machine can show: broken books, deaths in two steps, tiny tables.
#include "trackers/inproc/inproc_tracker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/matchers.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr CssSetId kA{7};
constexpr CssSetId kB{8};

struct Hints final : Tracker::Listener {
  std::vector<CssSetId> sets;
  int resyncs = 0;
  void SetMayBeEmpty(CssSetId set) override { sets.push_back(set); }
  void ResyncNeeded() override { ++resyncs; }
};

class InprocTrackerTest : public ::testing::Test {
 protected:
  InprocTrackerTest()
      : tracker_(
            {.tids = 1024, .sets = 16, .bells = 2, .machine_tasks = [this] { return List(); }}) {
    Exists(1, 1);
    tracker_.Start(Tid{1}, Tgid{1});
    for (const CssSetId set : {kA, kB}) EXPECT_THAT(tracker_.CreateSet(set), IsOk());
  }
  ~InprocTrackerTest() override { EXPECT_THAT(tracker_.Audit().differences, IsEmpty()); }

  // The machine's list, and what goes on while it is read.
  std::map<Tid, Tgid> List() {
    const std::map<Tid, Tgid> list = machine_;
    if (meanwhile_) meanwhile_();
    return list;
  }

  void Exists(std::uint32_t tid, std::uint32_t tgid) { machine_[Tid{tid}] = Tgid{tgid}; }
  void Gone(std::uint32_t tid) { machine_.erase(Tid{tid}); }
  Result<void> Move(std::uint32_t tid, CssSetId to) {
    return tracker_.Move(Tid{tid}, tracker_.Describe(Tid{tid}).value(), to);
  }
  Hints Drain() {
    Hints hints;
    tracker_.Drain(hints);
    return hints;
  }

  std::map<Tid, Tgid> machine_;
  std::function<void()> meanwhile_;
  InprocTracker tracker_;
};

// 9.1: whoever empties a set while it is looked at is heard the next time.
TEST_F(InprocTrackerTest, HearsOfASetThatEmptiesWhileItIsLookedAt) {
  struct Looker final : Tracker::Listener {
    std::function<void()> meanwhile;
    int heard = 0;
    void SetMayBeEmpty(CssSetId) override {
      ++heard;
      if (const auto then = std::exchange(meanwhile, {})) then();
    }
    void ResyncNeeded() override {}
  } looker;
  const auto pass_through = [&] {
    ASSERT_THAT(Move(1, kA), IsOk());
    ASSERT_THAT(Move(1, kInitialSet), IsOk());
  };
  pass_through();
  looker.meanwhile = pass_through;
  tracker_.Drain(looker);
  tracker_.Drain(looker);
  EXPECT_EQ(looker.heard, 2);
}

// ---- resync (I8)

TEST_F(InprocTrackerTest, ReportsAPhantomAndBuriesItWithALeave) {
  Exists(2, 2);
  tracker_.Birth(Tid{1}, Tid{2}, Tgid{2});
  ASSERT_THAT(Move(2, kA), IsOk());
  Gone(2);  // it died and nobody told
  EXPECT_THAT(tracker_.Audit().differences, ElementsAre(HasSubstr("task 2 does not exist")));
  EXPECT_THAT(tracker_.Describe(Tid{2}), IsOk());  // an audit changes nothing

  EXPECT_EQ(tracker_.Resync().repaired, 1u);
  EXPECT_THAT(tracker_.Describe(Tid{2}), FailsWith(ESRCH));
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = 0, .leaves = 1}));
  EXPECT_THAT(Drain().sets, ElementsAre(kA));
}

TEST_F(InprocTrackerTest, AdoptsAnUnknownTaskIntoTheInitialSet) {
  Exists(5, 5);  // born and nobody told
  EXPECT_THAT(tracker_.Audit().differences, ElementsAre(HasSubstr("task 5 is not known")));
  EXPECT_EQ(tracker_.Resync().repaired, 1u);
  EXPECT_THAT(tracker_.Describe(Tid{5}), IsOkAndHolds(Place{Tgid{5}, kInitialSet}));
}

// A task that is born after the list was taken is not in it, and its word is.
TEST_F(InprocTrackerTest, ResyncDoesNotBuryATaskThatIsBornMeanwhile) {
  ASSERT_THAT(Move(1, kA), IsOk());
  std::uint32_t next = 2;
  meanwhile_ = [&] {
    Exists(next, next);
    tracker_.Birth(Tid{1}, Tid{next}, Tgid{next});
    ++next;
  };
  EXPECT_THAT(tracker_.Resync().differences, IsEmpty());
  meanwhile_ = {};
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = next - 1, .leaves = 0}));
}

// A task that dies after the list was taken is in it, and its word is dead.
TEST_F(InprocTrackerTest, ResyncDoesNotReviveATaskThatDiesMeanwhile) {
  std::uint32_t next = 2;
  for (; next < 50; ++next) {
    Exists(next, next);
    tracker_.Birth(Tid{1}, Tid{next}, Tgid{next});
  }
  meanwhile_ = [&] {
    Gone(--next);
    tracker_.Death(Tid{next});
  };
  tracker_.Resync();
  meanwhile_ = {};
  std::size_t live = 0;
  tracker_.ForEachTask([&](Tid, Place) { ++live; });
  EXPECT_EQ(live, machine_.size());
}

TEST_F(InprocTrackerTest, MendsATidWhoseDeathAndNextBirthWereBothMissed) {
  Exists(2, 2);
  tracker_.Birth(Tid{1}, Tid{2}, Tgid{2});
  ASSERT_THAT(Move(2, kA), IsOk());
  Exists(2, 1);  // a thread of process 1 has the tid by now
  tracker_.Resync();
  EXPECT_THAT(tracker_.Describe(Tid{2}), IsOkAndHolds(Place{Tgid{1}, kInitialSet}));
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = 0, .leaves = 1}));
}

TEST_F(InprocTrackerTest, AsksForAResyncWhenAnUnknownTaskDies) {
  tracker_.Death(Tid{9});
  EXPECT_EQ(tracker_.misses().unknown_deaths, 1u);
  EXPECT_EQ(Drain().resyncs, 1);
  EXPECT_EQ(Drain().resyncs, 0);
}

TEST_F(InprocTrackerTest, AdoptsAnUnknownParentAndItsChild) {
  Exists(20, 20);
  Exists(21, 21);
  tracker_.Birth(Tid{20}, Tid{21}, Tgid{21});
  EXPECT_THAT(tracker_.Describe(Tid{20}), IsOkAndHolds(Place{Tgid{20}, kInitialSet}));
  EXPECT_THAT(tracker_.Describe(Tid{21}), IsOkAndHolds(Place{Tgid{21}, kInitialSet}));
  EXPECT_EQ(Drain().resyncs, 1);
}

// A death was missed, and a birth finds the live word of the dead: it is a leave.
TEST_F(InprocTrackerTest, CountsALeaveWhenABirthDisplacesAWordNobodyClaims) {
  Exists(2, 2);
  tracker_.Birth(Tid{1}, Tid{2}, Tgid{2});
  ASSERT_THAT(Move(2, kA), IsOk());
  tracker_.Birth(Tid{1}, Tid{2}, Tgid{2});
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = 0, .leaves = 1}));
  EXPECT_EQ(tracker_.misses().displaced, 1u);
  EXPECT_EQ(Drain().resyncs, 1);
}

// ---- exec, its orders one by one (I6)

// Thread 3 of process 2 is inside exec: its tid is 2 already, its word still at 3.
class InExec : public InprocTrackerTest {
 protected:
  InExec() {
    Exists(2, 2);
    tracker_.Birth(Tid{1}, Tid{2}, Tgid{2});
    tracker_.Birth(Tid{2}, Tid{3}, Tgid{2});
    EXPECT_THAT(Move(3, kA), IsOk());
    tracker_.Death(Tid{2});
  }
};

TEST_F(InExec, ABirthThatTakesTheOldTidHandsTheWordOver) {
  Exists(3, 3);
  tracker_.Birth(Tid{1}, Tid{3}, Tgid{3});
  EXPECT_THAT(tracker_.Describe(Tid{2}), IsOkAndHolds(Place{Tgid{2}, kA}));
  EXPECT_THAT(tracker_.Describe(Tid{3}), IsOkAndHolds(Place{Tgid{3}, kInitialSet}));
  EXPECT_EQ(Drain().resyncs, 1);  // the exec may have failed before: somebody must look
  tracker_.Exec(Tid{3}, Tid{2});
  EXPECT_THAT(tracker_.Describe(Tid{2}), IsOkAndHolds(Place{Tgid{2}, kA}));
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = 1, .leaves = 0}));
}

TEST_F(InExec, TheTaskThatTookTheOldTidMayBeGoneBeforeExecIsThrough) {
  tracker_.Birth(Tid{1}, Tid{3}, Tgid{3});
  tracker_.Death(Tid{3});
  tracker_.Exec(Tid{3}, Tid{2});
  EXPECT_THAT(tracker_.Describe(Tid{2}), IsOkAndHolds(Place{Tgid{2}, kA}));
}

TEST_F(InExec, AMoveMeanwhileIsKept) {
  ASSERT_THAT(Move(3, kB), IsOk());
  tracker_.Exec(Tid{3}, Tid{2});
  EXPECT_THAT(tracker_.Describe(Tid{2}), IsOkAndHolds(Place{Tgid{2}, kB}));
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = 0, .leaves = 1}));
}

TEST_F(InExec, AResyncMeanwhileLeavesItAlone) {
  const AuditReport report = tracker_.Resync();
  EXPECT_THAT(report.differences, IsEmpty());
  EXPECT_EQ(report.unsettled, 1u);
  tracker_.Exec(Tid{3}, Tid{2});
  EXPECT_THAT(tracker_.Describe(Tid{2}), IsOkAndHolds(Place{Tgid{2}, kA}));
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = 1, .leaves = 0}));
}

TEST_F(InExec, ARepairMeanwhileIsOvertakenByThePlace) {
  tracker_.Start(Tid{2}, Tgid{2});   // somebody took it for a task that nobody knows,
  ASSERT_THAT(Move(2, kB), IsOk());  // and somebody moved it
  tracker_.Exec(Tid{3}, Tid{2});
  EXPECT_THAT(tracker_.Describe(Tid{2}), IsOkAndHolds(Place{Tgid{2}, kA}));
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = 1, .leaves = 0}));
  EXPECT_EQ(tracker_.Count(kB), (SetCount{.count = 0, .leaves = 1}));
}

TEST_F(InExec, AFailedExecLeavesAWordThatResyncBuries) {
  Gone(2);
  tracker_.Death(Tid{2});  // by its new tid; the word is at 3
  EXPECT_EQ(Drain().resyncs, 1);
  tracker_.Resync();
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = 0, .leaves = 1}));
}

// What it left is known when its word is buried; until it is through, it is waited for.
TEST_F(InExec, AFailedExecIsALeaverOfTheSetItLeft) {
  Gone(2);
  tracker_.BeginDeath(Tid{2});
  EXPECT_THAT(tracker_.Leavers(), IsEmpty());  // kA counts it still
  tracker_.Resync();
  EXPECT_EQ(tracker_.Count(kA).count, 0u);
  const auto leavers = tracker_.Leavers();
  ASSERT_EQ(leavers.size(), 1u);
  EXPECT_EQ(leavers[0].tid, Tid{2});
  EXPECT_EQ(leavers[0].set, kA);
  tracker_.EndDeath(Tid{2});
  EXPECT_THAT(tracker_.Leavers(), IsEmpty());
}

// The birth that took the old tid hands the word over after the death: it is buried there.
TEST_F(InExec, AFailedExecWhoseTidWasTakenIsALeaverOfTheSetItLeft) {
  Gone(2);
  tracker_.BeginDeath(Tid{2});
  tracker_.Birth(Tid{1}, Tid{3}, Tgid{3});
  Gone(3);
  EXPECT_EQ(tracker_.Count(kA).count, 1u);
  tracker_.Resync();
  EXPECT_EQ(tracker_.Count(kA).count, 0u);
  const auto leavers = tracker_.Leavers();
  ASSERT_EQ(leavers.size(), 1u);
  EXPECT_EQ(leavers[0].tid, Tid{2});
  EXPECT_EQ(leavers[0].set, kA);
}

// The same while the task is still on its way out: it is there, so the word looks right. Nobody
// will ask again, so the resync itself has to.
TEST_F(InExec, AFailedExecWhoseWordIsHandedOverWhileItEndsIsLookedAtAgain) {
  tracker_.BeginDeath(Tid{2});
  Exists(3, 3);
  tracker_.Birth(Tid{1}, Tid{3}, Tgid{3});
  const AuditReport early = tracker_.Resync();
  EXPECT_EQ(early.repaired, 0u);
  EXPECT_GT(early.unsettled, 0u);
  Gone(2);
  tracker_.EndDeath(Tid{2});
  const AuditReport late = tracker_.Resync();
  EXPECT_EQ(late.repaired, 1u);
  EXPECT_EQ(late.unsettled, 0u);
  EXPECT_EQ(tracker_.Count(kA), (SetCount{.count = 0, .leaves = 1}));
}

// ---- deaths in two steps (spec 10.10)

TEST_F(InprocTrackerTest, NamesALeaverByTheSetItLeft) {
  tracker_.Birth(Tid{1}, Tid{2}, Tgid{2});
  ASSERT_THAT(Move(2, kA), IsOk());
  tracker_.BeginDeath(Tid{2});
  EXPECT_EQ(tracker_.Count(kA).count, 0u);
  const auto leavers = tracker_.Leavers();
  ASSERT_EQ(leavers.size(), 1u);
  EXPECT_EQ(leavers[0].tid, Tid{2});
  EXPECT_EQ(leavers[0].set, kA);
  tracker_.EndDeath(Tid{2});
  EXPECT_THAT(tracker_.Leavers(), IsEmpty());
}

TEST_F(InprocTrackerTest, NamesNoLeaverOfTheInitialSet) {
  tracker_.Birth(Tid{1}, Tid{2}, Tgid{2});
  tracker_.Birth(Tid{1}, Tid{3}, Tgid{3});
  ASSERT_THAT(Move(3, kA), IsOk());
  tracker_.BeginDeath(Tid{2});
  EXPECT_THAT(tracker_.Leavers(), IsEmpty());
  tracker_.BeginDeath(Tid{3});
  ASSERT_EQ(tracker_.Leavers().size(), 1u);
  EXPECT_EQ(tracker_.Leavers()[0].tid, Tid{3}) << "of another set it does";
  tracker_.EndDeath(Tid{2});
  tracker_.EndDeath(Tid{3});
}

// ---- tables

TEST_F(InprocTrackerTest, CountsATidBeyondItsTableAndGoesOn) {
  tracker_.Birth(Tid{1}, Tid{5000}, Tgid{5000});
  EXPECT_EQ(tracker_.misses().out_of_table, 1u);
  tracker_.Death(Tid{5000});
  EXPECT_EQ(Drain().resyncs, 1);
}

TEST_F(InprocTrackerTest, GivesTheChildOfAParentBeyondItsTableTheInitialSet) {
  Exists(2, 2);
  tracker_.Birth(Tid{5000}, Tid{2}, Tgid{2});
  EXPECT_THAT(tracker_.Describe(Tid{2}), IsOkAndHolds(Place{Tgid{2}, kInitialSet}));
}

TEST_F(InprocTrackerTest, ListsTheHighestTid) {
  Exists(1023, 1023);
  tracker_.Birth(Tid{1}, Tid{1023}, Tgid{1023});
  std::vector<Tid> seen;
  tracker_.ForEachTask([&](Tid tid, Place) { seen.push_back(tid); });
  EXPECT_THAT(seen, ElementsAre(Tid{1}, Tid{1023}));
}

// Two bells fit; the other hints are found in the tables.
TEST_F(InprocTrackerTest, FindsWhatAFullBellCouldNotSay) {
  for (std::uint32_t set = 2; set < 16; ++set) {
    ASSERT_THAT(tracker_.CreateSet(CssSetId{set}), IsOk());
    ASSERT_THAT(Move(1, CssSetId{set}), IsOk());
  }
  ASSERT_THAT(Move(1, kInitialSet), IsOk());
  const Hints hints = Drain();
  EXPECT_EQ(hints.sets.size(), 14u);
  EXPECT_EQ(hints.resyncs, 1);
  EXPECT_THAT(Drain().sets, IsEmpty());
}

}  // namespace
}  // namespace corral
