// Attaching and listing tasks (spec 6.6 to 6.10, 7), css_sets, and what happens when a move
// cannot be done.
#include "support/core_fixture.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Moves : public CoreTest {};

TEST_F(Moves, PutATaskWhereItIsTold) {
  const CgroupId a = Mkdir("/a");
  const Tid task = StartIn(a);
  EXPECT_EQ(Where(task), a);
  EXPECT_THAT(Tasks(a), ElementsAre(task));
  EXPECT_THAT(Tasks(At("/")), IsEmpty());
}

TEST_F(Moves, SayNoSuchTask) { EXPECT_THAT(Attach(Mkdir("/a"), Tid{4000}), FailsWith(ESRCH)); }

TEST_F(Moves, DoNotFindATaskOnItsWayOut) {
  const CgroupId a = Mkdir("/a");
  const Tid task = StartIn(a);
  machine_.BeginDeath(task);
  EXPECT_THAT(Attach(At("/"), task), FailsWith(ESRCH));
  EXPECT_THAT(Tasks(a), IsEmpty());
  EXPECT_THAT(Tasks(At("/")), IsEmpty());  // spec 11.4
  machine_.EndDeath(task);
}

TEST_F(Moves, ToWhereATaskIsHaveNoEffect) {
  const CgroupId a = MkdirNotifying("/a");
  const Tid task = StartIn(a);
  const std::uint64_t serial = Serial(a);
  EXPECT_THAT(Attach(a, task), IsOk());
  EXPECT_THAT(AttachProcess(a, task), IsOk());
  EXPECT_FALSE(Releasable(a));
  EXPECT_EQ(Serial(a), serial);
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_THAT(Attach(At("/"), task), IsOk());
  EXPECT_TRUE(Releasable(a));
  EXPECT_THAT(Told(), ElementsAre("/a")) << "elsewhere has";
}

TEST_F(Moves, OfOneThreadLeaveTheOthers) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const Tid leader = StartIn(a);
  const Tid thread = Thread(leader);
  ASSERT_THAT(Attach(b, thread), IsOk());
  EXPECT_THAT(Tasks(a), ElementsAre(leader));
  EXPECT_THAT(Tasks(b), ElementsAre(thread));
  EXPECT_THAT(registry_.Processes(b), IsOkAndHolds(ElementsAre(Tgid{leader.value})));
}

TEST_F(Moves, OfAProcessTakeAllItsThreadsFromWhereverTheyAre) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const CgroupId c = Mkdir("/c");
  const Tid leader = StartIn(a);
  const Tid second = Thread(leader);
  const Tid third = Thread(leader);
  ASSERT_THAT(Attach(b, second), IsOk());
  ASSERT_THAT(AttachProcess(c, third), IsOk());  // any tid of it will do
  EXPECT_THAT(Tasks(c), ElementsAre(leader, second, third));
  EXPECT_THAT(registry_.Processes(c), IsOkAndHolds(ElementsAre(Tgid{leader.value})));
}

TEST_F(Moves, OfAProcessTakeTheLiveThreadsOfADeadLeader) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const Tid leader = StartIn(a);
  const Tid thread = Thread(leader);
  Exit(leader);
  EXPECT_THAT(registry_.Processes(a), IsOkAndHolds(ElementsAre(Tgid{leader.value})));
  EXPECT_THAT(Attach(b, leader), FailsWith(ESRCH));
  EXPECT_THAT(AttachProcess(b, leader), IsOk());  // what cgroup.procs just listed
  EXPECT_THAT(Tasks(b), ElementsAre(thread));
}

TEST_F(Moves, OfAProcessTakeAThreadBornMeanwhile) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const Tid leader = StartIn(a);
  const Tid second = Thread(leader);
  Tid newborn;
  tracker_.before_move = [&](Tid task) {
    if (task == second && newborn.value == 0) newborn = Thread(second);
  };
  ASSERT_THAT(AttachProcess(b, leader), IsOk());
  EXPECT_THAT(Tasks(b), ElementsAre(leader, second, newborn));
  EXPECT_THAT(Tasks(a), IsEmpty());
}

