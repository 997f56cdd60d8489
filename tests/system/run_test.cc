// The command line on real processes.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "support/rounds.h"
#include "system/instance.h"

namespace corral {
namespace {

class Run : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    ASSERT_EQ(Sh("corral run -- true").status, 0);  // starts the daemon
  }
  std::string Groups() {
    return Sh("corral tree corral:/ --json | jq '.trees[0].groups | length - 1'").out;
  }
};

TEST_F(Run, PassesOnTheExitStatusAndLeavesNoGroup) {
  EXPECT_EQ(Sh("corral run -- sh -c 'exit 7'").status, 7);
  EXPECT_EQ(Sh("corral run -- sh -c 'kill -9 $$'").status, 128 + SIGKILL);
  EXPECT_EQ(Sh("corral run -- /nonexistent/command 2>/dev/null").status, 127);
  EXPECT_EQ(Sh("corral run -- /etc/passwd 2>/dev/null").status, 126);
  EXPECT_TRUE(Eventually([&] { return Groups() == "0\n"; }));
}

TEST_F(Run, WaitsForADaemonisedGrandchild) {
  EXPECT_EQ(Sh("corral run -- sh -c '(setsid sh -c \"(sleep 0.5; touch $WORK/done) &\" &)'; "
               "ls $WORK/done")
                .out,
            work() + "/done\n");
}

TEST_F(Run, TheCommandIsInItsGroupFromItsFirstInstruction) {
  for (int i = 0, rounds = Rounds(20); i < rounds; ++i) {
    EXPECT_EQ(Sh("corral run --group corral:/g -- sh -c 'corral ps corral:/g --json | "
                 "jq \"[.tasks[].tid] | index($$) != null\"'")
                  .out,
              "true\n");
  }
}

TEST_F(Run, KillEndsWhatIsLeftAndSaysSo) {
  const Outcome killed =
      Sh("corral run --kill -- sh -c 'setsid sleep 77 & "
         "until grep -qs sleep /proc/$!/comm; do sleep 0.05; done; exit 4'");
  EXPECT_EQ(killed.status, 4);
  EXPECT_NE(killed.out.find("sleep"), std::string::npos) << killed.out;
  EXPECT_EQ(Sh("pgrep -fx 'sleep 77' | wc -l").out, "0\n");
  EXPECT_TRUE(Eventually([&] { return Groups() == "0\n"; }));
}

TEST_F(Run, DetachReturnsAtOnceAndTheGroupGoesWithItsLastTask) {
  // The job lives until it may go: that we come back says that nobody waited for it.
  ASSERT_EQ(Sh("corral run --detach -- sh -c 'until [ -e $WORK/go ]; do sleep 0.05; done' "
               "> $WORK/group")
                .status,
            0);
  EXPECT_EQ(Groups(), "1\n");
  // It may go once the waiter has asked: half a second after it opened its socket.
  EXPECT_EQ(Sh("corral wait $(cat $WORK/group) & w=$!\n"
               "for i in $(seq 400); do ls -l /proc/$w/fd | grep -q socket: && break; sleep 0.05; "
               "done\n"
               "sleep 0.5; touch $WORK/go; wait $w")
                .status,
            0);
  EXPECT_TRUE(Eventually([&] { return Groups() == "0\n"; }));
}

TEST_F(Run, ForwardsSignals) {
  EXPECT_EQ(Sh("corral run -- sh -c 'trap \"exit 9\" TERM; touch $WORK/up; while :; do sleep 0.05; "
               "done' & p=$!; while [ ! -e $WORK/up ]; do sleep 0.05; done; kill $p; wait $p; "
               "echo $?")
                .out,
            "9\n");
}

TEST_F(Run, WaitReturnsWhenTheSubtreeIsEmpty) {
  EXPECT_EQ(Sh("corral run --detach --group corral:/a/b -- sleep 0.5 >/dev/null; corral wait "
               "corral:/a; pgrep -fx 'sleep 0.5' | wc -l")
                .out,
            "0\n");
}

TEST_F(Run, ErrorsNameTheThing) {
  const struct {
    const char* command;
    const char* told;
  } kCases[] = {
      {"corral ps nosuch:/a", "nosuch"}, {"corral ps corral:/missing", "missing"},
      {"corral ps /tmp", "/tmp"},        {"corral wait /nonexistent", "/nonexistent"},
      {"corral bogus", "bogus"},         {"corral umount /tmp", "/tmp"},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = Sh(c.command);
    EXPECT_NE(outcome.status, 0) << c.command;
    EXPECT_NE(outcome.out.find(c.told), std::string::npos) << outcome.out;
  }
}

TEST_F(Run, StatusHasTheDocumentedKeys) {
  EXPECT_EQ(Sh("corral status --json | jq -r '[has(\"instance\", \"daemon_pid\", \"tracker\", "
               "\"hierarchies\")] | all'")
                .out,
            "true\n");
  EXPECT_EQ(Sh("corral doctor >/dev/null; echo $?").out, "0\n");
}

TEST_F(Run, ADaemonStartedByAJobIsNoPartOfTheJob) {
  EXPECT_EQ(Sh("timeout 20 corral run -- sh -c 'CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral run -- "
               "true'; echo $?; CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral shutdown; echo $?")
                .out,
            "0\n0\n");
}

TEST_F(Run, AGroupThatCannotBeMadeLeavesNothing) {
  EXPECT_NE(Sh("corral run --group corral:/a/../b -- true").status, 0);
  EXPECT_NE(Sh("corral run --group corral:/a/$(printf %0256d 0) -- true").status, 0);
  EXPECT_EQ(Groups(), "0\n");
}

TEST_F(Run, AuditFindsNothing) { ExpectCleanAudit(); }

}  // namespace
}  // namespace corral
