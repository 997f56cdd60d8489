// What every tracker owes the core, one task at a time: I1 to I8 of docs/concurrency.md.
// Races are in tracker_races_test.cc.
#include <poll.h>

#include "contract/contract_fixture.h"

namespace corral {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// ---- I1: live tasks have a live word, others have none

TEST_P(TrackerContract, KnowsATaskThatNobodyPlaced) {
  const Tid task = world().Start();
  EXPECT_EQ(At(task), (Place{Tgid{task.value}, kInitialSet}));
}

TEST_P(TrackerContract, KnowsEveryTaskOfTheMachine) {
  world().Start();
  const AuditReport report = tracker().Audit();
  EXPECT_GT(report.tasks, 0u);
  EXPECT_THAT(report.differences, IsEmpty());
}

TEST_P(TrackerContract, GivesAChildThePlaceOfItsParent) {
  const Tid parent = StartIn(kA);
  for (const Tid child : {world().Fork(parent), world().ForkSibling(parent),
                          world().VforkExec(parent), world().Daemonize(parent)}) {
    EXPECT_EQ(At(child), (Place{Tgid{child.value}, kA}));
  }
  EXPECT_EQ(Count(kA).count, 5u);
}

TEST_P(TrackerContract, GivesAThreadThePlaceOfTheThreadThatMadeIt) {
  const Tid leader = StartIn(kA);
  const Tid thread = world().Thread(leader);
  ASSERT_THAT(Move(thread, kB), IsOk());
  const Tid nested = world().Thread(thread);
  EXPECT_EQ(At(nested), (Place{Tgid{leader.value}, kB}));
  EXPECT_EQ(At(world().Thread(leader)).set, kA);
}

TEST_P(TrackerContract, GivesAChildThePlaceOfTheCallingThreadNotOfItsProcess) {
  const Tid leader = StartIn(kA);
  const Tid thread = world().Thread(leader);
  ASSERT_THAT(Move(thread, kB), IsOk());
  EXPECT_EQ(At(world().Fork(thread)).set, kB);
  EXPECT_EQ(At(world().Fork(leader)).set, kA);
}

TEST_P(TrackerContract, ForgetsATaskThatExited) {
  const Tid task = StartIn(kA);
  world().ExitProcess(task);
  EXPECT_THAT(tracker().Describe(task), FailsWith(ESRCH));
  EXPECT_THAT(tracker().Move(task, {Tgid{task.value}, kA}, kB), FailsWith(ESRCH));
}

TEST_P(TrackerContract, CountsNoTaskOnceItsEndCanBeKnown) {
  const Tid parent = StartIn(kA);
  for (int i = 0; i < 50; ++i) {
    world().Kill(Tgid{world().Fork(parent).value});  // a zombie now (spec 7.4)
    ASSERT_EQ(Count(kA).count, 1u);
    ASSERT_THAT(TasksIn(kA), ElementsAre(parent));
  }
}

TEST_P(TrackerContract, ListsTheLiveThreadsOfADeadLeader) {
  const Tid leader = StartIn(kA);
  const Tid thread = world().Thread(leader);
  world().ExitThread(leader);
  EXPECT_THAT(tracker().Describe(leader), FailsWith(ESRCH));
  EXPECT_THAT(TasksIn(kA), ElementsAre(thread));
  EXPECT_EQ(At(thread).tgid, Tgid{leader.value});
  EXPECT_EQ(Count(kA), (SetCount{.count = 1, .leaves = 1}));
}

TEST_P(TrackerContract, ListsTasksInAscendingOrderOnce) {
  const Tid parent = StartIn(kA);
  std::vector<Tid> made{parent};
  for (int i = 0; i < 20; ++i) made.push_back(world().Thread(parent));
  std::sort(made.begin(), made.end());
  EXPECT_EQ(TasksIn(kA), made);
}

// ---- exec (I6)

TEST_P(TrackerContract, KeepsThePlaceAcrossExec) {
  const Tid task = StartIn(kA);
  EXPECT_EQ(world().Exec(task), task);
  EXPECT_EQ(At(task), (Place{Tgid{task.value}, kA}));
  EXPECT_EQ(Count(kA), (SetCount{.count = 1, .leaves = 0}));
}

TEST_P(TrackerContract, TakesThePlaceOfAThreadThatExecsToTheLeader) {
  const Tid leader = StartIn(kA);
  const Tid thread = world().Thread(leader);
  ASSERT_THAT(Move(thread, kB), IsOk());
  EXPECT_EQ(world().Exec(thread), leader);
  EXPECT_EQ(At(leader), (Place{Tgid{leader.value}, kB}));
  EXPECT_THAT(tracker().Describe(thread), FailsWith(ESRCH));
  EXPECT_EQ(Count(kA), (SetCount{.count = 0, .leaves = 2}));  // moved out; the old leader
  EXPECT_EQ(Count(kB), (SetCount{.count = 1, .leaves = 0}));
}

TEST_P(TrackerContract, CountsTheThreadsThatAnExecEnds) {
  const Tid leader = StartIn(kA);
  for (int i = 0; i < 5; ++i) world().Thread(leader);
  const Tid caller = world().Thread(leader);
  world().Exec(caller);
  EXPECT_EQ(Count(kA), (SetCount{.count = 1, .leaves = 6}));
}

TEST_P(TrackerContract, TakesThePlaceToALeaderThatDiedBefore) {
  const Tid leader = StartIn(kA);
  const Tid thread = world().Thread(leader);
  world().ExitThread(leader);
  EXPECT_EQ(world().Exec(thread), leader);
  EXPECT_EQ(At(leader), (Place{Tgid{leader.value}, kA}));
}

// ---- moves and counters (I2, I4, I7)

TEST_P(TrackerContract, DoesNotCountTheInitialSet) {
  const Tid task = world().Start();
  const SetCount before = Count(kInitialSet);
  world().Fork(task);
  ASSERT_THAT(Move(task, kA), IsOk());
  ASSERT_THAT(Move(task, kInitialSet), IsOk());
  EXPECT_EQ(Count(kInitialSet), before);
}

TEST_P(TrackerContract, CountsAMoveInAndALeaveOut) {
  const Tid task = world().Start();
  ASSERT_THAT(Move(task, kA), IsOk());
  EXPECT_EQ(Count(kA), (SetCount{.count = 1, .leaves = 0}));
  ASSERT_THAT(Move(task, kB), IsOk());
  EXPECT_EQ(Count(kA), (SetCount{.count = 0, .leaves = 1}));
  EXPECT_EQ(Count(kB), (SetCount{.count = 1, .leaves = 0}));
}

TEST_P(TrackerContract, CountsADeathAsALeave) {
  world().ExitProcess(StartIn(kA));
  EXPECT_EQ(Count(kA), (SetCount{.count = 0, .leaves = 1}));
}

TEST_P(TrackerContract, DoesNothingWhenATaskIsMovedToWhereItIs) {
  const Tid task = StartIn(kA);
  EXPECT_THAT(tracker().Move(task, At(task), kA), IsOk());
  EXPECT_EQ(Count(kA), (SetCount{.count = 1, .leaves = 0}));
  EXPECT_THAT(Drain().sets, Not(Contains(kA)));
}

TEST_P(TrackerContract, SaysAgainWhenATaskIsElsewhere) {
  const Tid task = StartIn(kA);
  const Place wrong{Tgid{task.value}, kInitialSet};
  EXPECT_THAT(tracker().Move(task, wrong, kB), FailsWith(EAGAIN));
  EXPECT_THAT(tracker().Move(task, wrong, kInitialSet), FailsWith(EAGAIN));
  EXPECT_EQ(At(task).set, kA);
}

TEST_P(TrackerContract, SaysNoSuchTaskWhenATidIsOfAnotherProcess) {
  const Tid task = StartIn(kA);
  EXPECT_THAT(tracker().Move(task, {Tgid{task.value + 1}, kA}, kB), FailsWith(ESRCH));
  EXPECT_EQ(At(task).set, kA);
}

TEST_P(TrackerContract, TakesBackTheCountOfAFailedMoveWithoutALeave) {
  const Tid task = StartIn(kA);
  const Place gone = At(task);
  EXPECT_THAT(tracker().Move(task, {gone.tgid, kInitialSet}, kB), FailsWith(EAGAIN));
  world().ExitProcess(task);
  EXPECT_THAT(tracker().Move(task, gone, kB), FailsWith(ESRCH));
  EXPECT_EQ(Count(kB), (SetCount{.count = 0, .leaves = 0}));
}

TEST_P(TrackerContract, RefusesTidsBeyondItsTable) {
  EXPECT_THAT(tracker().Describe(Tid{0xFFFFFFFF}), FailsWith(ESRCH));
  EXPECT_THAT(tracker().Describe(Tid{0}), FailsWith(ESRCH));
  EXPECT_THAT(tracker().Move(Tid{0xFFFFFFFF}, {Tgid{1}, kInitialSet}, kA), FailsWith(ESRCH));
  EXPECT_EQ(Count(kA).count, 0u);
}

TEST_P(TrackerContract, RefusesSetsBeyondItsTable) {
  EXPECT_THAT(tracker().CreateSet(CssSetId{tracker().set_capacity()}), FailsWith(ENOSPC));
}

// ---- reuse

TEST_P(TrackerContract, KeepsTheLeavesOfAnIdThatIsUsedAgain) {
  world().ExitProcess(StartIn(kA));
  tracker().RetireSet(kA);
  EXPECT_EQ(Use(kA), (SetCount{.count = 0, .leaves = 1}));
  world().ExitProcess(StartIn(kA));
  EXPECT_EQ(Count(kA), (SetCount{.count = 0, .leaves = 2}));
}

TEST_P(TrackerContract, GivesAReusedTidThePlaceOfItsNewParent) {
  const Tid first = StartIn(kA);
  const Tid second = StartIn(kB);
  const Tid child = world().Fork(first);
  world().ExitProcess(child);
  world().Reap(first, child);
  ASSERT_EQ(world().ForkAs(second, child), child);
  EXPECT_EQ(At(child), (Place{Tgid{child.value}, kB}));
  EXPECT_EQ(Count(kA), (SetCount{.count = 1, .leaves = 1}));
  EXPECT_EQ(Count(kB).count, 2u);
}

TEST_P(TrackerContract, GivesATidThatExecGaveUpToItsNewOwner) {
  const Tid leader = StartIn(kA);
  const Tid other = StartIn(kB);
  const Tid thread = world().Thread(leader);
  world().Exec(thread);
  ASSERT_EQ(world().ForkAs(other, thread), thread);
  EXPECT_EQ(At(thread), (Place{Tgid{thread.value}, kB}));
  EXPECT_EQ(At(leader).set, kA);
  world().ExitProcess(thread);
  EXPECT_EQ(Count(kA).count, 1u);
  EXPECT_EQ(Count(kB), (SetCount{.count = 1, .leaves = 1}));
}

// ---- the bell

TEST_P(TrackerContract, RingsWhenTheLastTaskExits) {
  const Tid first = StartIn(kA);
  const Tid second = world().Fork(first);
  Drain();
  world().ExitProcess(second);
  EXPECT_THAT(Drain().sets, Not(Contains(kA)));
  world().ExitProcess(first);
  EXPECT_THAT(Drain().sets, Contains(kA));
  EXPECT_THAT(Drain().sets, Not(Contains(kA)));
}

TEST_P(TrackerContract, RingsWhenTheLastTaskIsMovedOut) {
  const Tid task = StartIn(kA);
  ASSERT_THAT(Move(task, kB), IsOk());
  EXPECT_THAT(Drain().sets, Contains(kA));
}

TEST_P(TrackerContract, RingsEachTimeASetEmptiesAnew) {
  const Tid task = world().Start();
  for (int i = 0; i < 10; ++i) {
    ASSERT_THAT(Move(task, kA), IsOk());
    ASSERT_THAT(Move(task, kInitialSet), IsOk());
    EXPECT_THAT(Drain().sets, Contains(kA));
  }
}

TEST_P(TrackerContract, RingsOnceForASetThatEmptiedManyTimesBeforeAnyoneLooked) {
  const Tid task = world().Start();
  for (int i = 0; i < 10; ++i) {
    ASSERT_THAT(Move(task, kA), IsOk());
    ASSERT_THAT(Move(task, kInitialSet), IsOk());
  }
  EXPECT_THAT(Drain().sets, ElementsAre(kA));
  EXPECT_EQ(Count(kA), (SetCount{.count = 0, .leaves = 10}));
}

TEST_P(TrackerContract, MakesItsDescriptorReadableWhenItRings) {
  if (tracker().bell_fd() < 0) GTEST_SKIP() << "this tracker has no descriptor: Drain() is called";
  Drain();
  pollfd wait = {tracker().bell_fd(), POLLIN, 0};
  while (::poll(&wait, 1, 0) > 0) Drain();
  world().ExitProcess(StartIn(kA));
  EXPECT_EQ(::poll(&wait, 1, 60'000), 1);
  EXPECT_THAT(Drain().sets, Contains(kA));
}

TEST_P(TrackerContract, LosesNoHintWhenTheBellOverflows) {
  constexpr std::uint32_t kSets = 80000;  // more than either doorbell holds
  Make({.sets = kSets});
  if (IsSkipped()) return;
  const Tid task = world().Start();
  for (std::uint32_t set = 2; set < kSets; ++set) {
    Use(CssSetId{set});
    ASSERT_THAT(Move(task, CssSetId{set}), IsOk());
  }
  ASSERT_THAT(Move(task, kInitialSet), IsOk());
  const Hints hints = Drain();
  EXPECT_GT(tracker().misses().bells, 0u);
  EXPECT_EQ(std::set<CssSetId>(hints.sets.begin(), hints.sets.end()).size(), kSets - 2);
  EXPECT_TRUE(hints.resync);
  EXPECT_THAT(Drain().sets, IsEmpty());
}

// ---- on the way out (spec 10.10)

TEST_P(TrackerContract, NamesATaskThatLeftAndStillHoldsSomething) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    const Tid task = StartIn(kA);
    world().BeginSlowExit(task);
    EXPECT_EQ(Count(kA).count, 0u);
    const bool ended_before = world().HasEnded(task);
    const auto leavers = tracker().Leavers();
    const bool ended_after = world().HasEnded(task);
    const bool named = std::any_of(leavers.begin(), leavers.end(), [&](const Leaver& leaver) {
      return leaver.tid == task && leaver.set == kA;
    });
    EXPECT_TRUE(named || ended_after);
    EXPECT_FALSE(named && ended_before);
    world().EndSlowExit(task);
    for (const Leaver& leaver : tracker().Leavers()) EXPECT_NE(leaver.tid, task);
    if (!ended_after) return;  // we saw what we came for
  }
  GTEST_SKIP() << "every exit was over before we could look";
}

// ---- I8

TEST_P(TrackerContract, MissesNothingInOrdinaryLife) {
  const MissCounts before = tracker().misses();
  const Tid task = StartIn(kA);
  world().Exec(world().Thread(task));
  world().ExitProcess(world().Fork(task));
  world().ExitProcess(task);
  const MissCounts missed = tracker().misses() - before;
  EXPECT_EQ(missed.unexpected() + missed.bells, 0u);
  const bool resync = Drain().resync;
  EXPECT_TRUE(!resync || missed.hidden != 0);  // a hidden process may have forked
}

TEST_P(TrackerContract, FindsNothingToMendWhenAllIsWell) {
  const Tid task = StartIn(kA);
  world().Thread(task);
  const AuditReport report = tracker().Resync();
  EXPECT_EQ(report.repaired, 0u);
  EXPECT_THAT(report.differences, IsEmpty());
  EXPECT_EQ(At(task).set, kA);
}

INSTANTIATE_TEST_SUITE_P(Every, TrackerContract, ::testing::Values("inproc", "bpf"),
                         [](const auto& world) { return world.param; });

}  // namespace
}  // namespace corral
