// Spec 1: what is grouped, and in what.
#include <unistd.h>

#include "conformance/conformance.h"
#include "support/puppets.h"

namespace corral {
namespace {

class Model : public Conformance {
 protected:
  std::string Text(Tid tid) { return std::to_string(tid.value); }
};
CORRAL_IN_EVERY_DIALECT(Model);

TEST_P(Model, ATaskIsAThreadNotAProcess) {
  Spec("1.1");
  Puppets puppets;
  const Tid leader = puppets.Start();
  const Tid thread = puppets.Thread(leader);
  const std::string a = Group("a");
  ASSERT_EQ(Write(a + "/tasks", Text(thread)), 0);
  EXPECT_EQ(Read(a + "/tasks"), Text(thread) + "\n");
  EXPECT_TRUE(Lists(mnt() + "/tasks", static_cast<pid_t>(leader.value)));
}

TEST_P(Model, ATaskIsInExactlyOneGroupOfAHierarchy) {
  Spec("1.2");
  const std::string a = Group("a"), b = Group("a/b");
  const pid_t task = SleeperIn(a);
  ASSERT_EQ(Write(b + "/tasks", std::to_string(task)), 0);
  EXPECT_FALSE(Lists(mnt() + "/tasks", task));
  EXPECT_FALSE(Lists(a + "/tasks", task));
  EXPECT_TRUE(Lists(b + "/tasks", task));
  ASSERT_EQ(Write(mnt() + "/tasks", std::to_string(task)), 0);
  EXPECT_TRUE(Lists(mnt() + "/tasks", task));
  EXPECT_FALSE(Lists(b + "/tasks", task));
}

TEST_P(Model, HierarchiesAreIndependent) {
  Spec("1.3");
  Mount("none,name=second", "mnt-second");
  const std::string a = Group("a"), b = work() + "/mnt-second/b";
  ASSERT_EQ(Mkdir(b), 0);
  const pid_t task = SleeperIn(a);
  EXPECT_TRUE(Lists(work() + "/mnt-second/tasks", task));
  ASSERT_EQ(Write(b + "/tasks", std::to_string(task)), 0);
  EXPECT_TRUE(Lists(a + "/tasks", task));
  ASSERT_EQ(Write(mnt() + "/tasks", std::to_string(task)), 0);
  EXPECT_TRUE(Lists(b + "/tasks", task));
  EXPECT_EQ(Rmdir(a), 0);
}

// Two tasks of one group that differ elsewhere have two css_sets.
TEST_P(Model, AGroupIsBusyWhileAnyOfItsCssSetsHasTasks) {
  Spec("1.6");
  Mount("none,name=second", "mnt-second");
  const std::string a = Group("a"), b = work() + "/mnt-second/b";
  ASSERT_EQ(Mkdir(b), 0);
  const pid_t one = SleeperIn(a), two = SleeperIn(a);
  ASSERT_EQ(Write(b + "/tasks", std::to_string(two)), 0);
  EXPECT_TRUE(Lists(a + "/tasks", one));
  EXPECT_TRUE(Lists(a + "/tasks", two));
  End(one);
  EXPECT_EQ(Rmdir(a), EBUSY);
  EXPECT_EQ(Read(a + "/tasks"), std::to_string(two) + "\n");
  End(two);
  EXPECT_EQ(Rmdir(a), 0);
}

TEST_P(Model, TheTopIsNeitherRemovedNorReleased) {
  Spec("1.7");
  SetLoggingAgent();
  Notify(mnt());
  EmptyByExit(mnt());
  const std::string a = Group("a");
  EXPECT_EQ(Read(a + "/notify_on_release"), "1\n");
  EXPECT_EQ(Rmdir(a), 0);
  EXPECT_EQ(Rmdir(mnt()), EBUSY);
  EXPECT_TRUE(Told(0).empty());
  EXPECT_EQ(Write(mnt() + "/notify_on_release", "0"), 0);
}

TEST_P(Model, EveryTaskOfTheMachineIsInTheTopFromTheStart) {
  Spec("1.7 1.8");
  EXPECT_TRUE(Lists(mnt() + "/tasks", 1));
  EXPECT_TRUE(Lists(mnt() + "/tasks", ::getpid())) << "older than the daemon";
  const pid_t kernel_thread = KernelThread("ksoftirqd/0");
  ASSERT_NE(kernel_thread, 0);
  EXPECT_TRUE(Lists(mnt() + "/tasks", kernel_thread));
  EXPECT_TRUE(Lists(mnt() + "/tasks", Sleeper()));
}

}  // namespace
}  // namespace corral