TEST_F(Moves, OfAProcessGoOnWhenAThreadDiesMeanwhile) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const Tid leader = StartIn(a);
  const Tid thread = Thread(leader);
  tracker_.before_move = [&](Tid task) {
    if (task == thread) Exit(thread);
  };
  ASSERT_THAT(AttachProcess(b, leader), IsOk());
  EXPECT_THAT(Tasks(b), ElementsAre(leader));
}

TEST_F(Moves, OfAProcessThatEndsMeanwhileSucceed) {
  const CgroupId b = Mkdir("/b");
  const Tid leader = StartIn(Mkdir("/a"));
  tracker_.after_move = [&](Tid task) { Exit(task); };
  EXPECT_THAT(AttachProcess(b, leader), IsOk());
  EXPECT_FALSE(Populated(b));
}

// ---- independence of hierarchies (spec 1.3)

TEST_F(Moves, InOneHierarchySayNothingAboutTheOther) {
  const HierarchyId other = OtherHierarchy("other");
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const CgroupId x = Mkdir("/x", other);
  const Tid task = StartIn(a);
  ASSERT_THAT(Attach(x, task), IsOk());
  EXPECT_EQ(Where(task), a);
  ASSERT_THAT(Attach(b, task), IsOk());
  EXPECT_EQ(Where(task, other), x);
  EXPECT_THAT(Tasks(x), ElementsAre(task));
  const Tid child = Fork(task);
  EXPECT_EQ(Where(child), b);
  EXPECT_EQ(Where(child, other), x);
}

TEST_F(Moves, ShareOneCssSetForTheSameTuple) {
  const CgroupId a = Mkdir("/a");
  const std::size_t before = registry_.css_sets();
  for (int i = 0; i < 20; ++i) StartIn(a);
  EXPECT_EQ(registry_.css_sets(), before + 1);
}

// ---- listing

TEST_F(Moves, ListOwnTasksOnlyAndTheSubtreeOnRequest) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/a/b");
  const Tid outer = StartIn(a);
  const Tid inner = StartIn(b);
  EXPECT_THAT(Tasks(a), ElementsAre(outer));
  std::vector<Tid> subtree;
  const auto members = registry_.SubtreeTasks(a);
  for (const TaskMember& member : *members) subtree.push_back(member.tid);
  EXPECT_THAT(subtree, ElementsAre(outer, inner));
}

TEST_F(Moves, LeaveUnplacedTasksInTheRoot) {
  const Tid unplaced = Start();
  const Tid placed = StartIn(Mkdir("/a"));
  EXPECT_THAT(Tasks(At("/")), ElementsAre(unplaced));
  EXPECT_EQ(registry_.SubtreeTasks(At("/")).value().size(), 2u);
  ASSERT_THAT(Attach(At("/"), placed), IsOk());
  EXPECT_THAT(Tasks(At("/")), ElementsAre(unplaced, placed));
}

// ---- the guard: permission is checked again after the move

// A thread that the pass has not come to yet makes one on a tid that the pass has gone by, and
// exits: that pass sees neither (docs/concurrency.md, 4.3).
TEST_F(Moves, OfAProcessFindAThreadBornBehindThePass) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const Tid leader{5000}, maker{5002}, hidden{5001};
  machine_.Start(leader, Tgid{leader.value});
  ASSERT_THAT(Attach(a, leader), IsOk());
  tracker_.before_move = [&, made = false](Tid) mutable {  // after the first pass
    if (!std::exchange(made, true)) machine_.Birth(leader, maker, Tgid{leader.value});
  };
  const std::size_t second = tracker_.passes + 2;
  tracker_.before_pass = [&](std::size_t pass) {
    if (pass != second) return;
    machine_.Birth(maker, hidden, Tgid{leader.value});
    machine_.Death(maker);
  };
  tracker_.overlooked = [&](std::size_t pass, Tid tid) { return pass == second && tid == hidden; };
  EXPECT_THAT(AttachProcess(b, leader), IsOk());
  EXPECT_THAT(Tasks(b), ElementsAre(leader, hidden));
  EXPECT_THAT(Tasks(a), IsEmpty());
}

