// Spec 6: writing tasks. Spec 2.4, 2.11, 2.12.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "conformance/conformance.h"
#include "support/puppets.h"

namespace corral {
namespace {

class Tasks : public Conformance {
 protected:
  void Prepare() override {
    group_ = Group("g");
    tasks_ = group_ + "/tasks";
    task_ = Sleeper();
  }
  // Writes it as text with the task's number for a P; the errno, and whether the task moved.
  std::pair<int, bool> WriteOf(std::string text) {
    if (const auto at = text.find('P'); at != text.npos) text.replace(at, 1, std::to_string(task_));
    const int error = Write(tasks_, text);
    const bool moved = Lists(tasks_, task_);
    EXPECT_EQ(Write(mnt() + "/tasks", std::to_string(task_)), 0);
    return {error, moved};
  }
  static pid_t FreeTid() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    Await(child);
    return child;
  }
  std::string group_, tasks_;
  pid_t task_ = 0;
};
CORRAL_IN_EVERY_DIALECT(Tasks);

TEST_P(Tasks, OneWriteIsOneTaskAndTheOffsetIsNothing) {
  Spec("6.1");
  const pid_t second = Sleeper();
  const std::string one = std::to_string(task_) + "\n", two = std::to_string(second) + "\n";
  const Fd fd = Open(tasks_, O_WRONLY);
  EXPECT_EQ(::pwrite(fd.get(), one.data(), one.size(), 5000), static_cast<ssize_t>(one.size()));
  EXPECT_EQ(::write(fd.get(), two.data(), two.size()), static_cast<ssize_t>(two.size()));
  EXPECT_TRUE(Lists(tasks_, task_));
  EXPECT_TRUE(Lists(tasks_, second));
  const std::string back = one + two;
  const Fd top = Open(mnt() + "/tasks", O_WRONLY);
  const ssize_t written = ::write(top.get(), back.data(), back.size());
  if (Is("linux")) {
    EXPECT_EQ(written, -1);
    EXPECT_EQ(errno, EINVAL);
  } else {
    EXPECT_EQ(written, static_cast<ssize_t>(back.size()));
    EXPECT_TRUE(Lists(mnt() + "/tasks", task_));
  }
  EXPECT_TRUE(Lists(tasks_, second)) << "the second line is not a task to move";
}

TEST_P(Tasks, AZeroMovesTheCallingThread) {
  Spec("6.2");
  std::string listed;
  pid_t tid = 0;
  std::thread([&] {
    tid = static_cast<pid_t>(::syscall(SYS_gettid));
    EXPECT_EQ(Write(tasks_, "0"), 0);
    listed = Read(tasks_);
  }).join();
  EXPECT_EQ(listed, std::to_string(tid) + "\n");
  EXPECT_TRUE(Lists(mnt() + "/tasks", ::getpid()));
}

TEST_P(Tasks, NumbersAreReadAsScanfDoes) {
  Spec("2.4 6.3");
  if (Is("linux")) NOT_APPLICABLE("numbers are strict");
  const auto moved = std::pair(0, true);
  for (const char* text :
       {"P", "P\n", " \t\n\v\f\rP", "+P", " +P", "00P", "P rest", "Px", "P\n1\n"}) {
    EXPECT_EQ(WriteOf(text), moved) << text;
  }
  for (const char* text : {" ", "\n", " \t ", "x", "xP", "-", "+", "- P", "--P"}) {
    EXPECT_EQ(WriteOf(text), std::pair(EIO, false)) << text;
  }
  for (const char* text : {"-P", "-1", "4294967297", "99999999999999999999999", "4194305"}) {
    EXPECT_EQ(WriteOf(text), std::pair(ESRCH, false)) << text;
  }
}

TEST_P(Tasks, NumbersAreStrictInLinux) {
  Spec("2.4 6.3");
  if (!Is("linux")) NOT_APPLICABLE("numbers are read as scanf does");
  const auto moved = std::pair(0, true);
  for (const char* text : {"P", "P\n", " \t\nP \n\t", "+P"})
    EXPECT_EQ(WriteOf(text), moved) << text;
  char hexadecimal[32], octal[32];
  std::snprintf(hexadecimal, sizeof hexadecimal, "0x%x", task_);
  std::snprintf(octal, sizeof octal, "0%o", task_);
  EXPECT_EQ(WriteOf(hexadecimal), moved);
  EXPECT_EQ(WriteOf(octal), moved);
  EXPECT_EQ(WriteOf(std::string("P\0rubbish", 9)), moved);
  for (const char* text : {" ", "\n", "x", "P rest", "Px", "P\n1\n", "- P", "--P", "-P", "-1",
                           "0xg", "089", "2147483648", "99999999999999999999999"}) {
    EXPECT_EQ(WriteOf(text), std::pair(EINVAL, false)) << text;
  }
  EXPECT_EQ(WriteOf("2147483647"), std::pair(ESRCH, false));
  const pid_t writer =
      Child([&] { ::_exit(Write(tasks_, "-0") + (Read(tasks_).empty() ? 200 : 0)); });
  int status = -1;
  ASSERT_EQ(::waitpid(writer, &status, 0), writer);
  EXPECT_EQ(status, 0) << "-0 is the caller";
}

TEST_P(Tasks, ATaskThatDoesNotExistIsNotFound) {
  Spec("6.4");
  EXPECT_EQ(Write(tasks_, std::to_string(FreeTid())), ESRCH);
  EXPECT_EQ(Read(tasks_), "");
}

TEST_P(Tasks, AZombieIsTheDialectsMatter) {
  Spec("2.11 6.4");
  const pid_t zombie = Sleeper();
  ::kill(zombie, SIGKILL);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(Write(tasks_, std::to_string(zombie)), ByDialect(ESRCH, ESRCH, ESRCH, 0));
  EXPECT_EQ(Read(tasks_), "");
  EXPECT_EQ(Rmdir(group_), 0);
}

TEST_P(Tasks, KernelThreadsAreTheDialectsMatter) {
  Spec("2.12");
  const pid_t kthreadd = KernelThread("kthreadd"), bound = KernelThread("ksoftirqd/0");
  ASSERT_NE(kthreadd, 0);
  ASSERT_NE(bound, 0);
  for (const pid_t thread : {kthreadd, bound}) {
    EXPECT_EQ(Write(tasks_, std::to_string(thread)), Is("linux") ? EINVAL : 0);
    EXPECT_EQ(Lists(tasks_, thread), !Is("linux"));
    EXPECT_EQ(Write(mnt() + "/tasks", std::to_string(thread)), Is("linux") ? EINVAL : 0);
    EXPECT_TRUE(Lists(mnt() + "/tasks", thread));
  }
}

TEST_P(Tasks, ChecksComeInOrder) {
  Spec("6.5");
  const Fd removed = Open(tasks_, O_WRONLY);
  ASSERT_EQ(Rmdir(group_), 0);
  const std::string too_long(5000, 'x');
  EXPECT_EQ(Code(::write(removed.get(), too_long.data(), too_long.size())), E2BIG);
  EXPECT_EQ(Code(::write(removed.get(), "x", 1)), ENODEV) << "before it is parsed";
  const std::string unknown = std::to_string(FreeTid());
  EXPECT_EQ(Code(::write(removed.get(), unknown.data(), unknown.size())), ENODEV);
  ASSERT_EQ(Mkdir(group_), 0);
  ASSERT_EQ(Code(::chown(tasks_.c_str(), 1234, 1234)), 0);
  const int parse = Is("linux") ? EINVAL : EIO;
  const std::string foreign = std::to_string(task_);
  EXPECT_EQ(As(1234, 1234, [&] { return Write(tasks_, "x"); }), parse);
  EXPECT_EQ(As(1234, 1234, [&] { return Write(tasks_, unknown); }), ESRCH);
  EXPECT_EQ(As(1234, 1234, [&] { return Write(tasks_, foreign); }), EACCES);
}

// ---- cgroup.procs

TEST_P(Tasks, AnyThreadOfAProcessMovesAllOfIt) {
  Spec("6.6");
  if (!Is("corral") && !Is("linux")) NOT_APPLICABLE("no cgroup.procs");
  Puppets puppets;
  const Tid leader = puppets.Start();
  const Tid one = puppets.Thread(leader), two = puppets.Thread(leader);
  EXPECT_EQ(Write(group_ + "/cgroup.procs", std::to_string(two.value)), 0);
  for (const Tid tid : {leader, one, two}) {
    EXPECT_TRUE(Lists(tasks_, static_cast<pid_t>(tid.value)));
  }
  EXPECT_EQ(Read(group_ + "/cgroup.procs"), std::to_string(leader.value) + "\n");
  EXPECT_EQ(Write(mnt() + "/cgroup.procs", std::to_string(leader.value)), 0);
  EXPECT_EQ(Read(tasks_), "");
}

TEST_P(Tasks, AZeroInProcsIsTheCallersProcess) {
  Spec("6.6");
  if (!Is("corral") && !Is("linux")) NOT_APPLICABLE("no cgroup.procs");
  const pid_t child = Child([&] {
    std::thread([&] {
      if (Write(group_ + "/cgroup.procs", "0") != 0) ::_exit(1);
    }).join();
    ::pause();
  });
  EXPECT_TRUE(Eventually([&] { return Lists(tasks_, child); }));
}

// Observers see one step: whatever is there of the process is in one of the two.
TEST_P(Tasks, AThreadBornDuringTheMoveEndsUpInTheTargetToo) {
  Spec("6.6");
  if (!Is("corral") && !Is("linux")) NOT_APPLICABLE("no cgroup.procs");
  Puppets puppets;
  const Tid leader = puppets.Start();
  const std::string other = Group("other"), process = std::to_string(leader.value);
  puppets.BeginStorm(leader, puppet::Storm::kThread, std::chrono::milliseconds(300));
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(250);
  while (std::chrono::steady_clock::now() < end) {
    ASSERT_EQ(Write(group_ + "/cgroup.procs", process), 0);
    ASSERT_EQ(Read(other + "/tasks"), "");
    ASSERT_EQ(Write(other + "/cgroup.procs", process), 0);
    ASSERT_EQ(Read(tasks_), "");
  }
  EXPECT_GT(puppets.EndStorm(leader), 0u);
}

// ---- moves

TEST_P(Tasks, AMoveToWhereItIsDoesNothing) {
  Spec("6.7");
  ASSERT_EQ(Rmdir(group_), 0);
  SetLoggingAgent();
  ASSERT_EQ(Mkdir(group_), 0);
  Notify(group_);
  const std::string task = std::to_string(task_);
  ASSERT_EQ(Write(tasks_, task), 0);
  EXPECT_EQ(Write(tasks_, task), 0);
  EXPECT_EQ(Write(tasks_, task), 0);
  EXPECT_EQ(Read(tasks_), task + "\n");
  EXPECT_TRUE(Told(0).empty());
  if (Is("v11") || Is("corral")) {
    EXPECT_EQ(Read(group_ + "/releasable"), "0\n");
  }
}

TEST_P(Tasks, NoRightOverTheSourceIsNeeded) {
  Spec("6.9");
  const std::string source = Group("source");
  ASSERT_EQ(Code(::chmod(source.c_str(), 0700)), 0);
  ASSERT_EQ(Code(::chown(tasks_.c_str(), 1234, 1234)), 0);
  EXPECT_EQ(As(1234, 1234, [&] { return OpenError(source + "/tasks", O_WRONLY); }), EACCES);
  const pid_t task = Child([] {
    if (::setresuid(1234, 1234, 1234) != 0) ::_exit(1);
    for (;;) ::pause();
  });
  const std::string text = std::to_string(task);
  ASSERT_TRUE(Eventually(
      [&] { return Read("/proc/" + text + "/status").find("Uid:\t1234\t") != std::string::npos; }));
  ASSERT_EQ(Write(source + "/tasks", text), 0);
  EXPECT_EQ(As(1234, 1234, [&] { return Write(tasks_, text); }), 0);
  EXPECT_EQ(Read(tasks_), text + "\n");
}

}  // namespace
}  // namespace corral
