// The built-in subsystems on a real mount: what their files say of real processes.
#include <gmock/gmock.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "system/instance.h"

namespace corral {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class BuiltIns : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    Mount("debug,numtasks");
    ASSERT_EQ(Sh("mkdir $MNT/a").out, "");
  }
  void TearDown() override {
    if (!IsSkipped()) ExpectCleanAudit();
    InstanceTest::TearDown();
  }
  std::string Of(const std::string& file) const { return mnt() + "/a/" + file; }
};

TEST_F(BuiltIns, NumtasksCountsRealProcessesWithAllBelow) {
  const Outcome shell =
      Sh("mkdir $MNT/a/b; (echo 0 > $MNT/a/b/tasks; sleep 60 & echo $! > $WORK/sleeper; exec sleep "
         "60) & "
         "while [ ! -s $WORK/sleeper ]; do sleep 0.01; done; cat $MNT/a/numtasks.current; "
         "kill $! $(cat $WORK/sleeper); wait $! 2>/dev/null; "
         "while [ $(cat $MNT/a/numtasks.current) != 0 ]; do sleep 0.01; done; cat "
         "$MNT/a/numtasks.peak");
  EXPECT_EQ(shell.out, "2\n2\n");
}

TEST_F(BuiltIns, NumtasksStopsBirthsBeyondTheLimitAndSaysHow) {
  EXPECT_EQ(Write(Of("numtasks.max"), "few\n"), EINVAL);
  EXPECT_EQ(Write(Of("numtasks.max"), "2\n"), 0);
  EXPECT_EQ(Read(Of("numtasks.max")), "2\n");
  const Outcome full =
      Sh("sleep 60 & echo $! > $MNT/a/tasks; (echo 0 > $MNT/a/tasks; (echo born); :) 2>&1; "
         "cat $MNT/a/numtasks.current $MNT/a/numtasks.failures; kill $!");
  const std::string how = Sh("corral status --json | jq -r .births_beyond_limits.are").out;
  const std::string doctor = Sh("corral doctor").out;
  if (how == "allowed\n") {
    EXPECT_THAT(doctor, HasSubstr("numtasks.max is kept and not enforced"));
    GTEST_SKIP() << "this kernel lets nobody stop a birth";
  }
  EXPECT_THAT(full.out, Not(HasSubstr("born")));
  EXPECT_THAT(full.out, EndsWith("1\n1\n"));
  EXPECT_THAT(doctor, HasSubstr(how == "refused\n" ? "fails with EAGAIN" : "is killed before its"));
  // The limit is gone, and so is the program that kept it.
  EXPECT_EQ(Write(Of("numtasks.max"), "max\n"), 0);
  EXPECT_EQ(Sh("echo 0 > $MNT/a/tasks; for i in 1 2 3; do (true); done; echo $?").out, "0\n");
  EXPECT_EQ(Read(Of("numtasks.failures")), "1\n");
}

TEST_F(BuiltIns, NumtasksLimitsWhatIsBelowToo) {
  if (Sh("echo 3 > $MNT/a/numtasks.max; corral status --json | jq -r .births_beyond_limits.are")
          .out == "allowed\n") {
    GTEST_SKIP() << "this kernel lets nobody stop a birth";
  }
  // b begins with a's limit, c has a wider one; what is over both is the lower one's.
  const Outcome run =
      Sh("mkdir -p $MNT/a/b $MNT/a/c; cat $MNT/a/b/numtasks.max; echo max > $MNT/a/c/numtasks.max; "
         "sleep 60 & echo $! > $MNT/a/b/tasks; sleep 60 & echo $! > $MNT/a/c/tasks; "
         "(echo 0 > $MNT/a/c/tasks; (echo born); :) 2>/dev/null; "
         "for at in a a/b a/c; do cat $MNT/$at/numtasks.current $MNT/$at/numtasks.failures; done; "
         "kill %1 %2 2>/dev/null || kill $(cat $MNT/a/b/tasks $MNT/a/c/tasks)");
  EXPECT_EQ(run.out, "3\n2\n1\n1\n0\n1\n0\n");
}