class Guarded : public Moves {
 protected:
  const AttachGuard refuse_ = [] { return Fail(EACCES, "not yours"); };
};

TEST_F(Guarded, MovesThatAreRefusedChangeNothing) {
  const CgroupId a = MkdirNotifying("/a");
  const CgroupId b = MkdirNotifying("/b");
  const Tid leader = StartIn(a);
  const Tid thread = Thread(leader);
  EXPECT_THAT(registry_.Attach(b, leader, refuse_), FailsWith(EACCES));
  EXPECT_THAT(registry_.AttachProcess(b, leader, refuse_), FailsWith(EACCES));
  EXPECT_THAT(Tasks(a), ElementsAre(leader, thread));
  EXPECT_FALSE(Releasable(a));
  EXPECT_FALSE(Populated(b));
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(Releases(a) + Releases(b), 0u);
}

TEST_F(Guarded, MovesThatAreRefusedDoNotHideALaterRelease) {
  const CgroupId a = MkdirNotifying("/a");
  const CgroupId b = MkdirNotifying("/b");
  const Tid task = StartIn(a);
  const Tid other = StartIn(b);
  EXPECT_THAT(registry_.Attach(b, task, refuse_), FailsWith(EACCES));
  Exit(other);
  EXPECT_THAT(Told(), ElementsAre("/b"));
  Exit(task);
  EXPECT_THAT(Told(), ElementsAre("/a"));
}

TEST_F(Guarded, MovesKeepAReleaseThatHappensDuringThem) {
  const CgroupId a = MkdirNotifying("/a");
  const CgroupId b = MkdirNotifying("/b");
  const Tid task = StartIn(a);
  const Tid other = StartIn(b);
  EXPECT_THAT(registry_.Attach(b, task,
                               [&]() -> Result<void> {
                                 Exit(other);
                                 return Fail(EACCES, "not yours");
                               }),
              FailsWith(EACCES));
  EXPECT_THAT(Told(), ElementsAre("/b"));
  EXPECT_EQ(Where(task), a);
}

// The answer says that it was never in b: so nobody is told that b is idle now.
TEST_F(Guarded, MovesOfATaskThatDiesInTheTargetReleaseTheSourceAlone) {
  const CgroupId a = MkdirNotifying("/a");
  const CgroupId b = MkdirNotifying("/b");
  const Tid task = StartIn(a);
  EXPECT_THAT(registry_.Attach(b, task,
                               [&]() -> Result<void> {
                                 Exit(task);
                                 return Fail(ESRCH, "gone");
                               }),
              FailsWith(ESRCH));
  EXPECT_THAT(Told(), ElementsAre("/a"));
  EXPECT_FALSE(Populated(a));
  EXPECT_FALSE(Populated(b));
  EXPECT_EQ(Releases(b), 0u);
  EXPECT_FALSE(Releasable(b));
  const Tid later = StartIn(b);
  Exit(later);
  EXPECT_THAT(Told(), ElementsAre("/b"));
  EXPECT_THAT(Rmdir("/b"), IsOk());
}

