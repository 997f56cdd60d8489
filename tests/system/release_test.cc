// The release agent on real processes (spec 9, 10).
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <set>
#include <sstream>

#include "support/rounds.h"
#include "system/instance.h"

namespace corral {
namespace {

class Release : public InstanceTest {
 protected:
  std::string Log() const { return Read(work() + "/log"); }
  void MountWithAgent(const std::string& body) {
    Mount("none,name=rel,release_agent=" + WriteAgent(body));
  }
};

TEST_F(Release, CallsTheAgentWithThePathInACleanEnvironment) {
  MountWithAgent("{ echo \"$# $1\"; pwd; umask; ls /proc/self/fd | wc -l; env | sort; } > " +
                 work() + "/log.new; mv " + work() + "/log.new " + work() + "/log");
  ASSERT_EQ(Sh("mkdir -p $MNT/a/b; echo 1 > $MNT/a/b/notify_on_release; "
               "sh -c 'echo 0 > $MNT/a/b/tasks'")
                .status,
            0);
  ASSERT_TRUE(Eventually([&] { return !Log().empty(); }));
  // ls holds 0, 1, 2 and the directory; the shell gave it nothing else. PWD is sh's own.
  EXPECT_EQ(Log(), "1 /a/b\n/\n0022\n4\nHOME=/\nPATH=/sbin:/bin:/usr/sbin:/usr/bin\nPWD=/\n");
}

TEST_F(Release, FiresForEachTriggerOnceAndForNothingElse) {
  MountWithAgent("echo $1 >> " + work() + "/log");
  ASSERT_EQ(Sh("cd $MNT; mkdir exit move child unused; mkdir child/c\n"
               "for g in exit move child unused; do echo 1 > $g/notify_on_release; done\n"
               "sh -c 'echo 0 > exit/tasks; sleep 0.1 & wait'\n"
               "sleep 60 & echo $! > move/tasks; echo $! > tasks; kill $!\n"
               "rmdir child/c")
                .status,
            0);
  ASSERT_TRUE(Eventually([&] { return Sh("wc -l < $WORK/log").out == "3\n"; })) << Log();
  ::usleep(100'000);
  EXPECT_EQ(Sh("sort $WORK/log").out, "/child\n/exit\n/move\n");
}

TEST_F(Release, AgentsThatFailAreCountedAndTheNextOneRuns) {
  Mount("none,name=rel");
  ASSERT_EQ(Sh("echo /nonexistent/agent > $MNT/release_agent; mkdir $MNT/a; "
               "echo 1 > $MNT/a/notify_on_release; sh -c 'echo 0 > $MNT/a/tasks'")
                .status,
            0);
  EXPECT_TRUE(
      Eventually([&] { return Sh("corral status --json | jq .agents.not_started").out == "1\n"; }));
  const std::string agent = WriteAgent("exit 3");
  ASSERT_EQ(Sh("echo " + agent + " > $MNT/release_agent; sh -c 'echo 0 > $MNT/a/tasks'").status, 0);
  EXPECT_TRUE(
      Eventually([&] { return Sh("corral status --json | jq .agents.failed").out == "1\n"; }));
}

TEST_F(Release, AWritableAgentIsRefused) {
  Mount("none,name=rel");
  const std::string agent = WriteAgent("exit 0");
  ::chmod(agent.c_str(), 0775);
  EXPECT_EQ(Write(mnt() + "/release_agent", agent), EPERM);
  EXPECT_EQ(Read(mnt() + "/release_agent"), "\n");
  ::chmod(agent.c_str(), 0755);
  EXPECT_EQ(Write(mnt() + "/release_agent", agent + "\n"), 0);
  EXPECT_EQ(Read(mnt() + "/release_agent"), agent + "\n");
  EXPECT_EQ(Write(mnt() + "/release_agent", "\n"), 0);
  EXPECT_EQ(Read(mnt() + "/release_agent"), "\n");
}

TEST_F(Release, OnlyAnAdministratorSetsTheAgentWhateverTheMode) {
  Mount("none,name=rel");
  ASSERT_EQ(Sh("chmod 666 $MNT/release_agent").status, 0);
  EXPECT_NE(Sh("setpriv --reuid 65534 --clear-groups sh -c '/bin/echo /bin/true > "
               "$MNT/release_agent'")
                .out.find("Operation not permitted"),
            std::string::npos);
}

TEST_F(Release, AnAgentUserIsNotRoot) {
  const std::string agent = WriteAgent("id -u > " + work() + "/out/uid");
  ASSERT_EQ(Sh("mkdir -m 777 $WORK/out").status, 0);
  Mount("none,name=rel,agent_user=nobody,release_agent=" + agent);
  ASSERT_EQ(
      Sh("mkdir $MNT/a; echo 1 > $MNT/a/notify_on_release; sh -c 'echo 0 > $MNT/a/tasks'").status,
      0);
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/out/uid") == "65534\n"; }));
}

TEST_F(Release, WhoeverIsToldEmptyFindsNoFileHeld) {
  // A process with 200 MB of memory and a lock on a file takes a while to end after it has
  // left its group; the agent must come after that (spec 10.10).
  MountWithAgent("flock -n " + work() + "/held true && echo free >> " + work() +
                 "/log || echo held >> " + work() + "/log");
  const int rounds = Rounds(20);
  for (int i = 0; i < rounds; ++i) {
    ASSERT_EQ(Sh("mkdir $MNT/g; echo 1 > $MNT/g/notify_on_release\n"
                 "(echo 0 > $MNT/g/tasks; exec flock $WORK/held "
                 "python3 -c 'x = bytearray(200_000_000)') &\nwait")
                  .status,
              0);
    ASSERT_TRUE(
        Eventually([&] { return Sh("wc -l < $WORK/log").out == std::to_string(i + 1) + "\n"; }));
    ASSERT_EQ(Sh("rmdir $MNT/g").status, 0);
  }
  EXPECT_EQ(Sh("sort -u $WORK/log").out, "free\n");
}

TEST_F(Release, AGroupThatGetsAChildAfterItEmptiedIsReportedAllTheSame) {
  MountWithAgent("echo $1 >> " + work() + "/log");
  const std::string groups = std::to_string(Rounds(60));
  ASSERT_EQ(Sh("for i in $(seq " + groups +
               "); do mkdir $MNT/g$i; "
               "echo 1 > $MNT/g$i/notify_on_release\n"
               "sh -c \"echo 0 > $MNT/g$i/tasks\"; mkdir $MNT/g$i/child; done")
                .status,
            0);
  EXPECT_TRUE(Eventually([&] { return Sh("sort -u $WORK/log | wc -l").out == groups + "\n"; }))
      << Log();
  EXPECT_EQ(Sh("wc -l < $WORK/log").out, groups + "\n");
}

TEST_F(Release, AnAgentInsideTheMountItselfIsRefusedAndNothingHangs) {
  Mount("none,name=rel");
  EXPECT_EQ(Write(mnt() + "/release_agent", mnt() + "/agent"), EPERM);
  EXPECT_EQ(Read(mnt() + "/release_agent"), "\n");
  EXPECT_EQ(Write(mnt() + "/release_agent", WriteAgent("exit 0")), 0) << "outside it is taken";
}

TEST_F(Release, ARemovedGroupIsNotReported) {
  MountWithAgent("echo $1 >> " + work() + "/log");
  for (int i = 0, rounds = Rounds(50); i < rounds; ++i) {
    ASSERT_EQ(Sh("mkdir $MNT/g; echo 1 > $MNT/g/notify_on_release; rmdir $MNT/g").status, 0);
  }
  // What is told comes in order: had there been anything, it would be there before this.
  ASSERT_EQ(Sh("mkdir $MNT/told; echo 1 > $MNT/told/notify_on_release; "
               "sh -c 'echo 0 > $MNT/told/tasks'")
                .status,
            0);
  ASSERT_TRUE(Eventually([&] { return Log().ends_with("/told\n"); })) << Log();
  EXPECT_EQ(Log(), "/told\n");
}

}  // namespace
}  // namespace corral
