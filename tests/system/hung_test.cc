// A daemon that is stopped, or takes no connection: who speaks to it waits a bounded time, says who
// hangs, and never says that something was done. Other instances start beside it.
#include <corral/corral.h>
#include <corral/process_group.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <vector>

#include "base/fd.h"
#include "support/matchers.h"
#include "system/instance.h"

namespace corral {
namespace {

class Hung : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    Mount("none,name=jobs");
    ASSERT_EQ(Sh("mkdir $MNT/a; sleep 600 >/dev/null 2>&1 & echo $! > $WORK/sleeper").status, 0);
    daemon_ = std::atoi(Sh("corral status --json | jq .daemon_pid").out.c_str());
    ASSERT_GT(daemon_, 1);
  }
  void TearDown() override {
    if (daemon_ > 1) ::kill(daemon_, SIGCONT);
    Sh("kill -9 $(cat $WORK/sleeper $WORK/waiter)");
    Sh("CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral shutdown --force");
    InstanceTest::TearDown();
  }
  void Stop() {
    ASSERT_EQ(::kill(daemon_, SIGSTOP), 0);
    ASSERT_TRUE(Eventually([&] {
      return Sh("sed -n 's/^State:[^A-Za-z]*\\(.\\).*/\\1/p' /proc/" + std::to_string(daemon_) +
                "/status")
                 .out == "T\n";
    }));
  }
  void Continue() { ASSERT_EQ(::kill(daemon_, SIGCONT), 0); }
  std::string DaemonPid() const { return "pid " + std::to_string(daemon_); }

  struct Case {
    std::string command;
    int status;
    std::string told;
  };
  // All at the same time: each waits some seconds.
  void Expect(const std::vector<Case>& cases) {
    std::string script;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const std::string n = std::to_string(i);
      script += "(timeout 50 " + cases[i].command + " > $WORK/out" + n +
                " 2>&1; echo $? > $WORK/rc" + n + ") &\n";
    }
    Sh(script + "wait");
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const std::string out = Read(work() + "/out" + std::to_string(i));
      EXPECT_EQ(Read(work() + "/rc" + std::to_string(i)), std::to_string(cases[i].status) + "\n")
          << cases[i].command << "\n"
          << out;
      EXPECT_NE(out.find(cases[i].told), std::string::npos) << cases[i].command << "\n" << out;
    }
  }

  pid_t daemon_ = 0;
};

TEST_F(Hung, EveryCommandSaysWhichDaemonDoesNotAnswer) {
  const std::string sleeper = Read(work() + "/sleeper");
  const std::string who = DaemonPid() + "), which is stopped";
  Stop();
  Expect({{"corral status", 1, who},
          {"corral start", 1, who},
          {"corral status --json", 1, who},
          {"corral ls", 1, who},
          {"corral tree --json", 1, who},
          {"corral ps jobs:/a", 1, who},
          {"corral why jobs:/a", 1, who},
          {"corral stat jobs:/a", 1, who},
          {"corral top --once", 1, who},
          {"corral wait jobs:/a", 1, who},
          {"corral events jobs:/a", 1, who},
          {"corral audit", 1, who},
          {"corral kill jobs:/none", 1, who},
          {"corral rm jobs:/none", 1, who},
          {"corral mkdir jobs:/new", 1, who},
          {"corral attach jobs:/a " + sleeper.substr(0, sleeper.size() - 1), 1, who},
          {"corral exec jobs:/none -- sh -c 'echo ran'", 125, who},
          {"corral run -- touch " + work() + "/ran", 125, who},
          {"corral run -g jobs:/a -- touch " + work() + "/ran", 125, who},
          {"corral mount -o none,name=other none " + work(), 1, who},
          {"mount.container none " + work() + " -o none,name=other", 2, who},
          {"sh -c 'corral doctor; echo; exit 7'", 7, who}});
  EXPECT_NE(::access((work() + "/ran").c_str(), F_OK), 0) << "nothing is run outside its group";
  Continue();
  EXPECT_EQ(Sh("corral status").status, 0);
}

TEST_F(Hung, APathIntoItsMountIsNotWaitedForAndUmountTakesItAway) {
  ASSERT_EQ(Sh("CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral start").status, 0);
  Stop();
  // Of an instance that answers: only the path hangs.
  const std::string other = "CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral ";
  const std::string told = "mounted on " + mnt() + " (fuse.container) hangs";
  Expect({{"sh -c '" + other + "ps $MNT/a'", 1, told},
          {"sh -c '" + other + "run -g $MNT/a -- true'", 125, told},
          {"sh -c '" + other + "mount -o none,name=jobs none $MNT/a'", 1, told},
          {"corral ps $MNT/a", 1, "does not answer"},
          {"corral umount $MNT/a", 1, "hangs"}});
  EXPECT_EQ(Sh("timeout 20 corral umount $MNT").status, 0);
  EXPECT_EQ(Sh("grep -c \" $MNT \" /proc/self/mountinfo").out, "0\n");
  Continue();
  EXPECT_EQ(Sh("corral ls jobs:/ | wc -l").out, "2\n") << "the group is still there";
}

