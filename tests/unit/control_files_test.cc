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

TEST_F(Tasks, ZeroMovesTheCallingThread) {
  Fork(1, 50, 1000);
  tracker_.Birth(Tid{50}, Tid{51}, Tgid{50});
  Make("/a");
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/tasks", kAlice, "0"), 0);
  EXPECT_EQ(Read("/a/tasks"), "50\n");
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/cgroup.procs", kAlice, "0"), 0);
  EXPECT_EQ(Read("/a/tasks"), "50\n51\n");
  EXPECT_EQ(Write("/a/tasks", Caller{.tid = Tid{0}}, "0"), ESRCH);
}

// Alice opens a file of her own and hands it to a program that runs as root.
TEST_F(Tasks, DoNotLendTheirOpenerTheWritersRights) {
  Fork(1, 7, 0);
  Fork(1, 60, 0);
  const Caller roots{.tid = Tid{60}, .uid = 0};
  machine_.owners[Tid{1}] = {.real_uid = 0, .saved_uid = 0};
  Make("/a");
  for (const char* file : {"/a/tasks", "/a/cgroup.procs"}) {
    EXPECT_EQ(WriteOpenedBy(kAlice, file, roots, "7: no such command"), EACCES) << file;
    EXPECT_EQ(WriteOpenedBy(kAlice, file, roots, "1"), EACCES) << file;
    EXPECT_EQ(WriteOpenedBy(kAlice, file, roots, "0"), EACCES) << file;
  }
  EXPECT_EQ(Read("/a/tasks"), "");
  EXPECT_EQ(WriteOpenedBy(root_caller_, "/a/tasks", kAlice, "7"), 0) << "root gave it to her";
}

TEST_F(Tasks, AskOpenerAndWriterInTheOldDialects) {
  for (const char* name : {"v6", "v11"}) {
    const auto dialect = FindDialect(name);
    root_ = *registry_.Root(*registry_.CreateHierarchy({.name = name, .dialect = dialect}));
    Make("/a");
    Fork(1, 7, 0);
    Fork(1, 8, 1000);
    Fork(1, 60, 0);
    const Caller roots{.tid = Tid{60}, .uid = 0};
    EXPECT_EQ(WriteOpenedBy(kAlice, "/a/tasks", roots, "7"), EACCES) << name;
    EXPECT_EQ(WriteOpenedBy(root_caller_, "/a/tasks", kAlice, "7"), EACCES) << name;
    EXPECT_EQ(WriteOpenedBy(kAlice, "/a/tasks", roots, "8"), 0) << name;
    EXPECT_EQ(WriteOpenedBy(kAlice, "/a/tasks", roots, "0"), 0) << name;
    EXPECT_EQ(Read("/a/tasks"), "8\n60\n") << name;
    for (const unsigned tid : {7u, 8u, 60u}) tracker_.Death(Tid{tid});
  }
}

// The thread of a server that has taken alice's uid for a while.
TEST_F(Tasks, OfAnothersProcessStayThoughOneThreadIsTheUsers) {
  Fork(1, 7, 0);
  tracker_.Birth(Tid{7}, Tid{8}, Tgid{7});
  machine_.owners[Tid{8}] = {.real_uid = 1000, .saved_uid = 1000};
  machine_.processes[Tid{8}] = Tgid{7};
  Make("/a");
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/tasks", kAlice, "8"), EACCES);
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/cgroup.procs", kAlice, "8"), EACCES);
  machine_.owners[Tid{7}] = {.real_uid = 1000, .saved_uid = 0};
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/cgroup.procs", kAlice, "8"), 0);
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
  const auto hers = std::move(tree_.Open(kAlice, At("/a/tasks"), true)).value();
  EXPECT_EQ(Write(*file, root_caller_, "x"), EIO);
  EXPECT_EQ(Write(*file, root_caller_, "-1"), ESRCH);
  EXPECT_EQ(Write(*file, root_caller_, "4000"), ESRCH);
  EXPECT_EQ(Write(*file, root_caller_, "9999999"), ESRCH);
  EXPECT_EQ(Write(*hers, kAlice, "4000"), ESRCH);
  EXPECT_EQ(Write(*hers, kAlice, "8"), EACCES);
  EXPECT_EQ(Write(*hers, kAlice, "7"), 0);
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
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/tasks", kAlice, "8"), ESRCH);
}

