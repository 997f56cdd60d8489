// What is told of tasks, and that a reader that hangs is left behind.
#include "cli/task_info.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

namespace corral::cli {
namespace {

// The only child this test has.
pid_t ChildOf(pid_t parent) {
  pid_t child = 0;
  std::ifstream("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) +
                "/children") >>
      child;
  return child;
}

TEST(TaskInfo, KnowsStateNameParentAndAge) {
  const TaskInfo own = InfoOfTask(::getpid());
  EXPECT_EQ(own.state, "R");
  EXPECT_EQ(own.name, CommandName(::getpid()));
  EXPECT_EQ(own.parent, ::getppid());
  EXPECT_GE(own.age_s, 0);
  EXPECT_LT(own.age_s, 3600);
  EXPECT_EQ(AncestorsOf(own.parent).back().pid, 1);
  const TaskInfo nobody = InfoOfTask(2147483647);
  EXPECT_EQ(nobody.state, "?");
  EXPECT_EQ(nobody.age_s, -1);
}

TEST(CommandLines, LeavesAReaderBehindThatHangsAndGoesOnWithAnother) {
  CommandLines lines;
  EXPECT_NE(lines.Of(::getpid()).find("cli_task_info_test"), std::string::npos);
  const pid_t reader = ChildOf(::getpid());
  ASSERT_GT(reader, 0);
  ::kill(reader, SIGSTOP);               // as if what it reads never came
  EXPECT_EQ(lines.Of(::getppid()), "");  // it comes back
  ::kill(reader, SIGKILL);
  ::waitpid(reader, nullptr, 0);
  EXPECT_NE(lines.Of(1), "") << "by the next reader";
}

}  // namespace
}  // namespace corral::cli
