// The control files' contents and errors, by path (spec 6 to 10).
#include <gmock/gmock.h>

#include <cerrno>

#include "support/control_fixture.h"

namespace corral {
namespace {

using testing::UnorderedElementsAre;

constexpr Caller kAlice{.tid = Tid{50}, .uid = 1000, .gid = 1000};

class Tasks : public ControlTest {};

TEST_F(Tasks, ListsOwnTasksAscendingAndRootTheRest) {
  for (const unsigned tid : {30u, 7u, 12u}) Fork(1, tid);
  Make("/job");
  EXPECT_EQ(Read("/job/tasks"), "");
  EXPECT_EQ(Write("/job/tasks", "30\n"), 0);
  EXPECT_EQ(Write("/job/tasks", "7"), 0);
  EXPECT_EQ(Read("/job/tasks"), "7\n30\n");
  EXPECT_EQ(Read("/tasks"), "1\n12\n");
}

TEST_F(Tasks, MovesOneThreadAndProcsTheWholeProcess) {
  Fork(1, 100);
  tracker_.Birth(Tid{100}, Tid{101}, Tgid{100});
  tracker_.Birth(Tid{100}, Tid{102}, Tgid{100});
  Make("/a");
  EXPECT_EQ(Write("/a/tasks", "101"), 0);
  EXPECT_EQ(Read("/a/tasks"), "101\n");
  EXPECT_EQ(Read("/a/cgroup.procs"), "100\n");
  EXPECT_EQ(Write("/a/cgroup.procs", "102"), 0);
  EXPECT_EQ(Read("/a/tasks"), "100\n101\n102\n");
  EXPECT_EQ(Read("/cgroup.procs"), "1\n");
}

TEST_F(Tasks, ZeroMovesTheCallingThreadAndNeedsNoRight) {
  Fork(1, 50, 0);  // root's task, and yet alice's caller: 0 is not checked
  tracker_.Birth(Tid{50}, Tid{51}, Tgid{50});
  Make("/a");
  EXPECT_EQ(Write("/a/tasks", kAlice, "0"), 0);
  EXPECT_EQ(Read("/a/tasks"), "50\n");
  EXPECT_EQ(Write("/a/cgroup.procs", kAlice, "0"), 0);
  EXPECT_EQ(Read("/a/tasks"), "50\n51\n");
  EXPECT_EQ(Write("/a/tasks", Caller{.tid = Tid{0}}, "0"), ESRCH);
}

TEST_F(Tasks, ServesTheSnapshotOfTheOpenInAnyPieces) {
  Make("/a");
  std::string all;
  for (unsigned tid = 1000; tid < 3000; ++tid) {
    Fork(1, tid);
    EXPECT_EQ(Write("/a/tasks", std::to_string(tid)), 0);
    all += std::to_string(tid) + "\n";
  }
  const auto file = Open("/a/tasks");
  for (unsigned tid = 1000; tid < 3000; ++tid) tracker_.Death(Tid{tid});
  std::string pieces;
  while (pieces.size() < all.size()) pieces += *file->Read(Tid{1}, 7, pieces.size());
  EXPECT_EQ(pieces, all);
  EXPECT_EQ(*file->Read(Tid{1}, 1 << 20, 0), all);
  EXPECT_EQ(*file->Read(Tid{1}, 10, all.size()), "");
  EXPECT_EQ(Read("/a/tasks"), "");
}

TEST_F(Tasks, AreRefusedInTheOrderOfTheSpecification) {
  Fork(1, 7, 1000);
  Fork(1, 8, 0);
  Make("/a");
  const auto file = Open("/a/tasks");
  EXPECT_EQ(Write(*file, root_caller_, "x"), EIO);
  EXPECT_EQ(Write(*file, root_caller_, "-1"), ESRCH);
  EXPECT_EQ(Write(*file, root_caller_, "4000"), ESRCH);
  EXPECT_EQ(Write(*file, root_caller_, "9999999"), ESRCH);
  EXPECT_EQ(Write(*file, kAlice, "4000"), ESRCH);
  EXPECT_EQ(Write(*file, kAlice, "8"), EACCES);
  EXPECT_EQ(Write(*file, kAlice, "7"), 0);
  EXPECT_EQ(Write(*file, root_caller_, "7" + std::string(4095, ' ')), 0);
  tracker_.Death(Tid{7});
  EXPECT_EQ(Remove("/a"), 0);
  EXPECT_EQ(Write(*file, root_caller_, std::string(4097, ' ')), E2BIG);
  EXPECT_EQ(Write(*file, root_caller_, "x"), ENODEV);
  EXPECT_EQ(*file->Read(Tid{1}, 100, 0), "");
}

TEST_F(Tasks, AnswerESRCHForAZombieOfAnother) {
  Fork(1, 8, 0);
  tracker_.Death(Tid{8});
  Make("/a");
  EXPECT_EQ(Write("/a/tasks", kAlice, "8"), ESRCH);
}

TEST_F(Tasks, GoToWhoeverHasTheTargetsRealOrSavedUid) {
  Fork(1, 7);
  Make("/a");
  Make("/b");
  host_.owners[Tid{7}] = {.real_uid = 1000, .saved_uid = 0};
  EXPECT_EQ(Write("/a/tasks", kAlice, "7"), 0);
  host_.owners[Tid{7}] = {.real_uid = 0, .saved_uid = 1000};
  EXPECT_EQ(Write("/b/cgroup.procs", kAlice, "7"), 0);
  EXPECT_EQ(Read("/b/tasks"), "7\n");
  host_.owners[Tid{7}] = {.real_uid = 0, .saved_uid = 0};
  EXPECT_EQ(Write("/a/cgroup.procs", kAlice, "7"), EACCES);
}

TEST_F(Tasks, StayWhenTheTidBecameAnotherTaskAfterTheCheck) {
  Fork(1, 7, 1000);
  Make("/a");
  host_.recycled.insert(Tid{7});
  EXPECT_EQ(Write("/a/tasks", kAlice, "7"), ESRCH);
  EXPECT_EQ(Read("/a/tasks"), "");
  EXPECT_EQ(Read("/tasks"), "1\n7\n");
}

class Flags : public ControlTest {};

TEST_F(Flags, AreInheritedAtMkdirAndNeverLater) {
  Make("/before");
  EXPECT_EQ(Read("/notify_on_release"), "0\n");
  EXPECT_EQ(Write("/notify_on_release", "1"), 0);
  Make("/after");
  EXPECT_EQ(Read("/before/notify_on_release"), "0\n");
  EXPECT_EQ(Read("/after/notify_on_release"), "1\n");
}

TEST_F(Flags, AreReadAnewFromTheStart) {
  const auto file = Open("/notify_on_release");
  EXPECT_EQ(*file->Read(Tid{1}, 10, 0), "0\n");
  EXPECT_EQ(Write(*file, root_caller_, "1"), 0);
  EXPECT_EQ(*file->Read(Tid{1}, 10, 1), "\n");
  EXPECT_EQ(*file->Read(Tid{1}, 10, 0), "1\n");
}

TEST_F(Flags, AnyWriteToNotifyClearsReleasable) {
  Make("/a");
  Make("/b");
  Fork(1, 7);
  Write("/a/tasks", "7");
  EXPECT_EQ(Read("/a/releasable"), "0\n");
  Write("/b/tasks", "7");
  EXPECT_EQ(Read("/a/releasable"), "1\n");
  EXPECT_EQ(Write("/a/notify_on_release", "rubbish"), 0);
  EXPECT_EQ(Read("/a/releasable"), "0\n");
  EXPECT_EQ(Write("/a/releasable", "1"), EINVAL);
}

TEST_F(Flags, OfARemovedCgroupAreServedStill) {
  Make("/a");
  const auto file = Open("/a/notify_on_release");
  EXPECT_EQ(Remove("/a"), 0);
  EXPECT_EQ(*file->Read(Tid{1}, 10, 0), "0\n");
  EXPECT_EQ(Write(*file, root_caller_, "1"), ENODEV);
}

class Agent : public ControlTest {};

TEST_F(Agent, ReadsBackAsPathPlusNewline) {
  EXPECT_EQ(Read("/release_agent"), "\n");
  EXPECT_EQ(Write("/release_agent", "/bin/agent\n"), 0);
  EXPECT_EQ(Read("/release_agent"), "/bin/agent\n");
  EXPECT_EQ(Write("/release_agent", "/bin/agent"), 0);
  EXPECT_EQ(Read("/release_agent"), "/bin/agent\n");
  EXPECT_EQ(Write("/release_agent", "/bin/agent\n\n"), 0);
  EXPECT_EQ(Read("/release_agent"), "/bin/agent\n\n");
  EXPECT_EQ(Write("/release_agent", "\n"), 0);
  EXPECT_EQ(Read("/release_agent"), "\n");
}

TEST_F(Agent, IsAtTheTopOnly) {
  Make("/a");
  EXPECT_EQ(Find("/a/release_agent").error().code, ENOENT);
  Make("/a/release_agent");  // a name like any other there
}

TEST_F(Agent, IsNotLongerThanItsLimit) {
  const std::string longest = "/" + std::string(4094, 'x');
  EXPECT_EQ(Write("/release_agent", longest + "\n"), 0);
  EXPECT_EQ(Read("/release_agent"), longest + "\n");
  EXPECT_EQ(Write("/release_agent", longest + "x"), ENOSPC);
  EXPECT_EQ(Write("/release_agent", longest + "x\n"), E2BIG);
  EXPECT_EQ(Read("/release_agent"), longest + "\n");
}

TEST_F(Agent, IsSetByAnAdministratorOnly) {
  EXPECT_EQ(Write("/release_agent", kAlice, "/bin/agent"), EPERM);
  EXPECT_EQ(Write("/release_agent", Caller{.tid = Tid{9}, .uid = 0}, "/bin/agent"), EPERM);
}

TEST_F(Agent, ThatOthersCanWriteIsRefused) {
  Write("/release_agent", "/bin/agent");
  host_.bad_agents.insert("/tmp/agent");
  EXPECT_EQ(Write("/release_agent", "/tmp/agent\n"), EPERM);
  EXPECT_EQ(Read("/release_agent"), "/bin/agent\n");
}

class Events : public ControlTest {};

TEST_F(Events, TellPopulationAndReleasesOfTheSubtree) {
  Make("/a");
  Make("/a/b");
  Fork(1, 7);
  EXPECT_EQ(Read("/a/cgroup.events"), "populated 0\nreleases 0\n");
  Write("/a/b/tasks", "7");
  EXPECT_EQ(Read("/a/cgroup.events"), "populated 1\nreleases 0\n");
  tracker_.Death(Tid{7});
  Settle();
  EXPECT_EQ(Read("/a/cgroup.events"), "populated 0\nreleases 0\n");
  EXPECT_EQ(Read("/a/b/cgroup.events"), "populated 0\nreleases 1\n");
}

TEST_F(Events, ChangedUntilReadFromTheStart) {
  Make("/a");
  Fork(1, 7);
  const auto file = Open("/a/cgroup.events");
  EXPECT_FALSE(*file->Changed());
  Write("/a/tasks", "7");
  EXPECT_TRUE(*file->Changed());
  EXPECT_EQ(*file->Read(Tid{1}, 100, 0), "populated 1\nreleases 0\n");
  EXPECT_FALSE(*file->Changed());
  tracker_.Death(Tid{7});
  Settle();
  EXPECT_TRUE(*file->Changed());
  EXPECT_EQ(*file->Read(Tid{1}, 100, 0), "populated 0\nreleases 1\n");
  EXPECT_EQ(Open("/a/tasks")->Changed().error().code, EINVAL);
}

TEST_F(Events, OfARemovedCgroupAreChangedAndGone) {
  Make("/a");
  const auto file = Open("/a/cgroup.events");
  EXPECT_EQ(Remove("/a"), 0);
  EXPECT_TRUE(*file->Changed());
  EXPECT_EQ(file->Read(Tid{1}, 100, 0).error().code, ENODEV);
}

class Kill : public ControlTest {
 protected:
  // What SIGKILL does: all threads die.
  void KillForReal() {
    host_.on_kill = [this](Tgid tgid) {
      tracker_.ForEachTask([&](Tid tid, Place place) {
        if (place.tgid == tgid) tracker_.Death(tid);
      });
    };
  }
};

TEST_F(Kill, ReachesWholeProcessesWithAMemberInTheSubtree) {
  Make("/a");
  Make("/a/b");
  for (const unsigned tid : {10u, 20u, 30u}) Fork(1, tid);
  tracker_.Birth(Tid{20}, Tid{21}, Tgid{20});
  Write("/a/tasks", "10");
  Write("/a/b/tasks", "21");  // one thread of process 20
  KillForReal();
  EXPECT_EQ(Write("/a/cgroup.kill", "1\n"), 0);
  EXPECT_THAT(host_.killed, UnorderedElementsAre(Tgid{10}, Tgid{20}));
  EXPECT_EQ(Read("/tasks"), "1\n30\n");
}

TEST_F(Kill, FindsForksThatHappenMeanwhile) {
  Make("/a");
  Fork(1, 10);
  Write("/a/tasks", "10");
  unsigned next = 11;
  host_.on_open_process = [&](Tgid tgid) {
    if (next < 15) Fork(tgid.value, next++);  // born after the list was taken
  };
  EXPECT_EQ(Write("/a/cgroup.kill", "1"), 0);
  EXPECT_EQ(host_.killed.size(), 5u);
}

TEST_F(Kill, SparesAProcessThatLeftOrTookTheNumber) {
  Make("/a");
  Fork(1, 10);
  Write("/a/tasks", "10");
  host_.on_open_process = [&](Tgid) {
    tracker_.Death(Tid{10});
    tracker_.Birth(Tid{1}, Tid{10}, Tgid{10});  // somebody else's, not in /a
    host_.on_open_process = [](Tgid) {};
  };
  EXPECT_EQ(Write("/a/cgroup.kill", "1"), 0);
  EXPECT_TRUE(host_.killed.empty());
}

TEST_F(Kill, SparesTheDaemonAndTheTopAndWantsAOne) {
  Make("/a");
  Fork(1, 10);
  Write("/a/tasks", "10");
  host_.own = Tgid{10};
  EXPECT_EQ(Write("/a/cgroup.kill", "1"), 0);
  EXPECT_TRUE(host_.killed.empty());
  for (const char* text : {"0", "2", "", "11", "1 1", "x", "\n"}) {
    EXPECT_EQ(Write("/a/cgroup.kill", text), EINVAL) << text;
  }
  EXPECT_EQ(Read("/a/cgroup.kill"), "");
  EXPECT_EQ(Find("/cgroup.kill").error().code, ENOENT);
  EXPECT_EQ(tree_.Kill(root_).error().code, EPERM);
}

}  // namespace
}  // namespace corral
