// The daemon and its spawner: whatever is done to groups, it is not done to them.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/proc.h"
#include "system/instance.h"

namespace corral {
namespace {

using testing::HasSubstr;

class OwnProcesses : public InstanceTest {
 protected:
  static std::string Line(const std::string& command) {
    std::string out = Sh(command).out;
    return out.substr(0, out.find('\n'));
  }
  static std::string Daemon() { return Line("corral status --json | jq .daemon_pid"); }
  static std::string Spawner() { return Line("pgrep -P " + Daemon() + " -x corral-spawner"); }
  void ExpectAllRefused(const std::string& process) {
    SCOPED_TRACE(process);
    for (const std::uint32_t task : NumbersIn("/proc/" + process + "/task")) {
      EXPECT_EQ(Write(mnt() + "/a/tasks", std::to_string(task)), EPERM) << task;
    }
    EXPECT_EQ(Write(mnt() + "/a/cgroup.procs", process), EPERM);
    for (const std::string& option : {std::string(), std::string(" -p")}) {
      const Outcome attach = Sh("corral attach" + option + " own:/a " + process);
      EXPECT_NE(attach.status, 0) << attach.out;
      EXPECT_THAT(attach.out, HasSubstr("corral's own")) << attach.out;
    }
    EXPECT_EQ(Sh("cat $MNT/a/tasks").out, "");
  }
};

TEST_F(OwnProcesses, GoIntoNoGroup) {
  Mount("none,name=own");
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  ExpectAllRefused(Daemon());
  ExpectAllRefused(Spawner());
  // To a root they may go, which is where they are; and others go where they are sent.
  EXPECT_EQ(Write(mnt() + "/tasks", Daemon()), 0);
  EXPECT_EQ(Sh("sleep 60 & echo $! > $MNT/a/tasks && wc -l < $MNT/a/tasks; kill $!").out, "1\n");
}

TEST_F(OwnProcesses, GoIntoNoGroupInAnyDialect) {
  for (const std::string dialect : {"v6", "v11", "linux"}) {
    Mount("none,name=of-" + dialect + ",compat=" + dialect, dialect);
    const std::string tasks = work() + "/" + dialect + "/a/tasks";
    ASSERT_EQ(::mkdir((work() + "/" + dialect + "/a").c_str(), 0755), 0);
    EXPECT_EQ(Write(tasks, Daemon()), EPERM) << dialect;
    EXPECT_EQ(Write(tasks, Spawner()), EPERM) << dialect;
    EXPECT_EQ(Read(tasks), "") << dialect;
  }
}

// Each subsystem, and the kill, with a member that shows that it works.
TEST_F(OwnProcesses, AreLeftAloneByEverySubsystem) {
  Mount("name=own,numtasks,freezer,cpuset");
  ASSERT_EQ(Sh("mkdir $MNT/a && echo 1 > $MNT/a/numtasks.max").status, 0);
  const std::string daemon = Daemon(), spawner = Spawner();
  for (const std::string& own : {daemon, spawner}) {
    EXPECT_EQ(Write(mnt() + "/a/cgroup.procs", own), EPERM);
  }
  const std::string member = Line("sleep 60 >/dev/null 2>&1 & echo $! | tee $MNT/a/tasks");
  EXPECT_EQ(Read(mnt() + "/a/tasks"), member + "\n");
  ASSERT_EQ(Write(mnt() + "/a/freezer.state", "FROZEN"), 0);
  // Which makes a thread of the daemon's: for a connection, and for a mount.
  EXPECT_EQ(Sh("timeout 20 corral status >/dev/null").status, 0);
  Mount("none,name=more", "more");
  EXPECT_EQ(Read(mnt() + "/a/freezer.state"), "FROZEN\n");
  EXPECT_EQ(Sh("corral kill own:/a >/dev/null").status, 0);
  EXPECT_TRUE(Eventually([&] { return Read(mnt() + "/a/tasks").empty(); }));
  EXPECT_EQ(Daemon(), daemon);
  EXPECT_EQ(Spawner(), spawner);
}

// A daemon that was started from within a group, with hooks that are at work already.
TEST_F(OwnProcesses, LeaveTheGroupTheyWereBornIn) {
  Mount("none,name=own");
  ASSERT_EQ(Sh("mkdir $MNT/a; echo 1 > $MNT/a/notify_on_release").status, 0);
  const std::string first = Daemon();
  ASSERT_EQ(Sh("sleep 60 >/dev/null 2>&1 & echo $! > $MNT/a/tasks").status, 0);
  const std::string member = Line("cat $MNT/a/tasks");
  // It dies while a shell is in the group, and that starts the next.
  EXPECT_EQ(Sh("echo $$ > $MNT/a/tasks; kill -9 " + first + "; timeout 20 tail --pid=" + first +
               " -f /dev/null; corral status")
                .status,
            0);
  EXPECT_NE(Daemon(), first);
  MountAgain("name=own");
  EXPECT_EQ(Read(mnt() + "/a/tasks"), member + "\n");
  for (const std::string& own : {Daemon(), Spawner()}) {
    EXPECT_EQ(Write(mnt() + "/a/cgroup.procs", own), EPERM) << own;
  }
  Sh("kill " + member);
}

}  // namespace
}  // namespace corral
