// A subsystem that counts tasks by what it is told (a plug-in, census_plugin.cc), in a daemon that
// is killed: the next one tells it of every task once, and where it is.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "system/instance.h"

namespace corral {
namespace {

using ::testing::HasSubstr;

class Takeover : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    Sh("corral shutdown --force");
    ASSERT_EQ(Sh("corral start --plugin " CORRAL_CENSUS_PLUGIN).status, 0);
    Mount("census");
    ASSERT_EQ(Sh("mkdir -p $MNT/a/b").out, "");
  }
  void TearDown() override {
    for (const pid_t child : children_) {
      ::kill(-child, SIGKILL);  // and those it made
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    if (!IsSkipped()) ExpectCleanAudit();
    InstanceTest::TearDown();
  }
  // A process in the group, which forks whenever it is sent SIGUSR1.
  pid_t ParentIn(const std::string& group) {
    sigset_t usr1;
    ::sigemptyset(&usr1);
    ::sigaddset(&usr1, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &usr1, nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      ::setpgid(0, 0);
      for (int signal = 0; ::sigwait(&usr1, &signal) == 0;) {
        if (::fork() == 0) {
          ::alarm(120);
          for (;;) ::pause();
        }
      }
      ::_exit(1);
    }
    children_.push_back(child);
    EXPECT_EQ(Write(mnt() + "/" + group + "/cgroup.procs", std::to_string(child)), 0);
    return child;
  }
  std::string Listed(const std::string& group) {
    const std::string list = Read(mnt() + "/" + group + "/tasks");
    return std::to_string(std::ranges::count(list, '\n')) + "\n";
  }
  // What was told adds up to what is there; it may come later.
  void ExpectRight(const std::string& group, const std::string& tasks) {
    EXPECT_TRUE(Eventually([&] { return Read(mnt() + "/" + group + "/census.tasks") == tasks; }))
        << group << ": " << Read(mnt() + "/" + group + "/census.tasks") << " of " << tasks;
    EXPECT_EQ(Listed(group), tasks) << group;
    EXPECT_EQ(Read(mnt() + "/census.wrong"), "0\n");
  }

  std::vector<pid_t> children_;
};

TEST_F(Takeover, TellsASubsystemOfEachTaskWhereItIs) {
  const pid_t parent = ParentIn("a");
  const pid_t below = ParentIn("a/b");
  ::kill(parent, SIGUSR1);
  ExpectRight("a", "2\n");
  ExpectRight("a/b", "1\n");

  KillDaemon();
  ::kill(below, SIGUSR1);  // while nobody is there
  MountAgain("census");
  ASSERT_THAT(Sh("corral status").out, HasSubstr("census"));
  ExpectRight("a", "2\n");
  ExpectRight("a/b", "2\n");
  EXPECT_GT(std::atoi(Read(mnt() + "/census.tasks").c_str()), 10) << "the rest is in the root";

  ::kill(parent, SIGUSR1);  // born, moved, ended
  ExpectRight("a", "3\n");
  ASSERT_EQ(Write(mnt() + "/a/b/cgroup.procs", std::to_string(parent)), 0);
  ExpectRight("a", "2\n");
  ExpectRight("a/b", "3\n");
  ASSERT_EQ(Write(mnt() + "/a/cgroup.kill", "1"), 0);
  ExpectRight("a", "0\n");
  ExpectRight("a/b", "0\n");
}

TEST_F(Takeover, SetsThatAreMadeOrBoundAfterItAreRight) {
  const pid_t parent = ParentIn("a");
  KillDaemon();
  MountAgain("census");
  Mount("none,name=other", "mnt-other");
  // In another hierarchy: a set made after the takeover, with the same css.
  ASSERT_EQ(
      Sh("mkdir $WORK/mnt-other/x && echo " + std::to_string(parent) + " > $WORK/mnt-other/x/tasks")
          .status,
      0);
  ::kill(parent, SIGUSR1);
  ExpectRight("a", "2\n");
  ASSERT_EQ(Write(mnt() + "/a/cgroup.kill", "1"), 0);
  ExpectRight("a", "0\n");
  ASSERT_EQ(Sh("rmdir $MNT/a/b $MNT/a; umount $MNT; rmdir $WORK/mnt-other/x; "
               "umount $WORK/mnt-other")
                .status,
            0);
  // Bound anew.
  Mount("census");
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const pid_t again = ParentIn("a");
  ::kill(again, SIGUSR1);
  ExpectRight("a", "2\n");
}

TEST_F(Takeover, WithoutThePluginTheDaemonNamesItAndForgetsNothing) {
  const pid_t parent = ParentIn("a");
  KillDaemon();
  const std::string list =
      "/run/corral/" + std::string(std::getenv("CORRAL_INSTANCE")) + "/plugins";
  ASSERT_EQ(Sh("mv " + list + " $WORK/plugins").status, 0);
  EXPECT_THAT(Sh("corral start").out, HasSubstr("'census', which is not here"));
  ASSERT_EQ(Sh("mv $WORK/plugins " + list).status, 0);
  MountAgain("census");
  ExpectRight("a", "1\n");
  EXPECT_EQ(Read(mnt() + "/a/tasks"), std::to_string(parent) + "\n");
}

}  // namespace
}  // namespace corral