TEST_F(Tasks, GoToWhoeverHasTheTargetsRealOrSavedUid) {
  Fork(1, 7);
  Make("/a");
  Make("/b");
  machine_.owners[Tid{7}] = {.real_uid = 1000, .saved_uid = 0};
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/tasks", kAlice, "7"), 0);
  machine_.owners[Tid{7}] = {.real_uid = 0, .saved_uid = 1000};
  EXPECT_EQ(WriteOpenedBy(kAlice, "/b/cgroup.procs", kAlice, "7"), 0);
  EXPECT_EQ(Read("/b/tasks"), "7\n");
  machine_.owners[Tid{7}] = {.real_uid = 0, .saved_uid = 0};
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/cgroup.procs", kAlice, "7"), EACCES);
}

TEST_F(Tasks, StayWhenTheTidBecameAnotherTaskAfterTheCheck) {
  Fork(1, 7, 1000);
  Make("/a");
  machine_.recycled.insert(Tid{7});
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/tasks", kAlice, "7"), ESRCH);
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
  const Caller without{.tid = Tid{9}, .uid = 0};  // the capability
  EXPECT_EQ(WriteOpenedBy(kAlice, "/release_agent", kAlice, "/bin/agent"), EPERM);
  EXPECT_EQ(WriteOpenedBy(kAlice, "/release_agent", root_caller_, "/bin/agent"), EPERM);
  EXPECT_EQ(WriteOpenedBy(without, "/release_agent", root_caller_, "/bin/agent"), EPERM);
  EXPECT_EQ(WriteOpenedBy(root_caller_, "/release_agent", kAlice, "/bin/agent"), 0);
  root_ =
      *registry_.Root(*registry_.CreateHierarchy({.name = "v11", .dialect = FindDialect("v11")}));
  EXPECT_EQ(WriteOpenedBy(without, "/release_agent", root_caller_, "/bin/agent"), EPERM);
  EXPECT_EQ(WriteOpenedBy(root_caller_, "/release_agent", kAlice, "/bin/agent"), EPERM);
  EXPECT_EQ(WriteOpenedBy(root_caller_, "/release_agent", root_caller_, "/bin/agent"), 0);
}