// In the other hierarchy it never moved, and left by dying.
TEST_F(Guarded, MovesOfATaskThatDiesInTheTargetReleaseItsPlaceInOtherHierarchies) {
  const HierarchyId users = registry_.CreateHierarchy({.name = "users"}).value();
  const CgroupId user = registry_.Mkdir(registry_.Root(users).value(), "u", {}).value();
  ASSERT_THAT(registry_.SetNotifyOnRelease(user, true), IsOk());
  const CgroupId a = MkdirNotifying("/a");
  const CgroupId b = MkdirNotifying("/b");
  const Tid task = StartIn(a);
  ASSERT_THAT(Attach(user, task), IsOk());
  EXPECT_THAT(registry_.Attach(b, task,
                               [&]() -> Result<void> {
                                 Exit(task);
                                 return Fail(ESRCH, "gone");
                               }),
              FailsWith(ESRCH));
  EXPECT_THAT(Told(), UnorderedElementsAre("/a", "/u"));
}

// Its tid is gone, it is not: the exec took its place to the leader's tid (I6).
TEST_F(Guarded, MovesOfAThreadThatExecsMeanwhileAreTakenBack) {
  const CgroupId a = MkdirNotifying("/a");
  const CgroupId b = MkdirNotifying("/b");
  const Tid leader = StartIn(a);
  const Tid thread = Thread(leader);
  EXPECT_THAT(registry_.Attach(b, thread,
                               [&]() -> Result<void> {
                                 Exit(leader);
                                 machine_.Exec(thread, leader);
                                 return Fail(ESRCH, "gone");
                               }),
              FailsWith(ESRCH));
  EXPECT_EQ(Where(leader), a);
  EXPECT_FALSE(Populated(b));
  Exit(leader);
  EXPECT_THAT(Told(), ElementsAre("/a"));
  EXPECT_EQ(Releases(b), 0u);
}

TEST_F(Guarded, MovesThatAreRefusedShowWhatWasBornMeanwhile) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = MkdirNotifying("/b");
  const Tid task = StartIn(a);
  Tid child;
  EXPECT_THAT(registry_.Attach(b, task,
                               [&]() -> Result<void> {
                                 child = Fork(task);
                                 return Fail(EACCES, "not yours");
                               }),
              FailsWith(EACCES));
  EXPECT_EQ(Where(task), a);
  EXPECT_EQ(Where(child), b);
  EXPECT_TRUE(Populated(b));
  Exit(child);
  EXPECT_THAT(Told(), ElementsAre("/b"));
  EXPECT_FALSE(Populated(b));
}

TEST_F(Guarded, MovesThatCannotBeTakenBackCountAsMoves) {
  const CgroupId a = MkdirNotifying("/a");
  const CgroupId b = Mkdir("/b");
  const Tid task = StartIn(a);
  tracker_.fail_next_moves = {0, EIO};  // there, and not back
  EXPECT_THAT(registry_.Attach(b, task, refuse_), FailsWith(EACCES));
  EXPECT_THAT(Tasks(b), ElementsAre(task));
  EXPECT_TRUE(Populated(b));
  EXPECT_TRUE(Releasable(a));
  EXPECT_THAT(Told(), ElementsAre("/a"));
}

// ---- faults of the tracker

TEST_F(Moves, TryAgainWhenSomebodyWasFaster) {
  const CgroupId a = Mkdir("/a");
  const Tid task = Start();
  tracker_.fail_next_moves = {EAGAIN, EAGAIN, EAGAIN};
  EXPECT_THAT(Attach(a, task), IsOk());
  EXPECT_EQ(Where(task), a);
}

TEST_F(Moves, ChangeNothingWhenTheTaskDiesAtTheLastMoment) {
  const CgroupId a = MkdirNotifying("/a");
  const CgroupId b = MkdirNotifying("/b");
  const Tid task = StartIn(a);
  tracker_.fail_next_moves = {ESRCH};
  EXPECT_THAT(Attach(b, task), FailsWith(ESRCH));
  EXPECT_FALSE(Releasable(a));
  EXPECT_FALSE(Populated(b));
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_THAT(Attach(b, task), IsOk());
  EXPECT_TRUE(Releasable(a));
  EXPECT_TRUE(Populated(b));
  EXPECT_THAT(Told(), ElementsAre("/a")) << "one that succeeds has";
}