TEST_F(Hung, ALazyUmountTakesAwayAMountInUse) {
  const Fd used(::open((mnt() + "/a/tasks").c_str(), O_RDONLY | O_CLOEXEC));
  Stop();
  EXPECT_NE(Sh("timeout 20 corral umount $MNT").out.find("in use"), std::string::npos);
  EXPECT_EQ(Sh("cd $WORK && ln -s mnt link && timeout 20 corral umount --lazy link/").status, 0);
  EXPECT_EQ(Sh("grep -c \" $MNT \" /proc/self/mountinfo").out, "0\n");
  Continue();
}

TEST_F(Hung, OneThatTakesNoConnectionIsNotWaitedFor) {
  Stop();
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = std::string("/run/corral/") + std::getenv("CORRAL_INSTANCE") + "/socket";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  std::vector<Fd> queue;
  for (;;) {
    Fd one(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (::connect(one.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) break;
    queue.push_back(std::move(one));
  }
  ASSERT_EQ(errno, EAGAIN);
  Expect({{"corral status", 1, "takes no connection"},
          {"corral run -- true", 125, "takes no connection"},
          {"sh -c 'CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral run -- true'", 0, ""}});
  Continue();
}

TEST_F(Hung, AnotherInstanceStartsBesideItAndSaysWhoseGroupsItMayBeIn) {
  Stop();
  const Outcome beside = Sh("CORRAL_INSTANCE=$CORRAL_INSTANCE-b timeout 30 corral run -- echo ran");
  EXPECT_EQ(beside.status, 0) << beside.out;
  EXPECT_NE(beside.out.find("ran\n"), std::string::npos);
  const std::string log = Sh("cat /run/corral/$CORRAL_INSTANCE-b/corrald.log").out;
  EXPECT_NE(
      log.find("may still be in groups of instance " + std::string(std::getenv("CORRAL_INSTANCE"))),
      std::string::npos)
      << log;
  EXPECT_NE(log.find(DaemonPid()), std::string::npos) << log;
  Continue();
}

TEST_F(Hung, ADaemonThatStartsInAGroupOfAnotherInstanceLeavesIt) {
  EXPECT_EQ(
      Sh("corral run --kill -- sh -c 'CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral start'").status, 0);
  EXPECT_EQ(Sh("CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral status").status, 0)
      << "it was not killed";
}

TEST_F(Hung, WhoWaitsForATaskIsToldAndGoesOnWaiting) {
  const std::string sleeper = Read(work() + "/sleeper");
  ASSERT_EQ(Write(mnt() + "/a/tasks", sleeper), 0);
  Sh("(corral wait jobs:/a 2> $WORK/told; echo $? > $WORK/ended) >/dev/null 2>&1 & echo $! > "
     "$WORK/waiter");
  ::usleep(300'000);  // it waits by now; if not, it is told that it cannot begin to
  Stop();
  ASSERT_TRUE(Eventually([&] { return Read(work() + "/told").contains("still waiting"); }))
      << Read(work() + "/told");
  EXPECT_NE(Read(work() + "/told").find(DaemonPid()), std::string::npos);
  Continue();
  Sh("kill -9 $(cat $WORK/sleeper)");
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/ended") == "0\n"; }));
}

TEST_F(Hung, TheLibrariesSayThatTheyTimedOut) {
  auto group = ProcessGroup::Create("jobs:/a");
  ASSERT_THAT(group, IsOk());
  ASSERT_THAT(group->Enter(std::atoi(Read(work() + "/sleeper").c_str())), IsOk());
  Stop();
  EXPECT_THAT(group->List(), FailsWith(ETIMEDOUT));
  EXPECT_THAT(group->WaitEmpty(), FailsWith(ETIMEDOUT)) << "without a limit of its own, too";
  EXPECT_THAT(group->WaitEmpty(std::chrono::milliseconds(50)), FailsWith(ETIMEDOUT));
  EXPECT_THAT(group->Spawn({"touch", work() + "/ran"}), FailsWith(ETIMEDOUT));
  corral_t* opened = nullptr;
  EXPECT_EQ(corral_open(nullptr, &opened), -ETIMEDOUT);
  EXPECT_NE(std::string(corral_error_text()).find(DaemonPid()), std::string::npos);
  EXPECT_NE(::access((work() + "/ran").c_str(), F_OK), 0);
  Continue();
  EXPECT_THAT(group->List(), IsOk()) << "the next call connects anew";
}

}  // namespace
}  // namespace corral
