// Spec 11: fork, exec and exit.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "conformance/conformance.h"
#include "support/puppets.h"

namespace corral {
namespace {

class ForkExecExit : public Conformance {
 protected:
  void Prepare() override {
    a_ = Group("a");
    b_ = Group("b");
  }
  static std::string Text(Tid tid) { return std::to_string(tid.value); }
  static bool In(const std::string& group, Tid tid) {
    return Lists(group + "/tasks", static_cast<pid_t>(tid.value));
  }
  // A process with its leader in a, and a thread of it in b.
  std::pair<Tid, Tid> LeaderAndThread(Puppets& puppets) {
    const Tid leader = puppets.Start(), thread = puppets.Thread(leader);
    EXPECT_EQ(Write(a_ + "/tasks", Text(leader)), 0);
    EXPECT_EQ(Write(b_ + "/tasks", Text(thread)), 0);
    return {leader, thread};
  }
  static std::string ProcPath(Tid tid) {
    return Read("/run/corral/" + std::string(std::getenv("CORRAL_INSTANCE")) + "/proc/" +
                Text(tid) + "/cgroup");
  }
  std::string a_, b_;
};
CORRAL_IN_EVERY_DIALECT(ForkExecExit);

TEST_P(ForkExecExit, ANewTaskStartsWhereTheCallingThreadIs) {
  Spec("11.1");
  Puppets puppets;
  const auto [leader, thread] = LeaderAndThread(puppets);
  EXPECT_TRUE(In(a_, puppets.Fork(leader)));
  EXPECT_TRUE(In(b_, puppets.Fork(thread)));
  EXPECT_TRUE(In(b_, puppets.Thread(thread)));
  EXPECT_TRUE(In(b_, puppets.VforkExec(thread)));
  EXPECT_TRUE(In(b_, puppets.Daemonize(thread)));
}

TEST_P(ForkExecExit, CloneParentChangesNothing) {
  Spec("11.1");
  Puppets puppets;
  const Tid parent = puppets.Start(), child = puppets.Fork(parent);
  ASSERT_EQ(Write(a_ + "/tasks", Text(child)), 0);
  EXPECT_TRUE(In(a_, puppets.ForkSibling(child)));
}

TEST_P(ForkExecExit, KernelWorkersOfATaskStartWhereItIs) {
  Spec("11.1");
  Puppets puppets;
  const Tid task = puppets.Start();
  ASSERT_EQ(Write(a_ + "/tasks", Text(task)), 0);
  if (!puppets.HoldUring(task)) GTEST_SKIP() << "no io_uring here";
  EXPECT_TRUE(Eventually([&] { return SplitLines(Read(a_ + "/tasks")).size() == 2; }))
      << Read(a_ + "/tasks");
  puppets.DropUring(task);
}

// The first thing the child does is to look.
TEST_P(ForkExecExit, TheChildIsPlacedBeforeItsFirstInstruction) {
  Spec("11.1");
  const Fd list = Open(work() + "/seen", O_RDWR | O_CREAT | O_APPEND);
  const pid_t parent = Child([&] {
    if (Write(a_ + "/tasks", "0") != 0) ::_exit(1);
    for (int i = 0; i < 30; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        const bool placed = Lists(a_ + "/tasks", ::getpid());
        ::_exit(::write(list.get(), placed ? "y" : "n", 1) != 1);
      }
      ::waitpid(child, nullptr, 0);
    }
  });
  Await(parent);
  EXPECT_EQ(Read(work() + "/seen"), std::string(30, 'y'));
}

TEST_P(ForkExecExit, ExecKeepsThePlace) {
  Spec("11.3");
  Puppets puppets;
  const auto [leader, thread] = LeaderAndThread(puppets);
  const Tid child = puppets.Fork(leader);
  EXPECT_EQ(puppets.Exec(child), child);
  EXPECT_TRUE(In(a_, child));
  // The thread's place goes with it to its leader's number.
  EXPECT_EQ(puppets.Exec(thread), leader);
  EXPECT_TRUE(In(b_, leader));
  EXPECT_FALSE(In(a_, leader));
  EXPECT_FALSE(In(b_, thread));
}

TEST_P(ForkExecExit, AnExitingTaskIsNowhere) {
  Spec("11.4 12.3");
  const pid_t zombie = SleeperIn(a_);
  ::kill(zombie, SIGKILL);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(Read(a_ + "/tasks"), "");
  EXPECT_FALSE(Lists(mnt() + "/tasks", zombie));
  for (const std::string& line : SplitLines(ProcPath(Tid{static_cast<std::uint32_t>(zombie)}))) {
    EXPECT_TRUE(line.ends_with(":/")) << line;
  }
}

TEST_P(ForkExecExit, OnlyTheExitOfTheLastTaskReleases) {
  Spec("11.4 10.2");
  ASSERT_EQ(Rmdir(a_), 0);
  ASSERT_EQ(Rmdir(b_), 0);
  SetLoggingAgent();
  ASSERT_EQ(Mkdir(a_), 0);
  ASSERT_EQ(Mkdir(b_), 0);
  Notify(a_);
  Puppets puppets;
  const Tid leader = puppets.Start();
  ASSERT_EQ(Write(a_ + "/tasks", Text(leader)), 0);
  const Tid thread = puppets.Thread(leader);
  puppets.ExitThread(leader);
  EXPECT_TRUE(Told(0).empty()) << "the leader is dead, its thread is not";
  puppets.ExitThread(thread);
  EXPECT_EQ(Told(1), Lines{"/a"});
}

// The number is taken: the kernel finds out late.
TEST_P(ForkExecExit, AFailedForkLeavesNoTrace) {
  Spec("11.5");
  ASSERT_EQ(Rmdir(a_), 0);
  ASSERT_EQ(Rmdir(b_), 0);
  SetLoggingAgent();
  ASSERT_EQ(Mkdir(a_), 0);
  Notify(a_);
  Puppets puppets;
  const Tid task = puppets.Start();
  ASSERT_EQ(Write(a_ + "/tasks", Text(task)), 0);
  for (int i = 0; i < 10; ++i) {
    const auto failed = puppets.ForkAs(task, Tid{1});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, EEXIST);
  }
  EXPECT_EQ(Read(a_ + "/tasks"), Text(task) + "\n");
  EXPECT_TRUE(Told(0).empty());
  ASSERT_EQ(Write(mnt() + "/tasks", Text(task)), 0);
  EXPECT_EQ(Told(1), Lines{"/a"});
  EXPECT_EQ(Rmdir(a_), 0) << "nothing is counted";
}

}  // namespace
}  // namespace corral