TEST_F(Moves, OfAProcessAreUndoneWhenOneThreadCannotBeMoved) {
  const CgroupId a = MkdirNotifying("/a");
  const CgroupId b = MkdirNotifying("/b");
  const Tid leader = StartIn(a);
  const Tid second = Thread(leader);
  const Tid third = Thread(leader);
  tracker_.fail_next_moves = {0, 0, EIO};
  EXPECT_THAT(AttachProcess(b, leader), FailsWith(EIO));
  EXPECT_THAT(Tasks(a), ElementsAre(leader, second, third));
  EXPECT_FALSE(Releasable(a));
  EXPECT_FALSE(Populated(b));
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(Moves, ChangeNothingWhenNoCssSetCanBeMade) {
  const CgroupId a = Mkdir("/a");
  const Tid task = Start();
  tracker_.fail_next_sets = {ENOSPC, ENOSPC};
  EXPECT_THAT(Attach(a, task), FailsWith(ENOSPC));
  EXPECT_EQ(Where(task), At("/"));
  EXPECT_FALSE(Populated(a));
  EXPECT_THAT(Rmdir("/a"), IsOk());
}

// ---- a full table: ids 2 to 4 only

class SmallTable : public CoreTest {
 protected:
  SmallTable() : CoreTest({.tids = 1024, .sets = 5}) {}
};

TEST_F(SmallTable, ReclaimsIdleCssSets) {
  for (int i = 0; i < 50; ++i) {
    const CgroupId job = Mkdir("/" + std::to_string(i));
    const Tid task = StartIn(job);
    EXPECT_THAT(Tasks(job), ElementsAre(task));
    Exit(task);
  }
}

TEST_F(SmallTable, LosesNoReleaseWhenItReclaims) {
  std::vector<std::string> expected;
  for (int i = 10; i < 40; ++i) {
    const std::string path = "/" + std::to_string(i);
    Exit(StartIn(MkdirNotifying(path)));
    expected.push_back(path);
  }
  EXPECT_THAT(Told(), ::testing::UnorderedElementsAreArray(expected));
}

TEST_F(SmallTable, IsFullWhenEveryCssSetIsBusy) {
  for (const char* path : {"/a", "/b", "/c"}) StartIn(Mkdir(path));
  const CgroupId d = Mkdir("/d");
  const Tid task = Start();
  EXPECT_THAT(Attach(d, task), FailsWith(ENOSPC));
  EXPECT_EQ(Where(task), At("/"));
  EXPECT_FALSE(Populated(d));
  EXPECT_THAT(Attach(At("/b"), task), IsOk());  // needs no new one
}

TEST_F(SmallTable, DoesNotReuseACssSetThatATaskIsStillLeaving) {
  const CgroupId a = Mkdir("/a");
  const Tid leaver = StartIn(a);
  const Tid b = StartIn(Mkdir("/b"));
  StartIn(Mkdir("/c"));
  machine_.BeginDeath(leaver);
  const CgroupId d = Mkdir("/d");
  EXPECT_THAT(Attach(d, Start()), FailsWith(ENOSPC));
  machine_.EndDeath(leaver);
  EXPECT_THAT(Attach(d, Start()), IsOk());
  Exit(b);
}

TEST_F(SmallTable, UndoesAProcessThatDoesNotFit) {
  const HierarchyId other = OtherHierarchy("other");
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const CgroupId x = Mkdir("/x", other);
  const Tid leader = StartIn(a);
  const Tid thread = Thread(leader);
  ASSERT_THAT(Attach(b, thread), IsOk());
  StartIn(x);  // three sets: {a}, {b}, {x}
  EXPECT_THAT(AttachProcess(x, leader), FailsWith(ENOSPC));
  EXPECT_EQ(Where(leader, other), At("/", other));
  EXPECT_EQ(Where(thread, other), At("/", other));
  EXPECT_EQ(Where(leader), a);
  EXPECT_EQ(Where(thread), b);
}

}  // namespace
}  // namespace corral
