// The subsystem `debug` by its files: what it shows, what it refuses, and that a refusal leaves
// nothing behind.
#include "subsystems/debug/debug.h"

#include <cerrno>

#include "support/subsystem_fixture.h"

namespace corral {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class DebugFiles : public SubsystemTest {
 protected:
  DebugFiles() : SubsystemTest(std::make_shared<Debug>()) { Make("/a"); }
};

class DebugForks : public SubsystemTest {
 protected:
  DebugForks() : SubsystemTest(std::make_shared<Debug>(Debug::Forks::kCounted)) { Make("/a"); }
};

TEST_F(DebugFiles, ShowWhatTheCoreKeeps) {
  ASSERT_EQ(StartIn("/a", 7), 0);
  EXPECT_EQ(Read("/a/debug.taskcount"), "1\n");
  EXPECT_THAT(Read("/a/debug.css_sets"), AllOf(HasSubstr("count 1"), HasSubstr(":/a")));
  EXPECT_THAT(
      Read("/a/debug.state"),
      AllOf(HasSubstr("cgroup " + std::to_string(At("/a").cgroup().value)), HasSubstr("path /a\n"),
            HasSubstr("parent " + std::to_string(At("/").cgroup().value))));
  EXPECT_TRUE(Has("/a/debug.state"));
  EXPECT_FALSE(Has("/a/debug.forks"));
}

TEST_F(DebugFiles, AHeldReferenceKeepsTheCgroup) {
  EXPECT_EQ(Write("/a/debug.hold", "1\n"), 0);
  EXPECT_EQ(Write("/a/debug.hold", "1\n"), 0);  // one is one
  EXPECT_EQ(Read("/a/debug.hold") + Read("/a/debug.references"), "1\n1\n");
  EXPECT_TRUE(Has("/a/debug.hold"));
  EXPECT_EQ(Remove("/a"), EBUSY);
  EXPECT_EQ(Write("/a/debug.hold", "0"), 0);
  EXPECT_EQ(Read("/a/debug.hold") + Read("/a/debug.references"), "0\n0\n");
  EXPECT_EQ(registry_->Events(At("/a").cgroup())->releases, 1u);  // the last put
  EXPECT_EQ(Remove("/a"), 0);
  EXPECT_FALSE(Has("/debug.hold"));
}

TEST_F(DebugFiles, ARefusedMkdirLeavesNothing) {
  ASSERT_EQ(Write("/a/debug.refuse", "create ENOSPC\n"), 0);
  EXPECT_EQ(Make("/a/b"), ENOSPC);
  EXPECT_EQ(registry_->View(At("/a").cgroup())->children, 0u);
  EXPECT_EQ(Make("/b"), 0);  // it is refused there, not elsewhere
  ASSERT_EQ(Write("/a/debug.refuse", "\n"), 0);
  EXPECT_EQ(Make("/a/b"), 0);
}

TEST_F(DebugFiles, ARefusedMoveLeavesNothing) {
  ASSERT_EQ(Write("/a/debug.refuse", "can_attach 13"), 0);
  EXPECT_EQ(StartIn("/a", 7), EACCES);
  EXPECT_EQ(Read("/a/debug.taskcount"), "0\n");
  EXPECT_EQ(Remove("/a"), 0);
}

TEST_F(DebugFiles, ReadBackWhatIsRefused) {
  ASSERT_EQ(Write("/a/debug.refuse", "can_attach 13, create EPERM"), 0);
  EXPECT_EQ(Read("/a/debug.refuse"), "create EPERM\ncan_attach EACCES\n");
  ASSERT_EQ(Write("/a/debug.refuse", "create 1\n"), 0);
  EXPECT_EQ(Read("/a/debug.refuse"), "create EPERM\n");
  EXPECT_EQ(Make("/a/b"), EPERM);
}

TEST_F(DebugFiles, BadValuesChangeNothing) {
  ASSERT_EQ(Write("/a/debug.refuse", "create EPERM"), 0);
  for (const char* bad : {"create", "create EXYZ", "create 0", "create -1", "create 99999",
                          "attach EPERM", "can_attach EPERM create", "can_fork EPERM"}) {
    EXPECT_EQ(Write("/a/debug.refuse", bad), EINVAL) << bad;
  }
  for (const char* bad : {"2", "yes", "1 1", "\n"}) {
    EXPECT_EQ(Write("/a/debug.hold", bad), EINVAL) << bad;
  }
  EXPECT_EQ(Read("/a/debug.refuse"), "create EPERM\n");
  EXPECT_EQ(Write("/a/debug.references", "1"), EINVAL);
}

TEST_F(DebugForks, AreCountedWhereTheyHappen) {
  ASSERT_EQ(StartIn("/a", 7), 0);
  ASSERT_EQ(Fork(7, 8), 0);
  EXPECT_EQ(Read("/a/debug.forks") + Read("/a/debug.exits"), "1\n0\n");
  Exit(8);
  Exit(7);
  EXPECT_EQ(Read("/a/debug.forks") + Read("/a/debug.exits"), "1\n2\n");
}

TEST_F(DebugForks, AreRefusedOnRequest) {
  ASSERT_EQ(StartIn("/a", 7), 0);
  ASSERT_EQ(Write("/a/debug.refuse", "can_fork EAGAIN"), 0);
  EXPECT_EQ(Fork(7, 8), EAGAIN);
  EXPECT_EQ(Read("/a/debug.taskcount") + Read("/a/debug.forks"), "1\n0\n");
  EXPECT_EQ(Fork(1, 8), 0);
  Exit(7);
  EXPECT_EQ(Remove("/a"), 0);
}

}  // namespace
}  // namespace corral