TEST_F(Agent, ThatOthersCanWriteIsRefused) {
  Write("/release_agent", "/bin/agent");
  machine_.bad_agents.insert("/tmp/agent");
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
  Look();
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
  Look();
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

class QuotaFiles : public ControlTest {};

TEST_F(QuotaFiles, ReadBackWhatWasWritten) {
  Make("/a");
  for (const std::string file : {"/a/cgroup.max.depth", "/a/cgroup.max.descendants"}) {
    EXPECT_EQ(Read(file), "max\n");
    for (const auto& [text, read] : {std::pair{"7\n", "7\n"},
                                     {"0", "0\n"},
                                     {" 0x10 ", "16\n"},
                                     {"max\n", "max\n"},
                                     {"2147483647", "2147483647\n"}}) {
      EXPECT_EQ(Write(file, text), 0) << text;
      EXPECT_EQ(Read(file), read);
    }
    for (const char* text : {"", "\n", "x", "1 2", "maxx", "-", "1.5"}) {
      EXPECT_EQ(Write(file, text), EINVAL) << text;
    }
    for (const char* text : {"-1", "2147483648", "99999999999999999999"}) {
      EXPECT_EQ(Write(file, text), ERANGE) << text;
    }
    EXPECT_EQ(Read(file), "2147483647\n");
  }
  EXPECT_EQ(Find("/cgroup.max.depth").error().code, ENOENT) << "none in the root";
}

TEST_F(QuotaFiles, LetMkdirFailWithEAGAIN) {
  Make("/a");
  EXPECT_EQ(Write("/a/cgroup.max.depth", "1"), 0);
  EXPECT_EQ(Write("/a/cgroup.max.descendants", "2"), 0);
  Make("/a/b");
  EXPECT_EQ(tree_.Mkdir(root_caller_, At("/a/b"), "c", 0755).error().code, EAGAIN);
  Make("/a/c");
  EXPECT_EQ(tree_.Mkdir(root_caller_, At("/a"), "d", 0755).error().code, EAGAIN);
}

// The delegated directory was given away with `chown -R`.
TEST_F(QuotaFiles, AreWrittenByWhoMayWriteInTheParent) {
  Make("/mine");
  for (const char* path : {"/mine", "/mine/cgroup.max.depth"}) {
    ASSERT_TRUE(tree_.SetAttr(At(path), {.uid = 1000, .gid = 1000}));
  }
  Make("/mine/sub", kAlice, 0755);
  EXPECT_EQ(WriteOpenedBy(kAlice, "/mine/cgroup.max.depth", kAlice, "max"), EACCES);
  EXPECT_EQ(WriteOpenedBy(kAlice, "/mine/cgroup.max.depth", root_caller_, "max"), EACCES);
  EXPECT_EQ(WriteOpenedBy(kAlice, "/mine/sub/cgroup.max.depth", kAlice, "5"), 0);
  EXPECT_EQ(WriteOpenedBy(root_caller_, "/mine/cgroup.max.depth", kAlice, "6"), 0);
  EXPECT_EQ(Read("/mine/cgroup.max.depth"), "6\n");
}

class Budget : public ControlTest {
 protected:
  static constexpr std::size_t kMost = OpenBudget::kOneUser / OpenBudget::kEach;
  std::vector<std::unique_ptr<OpenFile>> open_;
  int OpenMore(const Caller& opener, std::string_view path, bool readable, std::size_t most) {
    while (open_.size() < most) {
      auto file = tree_.Open(opener, At(path), readable);
      if (!file) return file.error().code;
      open_.push_back(std::move(*file));
    }
    return 0;
  }
};

TEST_F(Budget, OfAUserBoundsHisOpenFilesAndNobodyElses) {
  EXPECT_EQ(OpenMore(kAlice, "/tasks", false, kMost + 1), EMFILE);
  EXPECT_EQ(open_.size(), kMost);
  const Caller bob{.tid = Tid{51}, .uid = 1001};
  EXPECT_TRUE(tree_.Open(bob, At("/tasks"), true));
  EXPECT_TRUE(tree_.Open(root_caller_, At("/tasks"), true));
  open_.pop_back();
  EXPECT_EQ(OpenMore(kAlice, "/tasks", false, kMost), 0);
}

TEST_F(Budget, CountsTheListsThatAreHeld) {
  for (unsigned tid = 1000; tid < 8000; ++tid) tracker_.Start(Tid{tid}, Tgid{tid});
  const std::size_t list = Read("/tasks").size();
  ASSERT_GT(list, 30'000u);
  EXPECT_EQ(OpenMore(kAlice, "/tasks", true, kMost), EMFILE);
  EXPECT_EQ(open_.size(), OpenBudget::kOneUser / (OpenBudget::kEach + list));
  open_.clear();
  EXPECT_EQ(OpenMore(kAlice, "/tasks", true, 100), 0);
}

TEST_F(Budget, CountsWhatWasReadOfASharedList) {
  for (unsigned tid = 1000; tid < 8000; ++tid) tracker_.Start(Tid{tid}, Tgid{tid});
  root_ = *registry_.Root(
      *registry_.CreateHierarchy({.name = "linux", .dialect = FindDialect("linux")}));
  const std::size_t list = Read("/tasks").size();
  const std::size_t most = OpenBudget::kOneUser / (OpenBudget::kEach + list) + 1;
  ASSERT_EQ(OpenMore(kAlice, "/tasks", true, most), 0) << "nothing is held yet";
  int error = 0;
  for (const auto& file : open_) {
    if (const auto read = file->Read(kAlice.tid, 1 << 20, 0); !read) error = read.error().code;
  }
  EXPECT_EQ(error, EMFILE);
}

TEST_F(Budget, OfAllUsersIsBoundedToo) {
  OpenBudget budget;
  std::vector<OpenBudget::Charge> charges;
  constexpr std::size_t kUsers = OpenBudget::kAllUsers / OpenBudget::kOneUser;
  for (uid_t uid = 1000; uid < 1000 + kUsers; ++uid) {
    charges.push_back(budget.For(uid));
    EXPECT_TRUE(charges.back().Resize(OpenBudget::kOneUser - OpenBudget::kEach)) << uid;
  }
  EXPECT_EQ(budget.For(1).Resize(0).error().code, EMFILE);
  EXPECT_TRUE(budget.For(0).Resize(std::size_t{1} << 40));
  charges.pop_back();
  EXPECT_TRUE(budget.For(1).Resize(0));
}

class Kill : public ControlTest {
 protected:
  // What SIGKILL does: all threads die.
  void KillForReal() {
    machine_.on_kill = [this](Tgid tgid) {
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
  EXPECT_THAT(machine_.killed, UnorderedElementsAre(Tgid{10}, Tgid{20}));
  EXPECT_EQ(Read("/tasks"), "1\n30\n");
}

// Decided: a group is ended whole. Root's process is there because root moved it, or it was born
// of one that was there; nobody else can bring it in.
TEST_F(Kill, EndsMembersOfAnyUser) {
  Make("/a");
  Fork(1, 10, 0);
  Write("/a/tasks", "10");
  KillForReal();
  EXPECT_EQ(WriteOpenedBy(kAlice, "/a/cgroup.kill", kAlice, "1"), 0);
  EXPECT_THAT(machine_.killed, UnorderedElementsAre(Tgid{10}));
}

TEST_F(Kill, FindsForksThatHappenMeanwhile) {
  Make("/a");
  Fork(1, 10);
  Write("/a/tasks", "10");
  unsigned next = 11;
  machine_.on_open_process = [&](Tgid tgid) {
    if (next < 15) Fork(tgid.value, next++);  // born after the list was taken
  };
  EXPECT_EQ(Write("/a/cgroup.kill", "1"), 0);
  EXPECT_EQ(machine_.killed.size(), 5u);
}

TEST_F(Kill, SparesAProcessThatLeftOrTookTheNumber) {
  Make("/a");
  Fork(1, 10);
  Write("/a/tasks", "10");
  machine_.on_open_process = [&](Tgid) {
    tracker_.Death(Tid{10});
    tracker_.Birth(Tid{1}, Tid{10}, Tgid{10});  // somebody else's, not in /a
    machine_.on_open_process = [](Tgid) {};
  };
  EXPECT_EQ(Write("/a/cgroup.kill", "1"), 0);
  EXPECT_TRUE(machine_.killed.empty());
}

TEST_F(Kill, SparesTheDaemonAndTheTopAndWantsAOne) {
  Make("/a");
  Fork(1, 10);
  Write("/a/tasks", "10");
  machine_.own = Tgid{10};
  EXPECT_EQ(Write("/a/cgroup.kill", "1"), 0);
  EXPECT_TRUE(machine_.killed.empty());
  for (const char* text : {"0", "2", "", "11", "1 1", "x", "\n"}) {
    EXPECT_EQ(Write("/a/cgroup.kill", text), EINVAL) << text;
  }
  EXPECT_EQ(Read("/a/cgroup.kill"), "");
  EXPECT_EQ(Find("/cgroup.kill").error().code, ENOENT);
  EXPECT_EQ(tree_.Kill(root_).error().code, EPERM);
}

}  // namespace
}  // namespace corral