// Newborns that are killed for want of room wait for a processor to end on, and are listed until
// then. They were never let in: the number has none of them, whenever it is read.
TEST_F(BuiltIns, NumtasksNeverShowsMoreThanTheLimitInAForkStorm) {
  constexpr int kMax = 30;
  constexpr int kForkers = 12;
  ASSERT_EQ(Sh("mkdir $MNT/a/b; echo max > $MNT/a/b/numtasks.max").out, "");
  std::vector<pid_t> forkers;
  for (int i = 0; i < kForkers; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::signal(SIGCHLD, SIG_IGN);
      // All of them first: who is moved in is in, also beyond the limit.
      while (::access((work() + "/go").c_str(), F_OK) != 0) ::usleep(1000);
      for (;;) {
        const pid_t born = ::fork();
        if (born == 0) {
          ::usleep(20'000);
          ::_exit(0);
        }
      }
    }
    forkers.push_back(child);
    ASSERT_EQ(Write(Of(i % 2 ? "b/tasks" : "tasks"), std::to_string(child)), 0);
  }
  ASSERT_EQ(Write(Of("numtasks.max"), std::to_string(kMax)), 0);
  if (Sh("corral status --json | jq -r .births_beyond_limits.are").out != "killed\n") {
    ASSERT_EQ(Write(Of("cgroup.kill"), "1"), 0);
    for (const pid_t forker : forkers) ::waitpid(forker, nullptr, 0);
    GTEST_SKIP() << "this kernel kills no newborn";
  }
  std::ofstream(work() + "/go").flush();
  // Until so many were waiting for their end that a list had more than fits, a few times.
  std::size_t listed = 0;
  int beyond = 0;
  int reads = 0;
  int most = 0;
  EXPECT_TRUE(Eventually([&] {
    for (int i = 0; i < 5; ++i, ++reads) {
      for (const char* file : {"numtasks.current", "b/numtasks.current", "numtasks.peak"}) {
        most = std::max(most, std::atoi(Read(Of(file)).c_str()));
      }
      const std::string lists = Read(Of("tasks")) + Read(Of("b/tasks"));
      const auto lines = static_cast<std::size_t>(std::ranges::count(lists, '\n'));
      listed = std::max(listed, lines);
      if (lines > kMax) ++beyond;
    }
    return beyond >= 3 && reads >= 40;
  })) << "the lists had "
      << listed << " at most, " << beyond << " times more than " << kMax;
  EXPECT_LE(most, kMax);
  EXPECT_GT(most, kForkers) << "children were let in";
  EXPECT_NE(Read(Of("numtasks.failures")), "0\n");
  RecordProperty("listed", static_cast<int>(listed));
  for (const pid_t forker : forkers) ::kill(forker, SIGSTOP);
  EXPECT_TRUE(Eventually([&] {  // the stopped are gone, the children have ended
    return Read(Of("numtasks.current")) == std::to_string(kForkers) + "\n" &&
           Sh("cat $MNT/a/tasks $MNT/a/b/tasks | wc -l").out == std::to_string(kForkers) + "\n";
  }));
  // Who is in stays in, and is shown, also beyond a limit that is lower now.
  ASSERT_EQ(Write(Of("numtasks.max"), "3"), 0);
  EXPECT_EQ(Read(Of("numtasks.current")), std::to_string(kForkers) + "\n");
  for (const pid_t forker : forkers) ::kill(forker, SIGKILL);
  for (const pid_t forker : forkers) ::waitpid(forker, nullptr, 0);
  EXPECT_EQ(Read(Of("numtasks.current")), "0\n");
}

TEST_F(BuiltIns, DebugRefusesAMoveOnceAndForAll) {
  EXPECT_EQ(Write(Of("debug.refuse"), "can_attach EXDEV\n"), 0);
  EXPECT_EQ(Write(Of("tasks"), "0"), EXDEV);
  EXPECT_EQ(Read(Of("debug.taskcount")), "0\n");
  EXPECT_EQ(Write(Of("debug.refuse"), "\n"), 0);
  EXPECT_EQ(Sh("echo 0 > $MNT/a/tasks && cat $MNT/a/debug.taskcount").out, "2\n");  // and cat
}

TEST_F(BuiltIns, DebugHoldsACgroup) {
  EXPECT_EQ(Write(Of("debug.hold"), "1"), 0);
  EXPECT_NE(Sh("rmdir $MNT/a").status, 0);
  EXPECT_EQ(Write(Of("debug.hold"), "0"), 0);
  EXPECT_EQ(Sh("rmdir $MNT/a").status, 0);
}

}  // namespace
}  // namespace corral
