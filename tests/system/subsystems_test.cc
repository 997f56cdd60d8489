// The built-in subsystems on a real mount: what their files say of real processes.
#include <cerrno>

#include "system/instance.h"

namespace corral {
namespace {

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
  const Outcome shell = Sh(
      "mkdir $MNT/a/b; (echo 0 > $MNT/a/b/tasks; sleep 60 & echo $! > $WORK/sleeper; exec sleep 60) & "
      "while [ ! -s $WORK/sleeper ]; do sleep 0.01; done; cat $MNT/a/numtasks.current; "
      "kill $! $(cat $WORK/sleeper); wait $! 2>/dev/null; "
      "while [ $(cat $MNT/a/numtasks.current) != 0 ]; do sleep 0.01; done; cat $MNT/a/numtasks.peak");
  EXPECT_EQ(shell.out, "2\n2\n");
}

TEST_F(BuiltIns, NumtasksKeepsALimitItDoesNotEnforce) {
  EXPECT_EQ(Write(Of("numtasks.max"), "1\n"), 0);
  EXPECT_EQ(Read(Of("numtasks.max")), "1\n");
  EXPECT_EQ(Write(Of("numtasks.max"), "few\n"), EINVAL);
  EXPECT_EQ(Sh("echo 0 > $MNT/a/tasks && (true) && (true) && cat $MNT/a/numtasks.failures").out, "0\n");
  EXPECT_NE(Sh("corral doctor").out.find("numtasks.max is kept and not enforced"), std::string::npos);
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
