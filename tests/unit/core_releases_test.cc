// Releases: what fires one, what does not, when it is told (spec 9, 10), and `populated`.
#include "support/core_fixture.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Release : public CoreTest {};

// ---- what fires (spec 10.2)

TEST_F(Release, FiresWhenTheLastTaskExits) {
  const CgroupId job = MkdirNotifying("/job");
  const Tid first = StartIn(job);
  const Tid second = Fork(first);
  Exit(first);
  EXPECT_THAT(Told(), IsEmpty());
  Exit(second);
  EXPECT_THAT(Told(), ElementsAre("/job"));
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(Release, FiresWhenTheLastTaskIsMovedOut) {
  const Tid task = StartIn(MkdirNotifying("/job"));
  ASSERT_THAT(Attach(At("/"), task), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, FiresWhenAWholeProcessIsMovedOut) {
  const Tid task = StartIn(MkdirNotifying("/job"));
  Thread(task);
  ASSERT_THAT(AttachProcess(At("/"), task), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, FiresWhenTheLastChildIsRemovedEvenWithoutTasksEver) {
  MkdirNotifying("/job");
  Mkdir("/job/one");
  Mkdir("/job/two");
  ASSERT_THAT(Rmdir("/job/one"), IsOk());
  EXPECT_THAT(Told(), IsEmpty());
  ASSERT_THAT(Rmdir("/job/two"), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, FiresAnewEachTimeItEmpties) {
  const CgroupId job = MkdirNotifying("/job");
  for (int i = 0; i < 5; ++i) {
    Exit(StartIn(job));
    EXPECT_THAT(Told(), ElementsAre("/job"));
  }
  EXPECT_EQ(Releases(job), 5u);
}

TEST_F(Release, GoesUpOneDirectoryAtATime) {
  MkdirNotifying("/a");
  MkdirNotifying("/a/b");
  Exit(StartIn(At("/a/b")));
  EXPECT_THAT(Told(), ElementsAre("/a/b"));
  ASSERT_THAT(Rmdir("/a/b"), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/a"));
}

// ---- what does not (spec 10.3)

TEST_F(Release, DoesNotFireForACgroupNeverUsed) {
  const CgroupId job = MkdirNotifying("/job");
  registry_.JudgeAll();
  EXPECT_THAT(Told(), IsEmpty());
  Exit(StartIn(job));
  EXPECT_THAT(Told(), ElementsAre("/job")) << "used, it does";
}

TEST_F(Release, DoesNotFireWhenNotifyIsSetOnAnEmptyOne) {
  const CgroupId job = Mkdir("/job");
  Exit(StartIn(job));
  // Not even looked at yet: the verdict passes under the old flag (I7).
  ASSERT_THAT(registry_.SetNotifyOnRelease(job, true), IsOk());
  EXPECT_THAT(Told(), IsEmpty());
  Exit(StartIn(job));
  EXPECT_THAT(Told(), ElementsAre("/job")) << "set before, it does";
}

TEST_F(Release, DoesNotFireWhileAChildDirectoryIsThere) {
  const CgroupId job = MkdirNotifying("/job");
  Mkdir("/job/child");
  Exit(StartIn(job));
  EXPECT_THAT(Told(), IsEmpty());
  ASSERT_THAT(Rmdir("/job/child"), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, DoesNotFireWhenTheLastChildGoesWhileTasksAreThere) {
  const CgroupId job = MkdirNotifying("/job");
  const Tid task = StartIn(job);
  Mkdir("/job/child");
  ASSERT_THAT(Rmdir("/job/child"), IsOk());
  EXPECT_THAT(Told(), IsEmpty());
  Exit(task);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, DoesNotFireForItsOwnRemoval) {
  Exit(StartIn(MkdirNotifying("/job")));
  Exit(StartIn(MkdirNotifying("/stays")));
  ASSERT_THAT(Rmdir("/job"), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/stays"));
}

TEST_F(Release, DoesNotFireForTheRoot) {
  ASSERT_THAT(registry_.SetNotifyOnRelease(At("/"), true), IsOk());
  Exit(Start());
  Mkdir("/a");
  ASSERT_THAT(registry_.SetNotifyOnRelease(At("/a"), false), IsOk());
  Mkdir("/b");
  Mkdir("/b/c");
  ASSERT_THAT(registry_.SetNotifyOnRelease(At("/b/c"), false), IsOk());
  ASSERT_THAT(Rmdir("/a"), IsOk());
  ASSERT_THAT(Rmdir("/b/c"), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/b")) << "its child, by the same";
}

TEST_F(Release, DoesNotFireWithoutNotifyButIsCounted) {
  const CgroupId job = Mkdir("/job");
  Exit(StartIn(job));
  EXPECT_EQ(Releases(job), 1u);
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(std::count_if(events_.begin(), events_.end(),
                          [](const Event& e) { return e.kind == Event::Kind::kReleased; }),
            1);
}

TEST_F(Release, DoesNotFireForACgroupFilledAgainBeforeAnyoneLooked) {
  const CgroupId job = MkdirNotifying("/job");
  Exit(StartIn(job));
  const Tid task = Start();
  // The attach itself passes the verdict: it did empty (I7, spec 10.8).
  ASSERT_THAT(Attach(job, task), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job"));
  Exit(task);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

// ---- exactly once (spec 10.7, 10.9)

TEST_F(Release, IsMergedWhileItsNotificationWaits) {
  const CgroupId job = MkdirNotifying("/job");
  for (int i = 0; i < 5; ++i) {
    Exit(StartIn(job));
    Look();
  }
  EXPECT_EQ(registry_.queue().size(), 1u);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, AfterItsNotificationStartedIsQueuedAnew) {
  const CgroupId job = MkdirNotifying("/job");
  Exit(StartIn(job));
  Look();
  ASSERT_TRUE(registry_.BeginNotification(registry_.queue().TryTake().value()));
  Exit(StartIn(job));
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, IsToldWhenNotifyIsClearedWhileItWaits) {
  const CgroupId job = MkdirNotifying("/job");
  Exit(StartIn(job));
  ASSERT_THAT(registry_.SetNotifyOnRelease(job, false), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, IsDroppedWhenTheCgroupIsRemovedWhileItWaits) {
  Exit(StartIn(MkdirNotifying("/job")));
  Exit(StartIn(MkdirNotifying("/stays")));
  Look();
  ASSERT_THAT(Rmdir("/job"), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/stays"));
}

// ---- where dialects differ (spec 2)

class OutlivingRelease : public CoreTest {
 protected:
  void Create(ReleaseRules rules) {
    other_ =
        registry_.CreateHierarchy({.name = "other", .release_agent = "/bin/agent", .rules = rules})
            .value();
  }
  CgroupId MkdirIn(const std::string& path) {
    const CgroupId made = Mkdir(path, other_);
    EXPECT_THAT(registry_.SetNotifyOnRelease(made, true), IsOk());
    return made;
  }
  void Empty(CgroupId cgroup) {
    Exit(StartIn(cgroup));
    Look();
  }
  HierarchyId other_;
};

TEST_F(OutlivingRelease, IsToldThoughTheCgroupWasRemovedWhileItWaited) {
  Create({.outlives_removal = true});
  Empty(MkdirIn("/job"));
  ASSERT_THAT(registry_.Rename(At("/", other_), "job", At("/", other_), "late"), IsOk());
  ASSERT_THAT(Rmdir("/late", other_), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/late"));
}

TEST_F(OutlivingRelease, OfARemovedCgroupWaitsForATaskOnItsWayOut) {
  Create({.outlives_removal = true});
  Mkdir("/up", other_);
  const Tid slow = StartIn(MkdirIn("/up/job"));
  machine_.BeginDeath(slow);
  ASSERT_THAT(Rmdir("/up/job", other_), IsOk());
  ASSERT_THAT(Rmdir("/up", other_), IsOk());
  EXPECT_THAT(Told(), IsEmpty());
  machine_.EndDeath(slow);
  EXPECT_THAT(Told(), ElementsAre("/up/job"));
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(OutlivingRelease, OutlivesItsHierarchyToo) {
  Create({.outlives_removal = true});
  Empty(MkdirIn("/job"));
  const Tid slow = StartIn(MkdirIn("/slow"));
  machine_.BeginDeath(slow);
  ASSERT_THAT(Rmdir("/job", other_), IsOk());
  ASSERT_THAT(Rmdir("/slow", other_), IsOk());
  ASSERT_THAT(registry_.DestroyHierarchy(other_), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job"));
  machine_.EndDeath(slow);
  EXPECT_THAT(Told(), ElementsAre("/slow"));
}

TEST_F(OutlivingRelease, IsToldForEachEmptyingWithThePathOfThatMoment) {
  Create({.per_emptying = true, .outlives_removal = true});
  const CgroupId job = MkdirIn("/job");
  Empty(job);
  ASSERT_THAT(registry_.Rename(At("/", other_), "job", At("/", other_), "late"), IsOk());
  Empty(job);
  ASSERT_THAT(registry_.Rename(At("/", other_), "late", At("/", other_), "last"), IsOk());
  ASSERT_THAT(Rmdir("/last", other_), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job", "/late"));
}

TEST_F(OutlivingRelease, IsToldWithThePathOfItsEmptyingThoughNobodyHasLookedYet) {
  Create({.per_emptying = true, .outlives_removal = true});
  const CgroupId job = MkdirIn("/job");
  const CgroupId below = MkdirIn("/job/below");
  const Tid task = StartIn(below);
  Exit(task);  // the looker is late
  ASSERT_THAT(registry_.Rename(At("/", other_), "job", At("/", other_), "late"), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job/below"));
  EXPECT_THAT(registry_.PathOf(job), IsOkAndHolds("/late"));
}

TEST_F(Release, IsToldWithThePathAndAgentOfTheMomentItStarts) {
  const CgroupId job = MkdirNotifying("/job");
  Exit(StartIn(job));
  Look();
  ASSERT_THAT(registry_.Rename(At("/"), "job", At("/"), "renamed"), IsOk());
  ASSERT_THAT(registry_.SetReleaseAgent(jobs_, "/bin/other"), IsOk());
  const auto notification = registry_.BeginNotification(registry_.queue().TryTake().value());
  ASSERT_TRUE(notification);
  EXPECT_EQ(notification->path, "/renamed");
  EXPECT_EQ(notification->agent, "/bin/other");
  EXPECT_EQ(notification->hierarchy, "jobs");
}

TEST_F(Release, IsNotLostWhenTheBellWas) {
  const CgroupId job = MkdirNotifying("/job");
  Exit(StartIn(job));
  struct Deaf final : Tracker::Listener {
    void SetMayBeEmpty(CssSetId) override {}
    void ResyncNeeded() override {}
  } deaf;
  tracker_.Drain(deaf);
  EXPECT_THAT(Told(), IsEmpty());
  registry_.JudgeAll();
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, IsNotHiddenByAChildThatIsMadeBeforeAnyoneLooked) {
  Exit(StartIn(MkdirNotifying("/job")));
  Mkdir("/job/child");
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, IsNotRepeatedByMoreHints) {
  Exit(StartIn(MkdirNotifying("/job")));
  EXPECT_THAT(Told(), ElementsAre("/job"));
  registry_.JudgeAll();
  for (std::uint32_t set = 2; set < 10; ++set) registry_.SetMayBeEmpty(CssSetId{set});
  EXPECT_THAT(Told(), IsEmpty());
}

// ---- who must be through before it is told (spec 10.10)

TEST_F(Release, WaitsForATaskOnItsWayOut) {
  const CgroupId job = MkdirNotifying("/job");
  const Tid task = StartIn(job);
  machine_.BeginDeath(task);
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_TRUE(Populated(job));
  EXPECT_TRUE(registry_.Settle());  // look again
  machine_.EndDeath(task);
  EXPECT_THAT(Told(), ElementsAre("/job"));
  EXPECT_FALSE(Populated(job));
  EXPECT_FALSE(registry_.Settle());
}

TEST_F(Release, WaitsForAnEarlierTaskWhenTheLastIsMovedOut) {
  const CgroupId job = MkdirNotifying("/job");
  const Tid leaver = StartIn(job);
  const Tid last = Fork(leaver);
  machine_.BeginDeath(leaver);
  ASSERT_THAT(Attach(At("/"), last), IsOk());
  EXPECT_THAT(Told(), IsEmpty());
  machine_.EndDeath(leaver);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, OfTheParentWaitsForTheTasksOfARemovedChild) {
  const CgroupId parent = MkdirNotifying("/a");
  const Tid task = StartIn(Mkdir("/a/b"));
  machine_.BeginDeath(task);
  Look();
  ASSERT_THAT(Rmdir("/a/b"), IsOk());
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_TRUE(Populated(parent));
  machine_.EndDeath(task);
  EXPECT_THAT(Told(), ElementsAre("/a"));
  EXPECT_FALSE(Populated(parent));
}

TEST_F(Release, WaitsOnlyForThoseWhoLeftBeforeIt) {
  const CgroupId job = MkdirNotifying("/job");
  const Tid first = StartIn(job);
  machine_.BeginDeath(first);
  EXPECT_THAT(Told(), IsEmpty());
  const Tid second = StartIn(job);
  const Tid third = Fork(second);
  machine_.BeginDeath(second);  // third is still there: no emptying
  machine_.EndDeath(first);
  EXPECT_THAT(Told(), ElementsAre("/job"));
  machine_.EndDeath(second);
  Exit(third);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

// The walk over the machine's tasks is done without the lock. Whoever leaves after it is not in
// it, and was not through: what is decided then waits for the next walk.
TEST_F(Release, WaitsForATaskThatLeavesAfterTheWalk) {
  const CgroupId job = MkdirNotifying("/job");
  Exit(StartIn(job));
  const Tid late = Start();
  tracker_.after_walk = [&, left = false]() mutable {
    if (std::exchange(left, true)) return;
    ASSERT_THAT(Attach(job, late), IsOk());
    machine_.BeginDeath(late);
    EXPECT_TRUE(Releasable(job));  // passes the verdict: decided again
  };
  EXPECT_TRUE(Releasable(job));
  EXPECT_TRUE(registry_.Settle());
  EXPECT_TRUE(registry_.Info(job)->populated);
  EXPECT_EQ(registry_.Info(job)->releases, 0u);
  machine_.EndDeath(late);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, InOneHierarchyDoesNotWaitForMovesInAnother) {
  const HierarchyId other = OtherHierarchy("other");
  const CgroupId job = MkdirNotifying("/job");
  const CgroupId x = Mkdir("/x", other);
  const CgroupId y = Mkdir("/y", other);
  const Tid task = StartIn(job);
  for (int i = 0; i < 10; ++i) {
    ASSERT_THAT(Attach(i % 2 == 0 ? x : y, task), IsOk());
    EXPECT_THAT(Told(), IsEmpty());  // it is in another css_set, and still in the job
  }
  EXPECT_FALSE(Releasable(job));
  ASSERT_THAT(Attach(At("/"), task), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/job"));
  EXPECT_TRUE(Populated(y));
  EXPECT_EQ(Releases(x), 5u);
}

TEST_F(Release, CountsATaskThatLeavesSeveralHierarchiesAtOnceInEach) {
  const HierarchyId other = OtherHierarchy("other");
  const CgroupId job = MkdirNotifying("/job");
  const CgroupId x = Mkdir("/x", other);
  const Tid task = StartIn(job);
  ASSERT_THAT(Attach(x, task), IsOk());
  Exit(task);
  EXPECT_EQ(Releases(job), 1u);
  EXPECT_EQ(Releases(x), 1u);
}

// A css_set id that others used before starts judged from its leaves.
TEST_F(Release, IsNotMadeOfTheLeavesOfAReusedCssSetThatNobodyEntered) {
  const Tid before = StartIn(Mkdir("/old"));
  const CssSetId set = machine_.Describe(before)->set;
  Exit(before);
  ASSERT_THAT(Rmdir("/old"), IsOk());
  Look();
  const CgroupId job = MkdirNotifying("/job");
  tracker_.fail_next_moves = {ESRCH};
  EXPECT_THAT(Attach(job, Start()), FailsWith(ESRCH));
  registry_.JudgeAll();
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(Releases(job), 0u);
  const Tid after = StartIn(job);
  EXPECT_EQ(machine_.Describe(after)->set, set) << "it was not used again: nothing was tried";
  Exit(after);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

TEST_F(Release, DoesNotInheritTheLeavesOfAReusedCssSet) {
  Exit(StartIn(Mkdir("/old")));
  ASSERT_THAT(Rmdir("/old"), IsOk());
  Look();
  const CgroupId job = MkdirNotifying("/job");
  const Tid task = StartIn(job);
  registry_.JudgeAll();
  EXPECT_THAT(Told(), IsEmpty());
  Exit(task);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

// A css_set goes with a cgroup of another hierarchy before its leaves were judged.
TEST_F(Release, SurvivesTheRemovalOfTheCssSetThroughAnotherHierarchy) {
  const HierarchyId other = OtherHierarchy("other");
  const CgroupId job = MkdirNotifying("/job");
  const CgroupId x = Mkdir("/x", other);
  const Tid task = StartIn(job);
  const Tid stays = Fork(task);
  ASSERT_THAT(Attach(x, task), IsOk());
  Exit(task);
  ASSERT_THAT(Rmdir("/x", other), IsOk());
  Look();
  EXPECT_THAT(Told(), IsEmpty());
  Exit(stays);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

// ---- releasable (spec 9.3)

TEST_F(Release, BecomesReleasableWhenTheLastTaskExitsWhileNotifyIsSet) {
  const CgroupId with = MkdirNotifying("/with");
  const CgroupId without = Mkdir("/without");
  EXPECT_FALSE(Releasable(with));
  Exit(StartIn(with));
  Exit(StartIn(without));
  EXPECT_TRUE(Releasable(with));
  EXPECT_FALSE(Releasable(without));
}

TEST_F(Release, BecomesReleasableWhenAnyTaskIsMovedOut) {
  const CgroupId job = Mkdir("/job");
  StartIn(job);
  const Tid task = StartIn(job);
  ASSERT_THAT(Attach(At("/"), task), IsOk());
  EXPECT_TRUE(Releasable(job));
}

TEST_F(Release, DoesNotBecomeReleasableWhenOneOfSeveralExits) {
  const CgroupId job = MkdirNotifying("/job");
  const Tid last = StartIn(job);
  Exit(StartIn(job));
  EXPECT_FALSE(Releasable(job));
  Exit(last);
  EXPECT_TRUE(Releasable(job));
}

TEST_F(Release, MakesTheParentReleasableWhenAChildIsRemoved) {
  const CgroupId job = Mkdir("/job");
  Mkdir("/job/a");
  Mkdir("/job/b");
  ASSERT_THAT(Rmdir("/job/a"), IsOk());
  EXPECT_TRUE(Releasable(job));
}

TEST_F(Release, IsNoLongerReleasableAfterAnyWriteToNotify) {
  for (const bool on : {true, false}) {
    const CgroupId job = MkdirNotifying(on ? "/on" : "/off");
    Exit(StartIn(job));
    ASSERT_THAT(registry_.SetNotifyOnRelease(job, on), IsOk());  // passes the verdict first
    EXPECT_FALSE(Releasable(job));
    Exit(StartIn(job));
    EXPECT_EQ(Releasable(job), on) << "until the next, where it is set";
  }
}

TEST_F(Release, StaysReleasableWhenATaskIsAttached) {
  const CgroupId job = MkdirNotifying("/job");
  Exit(StartIn(job));
  StartIn(job);
  EXPECT_TRUE(Releasable(job));
}

// ---- populated (spec 4.6)

TEST_F(Release, PopulatedGoesUpToTheTop) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/a/b");
  const CgroupId c = Mkdir("/a/b/c");
  const Tid task = StartIn(c);
  EXPECT_TRUE(Populated(a) && Populated(b) && Populated(c));
  const Tid in_a = StartIn(a);
  Exit(task);
  EXPECT_TRUE(Populated(a));
  EXPECT_FALSE(Populated(b) || Populated(c));
  Exit(in_a);
  EXPECT_FALSE(Populated(a));
}

TEST_F(Release, EveryChangeOfEventsRaisesTheSerialAndTellsPollers) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/a/b");
  std::uint64_t serial = Serial(a);
  const Tid task = StartIn(b);
  EXPECT_GT(Serial(a), std::exchange(serial, Serial(a)));
  events_.clear();
  Exit(task);
  EXPECT_GT(Serial(a), serial);
  const auto told = [&](CgroupId id) {
    return std::any_of(events_.begin(), events_.end(), [&](const Event& event) {
      return event.kind == Event::Kind::kChanged && event.cgroup == id;
    });
  };
  EXPECT_TRUE(told(a));
  EXPECT_TRUE(told(b));
  serial = Serial(a);
  EXPECT_EQ(Serial(a), serial);
}

TEST_F(Release, PopulatedIsCorrectAfterATaskPassesThroughQuickly) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const Tid task = Start();
  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(Attach(a, task), IsOk());
    ASSERT_THAT(Attach(b, task), IsOk());
  }
  EXPECT_FALSE(Populated(a));
  EXPECT_TRUE(Populated(b));
}

TEST_F(Release, EventsOfRemovalCarryThePathOfThatMoment) {
  const CgroupId a = Mkdir("/a");
  ASSERT_THAT(Rmdir("/a"), IsOk());
  Look();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].kind, Event::Kind::kRemoved);
  EXPECT_EQ(events_[0].cgroup, a);
  EXPECT_EQ(events_[0].path, "/a");
}

// Somebody comes before the walk and leaves after it: the walk knows nothing of him.
TEST_F(Release, DoesNotShowAsEmptyWhileOneWhoLeftAfterTheWalkIsOnHisWayOut) {
  const CgroupId a = Mkdir("/a");
  const Tid first = StartIn(a);
  Exit(first);
  EXPECT_THAT(registry_.Releasable(a), IsOk());  // passes the verdict
  const Tid second = StartIn(a);
  tracker_.after_walk = [&, left = false]() mutable {
    if (!std::exchange(left, true)) machine_.BeginDeath(second);
  };
  registry_.Settle();
  EXPECT_TRUE(registry_.Info(a)->populated);
  Look();
  EXPECT_TRUE(registry_.Info(a)->populated);
  machine_.EndDeath(second);
  Look();
  EXPECT_FALSE(registry_.Info(a)->populated);
  EXPECT_EQ(registry_.Info(a)->releases, 2u);
}

// Nobody has looked yet, and whoever asks about the parent looks below it, too.
TEST_F(Release, ShowsTheParentAsEmptyAtOnceWhenTheChildsLastTaskHasEnded) {
  const CgroupId parent = Mkdir("/p");
  const CgroupId child = Mkdir("/p/c");
  Exit(StartIn(child));
  EXPECT_FALSE(registry_.Events(parent)->populated);
}

// Whoever hears of the removal forgets the cgroup; nothing may come after it.
TEST_F(Release, NothingIsToldOfACgroupAfterItsRemoval) {
  const CgroupId a = Mkdir("/a");
  const Tid task = StartIn(a);
  machine_.BeginDeath(task);  // a is still populated
  ASSERT_THAT(Rmdir("/a"), IsOk());
  Look();
  std::vector<Event::Kind> told;
  for (const Event& event : events_) {
    if (event.cgroup == a) told.push_back(event.kind);
  }
  EXPECT_THAT(told,
              ElementsAre(Event::Kind::kChanged, Event::Kind::kChanged, Event::Kind::kRemoved));
  machine_.EndDeath(task);
}

// A birth's raise that is taken back leaves nothing behind, also where it was seen.
TEST_F(Release, PopulatedDoesNotStayAfterABirthThatCameToNothing) {
  const CgroupId job = MkdirNotifying("/job");
  const Tid task = StartIn(job);
  const CssSetId set = machine_.Describe(task)->set;
  Exit(task);
  registry_.JudgeAll();
  tracker_.raised[set] = 1;
  registry_.JudgeAll();  // looks busy; what was decided is told all the same
  EXPECT_THAT(Told(), ElementsAre("/job"));
  tracker_.raised.clear();
  EXPECT_FALSE(Populated(job));
  EXPECT_EQ(Releases(job), 1u);
}

// The set that the last task left goes with another hierarchy's cgroup, at a moment when the job
// looks busy through its other set.
TEST_F(Release, IsNotLostWithTheSetThatTheLastTaskLeft) {
  const HierarchyId other = OtherHierarchy("other");
  const CgroupId x = Mkdir("/x", other);
  const CgroupId job = MkdirNotifying("/job");
  const auto start_in_both = [&] {
    const Tid task = Start();
    EXPECT_THAT(Attach(x, task), IsOk());
    EXPECT_THAT(Attach(job, task), IsOk());
    return task;
  };
  const Tid alone = StartIn(job);
  const CssSetId set = machine_.Describe(alone)->set;
  Exit(alone);
  Exit(start_in_both());
  ASSERT_THAT(Told(), ElementsAre("/job"));
  Exit(start_in_both());
  tracker_.raised[set] = 1;  // a birth that will come to nothing
  registry_.SetMayBeEmpty(set);
  ASSERT_THAT(Rmdir("/x", other), IsOk());
  tracker_.raised.clear();
  registry_.SetMayBeEmpty(set);
  EXPECT_THAT(Told(), ElementsAre("/job"));
}

}  // namespace
}  // namespace corral
