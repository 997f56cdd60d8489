// Synchronous truth: what a caller may conclude from a system call that returned, thousands
// of times without one miss. After waitpid() or a readable pidfd a task is not listed and its
// group can be removed (spec 10.10); when fork returns the child is listed, for parent and
// child alike (11.1); a move leaves nobody behind (6.6), and a child born meanwhile is in the
// old group or the new one (6.10).
//
// CORRAL_RACE_SCALE=20 does 20 times as many rounds.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <span>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "support/rounds.h"
#include "system/instance.h"

namespace corral {
namespace {

pid_t Gettid() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

// The numbers in a control file, by plain system calls: children of a fork use it, too.
std::vector<pid_t> List(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 65536> part;
  for (ssize_t n; (n = ::read(fd.get(), part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  std::vector<pid_t> pids;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end; ++at) {
    at = std::from_chars(at, end, pids.emplace_back()).ptr;
  }
  return pids;
}

bool Contains(std::span<const pid_t> pids, pid_t pid) {
  return std::ranges::find(pids, pid) != pids.end();
}
bool Listed(const std::string& path, pid_t pid) { return Contains(List(path), pid); }

class Truth : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (!IsSkipped()) Mount("none,name=truth");
  }
  void TearDown() override {
    ::signal(SIGCHLD, SIG_DFL);
    InstanceTest::TearDown();
  }
  std::string Group(const std::string& name) const { return mnt() + "/" + name; }
  void Make(const std::string& name) { ASSERT_EQ(::mkdir(Group(name).c_str(), 0755), 0); }
  void ExpectGoneAndRemovable(const std::string& name, int round) {
    EXPECT_EQ(List(Group(name) + "/tasks"), std::vector<pid_t>()) << "round " << round;
    EXPECT_EQ(List(Group(name) + "/cgroup.procs"), std::vector<pid_t>()) << "round " << round;
    EXPECT_EQ(::rmdir(Group(name).c_str()), 0) << "round " << round << ": errno " << errno;
  }
  // A child that enters the group and then does `act`, which ends it.
  template <typename Act>
  pid_t InGroup(const std::string& name, Act act) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    if (Write(Group(name) + "/tasks", "0") != 0) ::_exit(2);
    act();
    ::_exit(0);
  }
};

// The ways a process can end: by itself, killed with threads, with a thread still at work.
void EndSomehow(int round) {
  if (round % 4 == 1) std::thread([] { ::pause(); }).detach();
  if (round % 4 == 2) std::thread([] {}).detach();
  if (round % 4 >= 2) ::raise(SIGKILL);
}

TEST_F(Truth, ATaskThatWasWaitedForIsNotListedAndItsGroupCanBeRemoved) {
  const int kRounds = Rounds(2000);
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    Make("g");
    int status = 0;
    const pid_t child = InGroup("g", [&] { EndSomehow(round); });
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(status == 0 || WIFSIGNALED(status)) << "it never was in the group";
    ExpectGoneAndRemovable("g", round);
  }
  RecordProperty("rounds", kRounds);
  ExpectCleanAudit();
}

TEST_F(Truth, ATaskWhosePidfdIsReadableIsNotListedAndItsGroupCanBeRemoved) {
  const int kRounds = Rounds(2000);
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    Make("g");
    const pid_t child = InGroup("g", [&] { EndSomehow(round); });
    const Fd pidfd = OpenPidfd(child).value();
    pollfd end = {pidfd.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&end, 1, 20000), 1);
    ExpectGoneAndRemovable("g", round);  // a zombie by now, and nobody has waited for it
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  }
  RecordProperty("rounds", kRounds);
  ExpectCleanAudit();
}

TEST_F(Truth, AChildIsListedWhenForkReturnsInParentAndInChild) {
  const int kRounds = Rounds(2000);
  Make("g");
  const std::string tasks = Group("g") + "/tasks";
  const pid_t family = InGroup("g", [&] {
    for (int round = 0; round < kRounds; ++round) {
      const pid_t self = ::getpid();
      const pid_t child = ::fork();
      if (child == 0) {
        const std::vector<pid_t> listed = List(tasks);
        const bool both = Contains(listed, ::getpid()) && Contains(listed, self);
        ::raise(both ? SIGSTOP : SIGKILL);
        ::_exit(0);
      }
      // It stays until it is told to go on: the parent's look is not a race with its end.
      const bool seen = Listed(tasks, child);
      int status = 0;
      ::waitpid(child, &status, WUNTRACED);
      if (!seen) ::_exit(3);
      if (!WIFSTOPPED(status)) ::_exit(4);
      ::kill(child, SIGCONT);
      ::waitpid(child, &status, 0);
    }
  });
  int status = 0;
  ASSERT_EQ(::waitpid(family, &status, 0), family);
  EXPECT_EQ(status, 0) << "exit 3: not listed for its parent; 4: not for itself";
  RecordProperty("rounds", kRounds);
  ExpectGoneAndRemovable("g", kRounds);
}

TEST_F(Truth, AThreadIsListedFromItsFirstInstructionAndWhenItsMakerGoesOn) {
  const int kRounds = Rounds(2000);
  Make("g");
  const std::string tasks = Group("g") + "/tasks";
  const pid_t family = InGroup("g", [&] {
    for (int round = 0; round < kRounds; ++round) {
      std::atomic<pid_t> tid = 0;
      std::atomic<bool> own = false, go = false;
      std::thread thread([&] {
        own = Listed(tasks, Gettid());
        tid = Gettid();
        while (!go) std::this_thread::yield();
      });
      while (tid == 0) std::this_thread::yield();
      const bool seen = Listed(tasks, tid);
      go = true;
      thread.join();
      if (!seen || !own) ::_exit(seen ? 4 : 3);
    }
  });
  int status = 0;
  ASSERT_EQ(::waitpid(family, &status, 0), family);
  EXPECT_EQ(status, 0) << "exit 3: not listed for its maker; 4: not for itself";
  RecordProperty("rounds", kRounds);
  ExpectGoneAndRemovable("g", kRounds);
}

// ---- moves during births

TEST_F(Truth, AProcessMovedWhileItsThreadsMakeThreadsLeavesNobodyBehind) {
  const int kRounds = Rounds(1000);
  Make("a");
  Make("b");
  const pid_t storm = InGroup("a", [&] {
    const auto make = [] {
      for (;;) std::thread([] {}).join();
    };
    for (int makers = 0; makers < 3; ++makers) std::thread(make).detach();
    for (;;) std::thread([] { ::usleep(50); }).join();
  });
  std::string from = "a", to = "b";
  EXPECT_TRUE(Eventually([&] { return List(Group(from) + "/tasks").size() > 3; }));
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    ASSERT_EQ(Write(Group(to) + "/cgroup.procs", std::to_string(storm)), 0);
    EXPECT_EQ(List(Group(from) + "/tasks"), std::vector<pid_t>()) << "round " << round;
    EXPECT_TRUE(Listed(Group(to) + "/tasks", storm)) << "round " << round;
    std::swap(from, to);
  }
  ::kill(storm, SIGKILL);
  ASSERT_EQ(::waitpid(storm, nullptr, 0), storm);
  ExpectGoneAndRemovable("a", kRounds);
  ExpectGoneAndRemovable("b", kRounds);
  RecordProperty("rounds", kRounds);
  ExpectCleanAudit();
}

// A process that forks `kChildren` children as fast as it can when a byte arrives, tells them
// in the order of their births, reaps them when the next byte comes, and says so.
constexpr int kChildren = 16;
using Children = std::array<pid_t, kChildren>;

[[noreturn]] void BearOnCommand(int commands, int births) {
  for (char byte; ::read(commands, &byte, 1) == 1;) {
    Children children;
    for (pid_t& child : children) {
      child = ::fork();
      if (child == 0) {
        for (;;) ::pause();
      }
    }
    if (::write(births, &children, sizeof children) != sizeof children) ::_exit(3);
    if (::read(commands, &byte, 1) != 1) ::_exit(3);
    for (const pid_t child : children) ::kill(child, SIGKILL);
    for (const pid_t child : children) ::waitpid(child, nullptr, 0);
    if (::write(births, "x", 1) != 1) ::_exit(3);
  }
  ::_exit(0);
}

TEST_F(Truth, ChildrenOfATaskThatIsMovedAreInTheOldGroupUpToOneAndInTheNewOneFromThen) {
  const int kRounds = Rounds(300);
  Make("a");
  Make("b");
  int commands[2], births[2];
  ASSERT_EQ(::pipe2(commands, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(births, O_CLOEXEC), 0);
  const pid_t parent = InGroup("a", [&] {
    ::close(commands[1]);
    BearOnCommand(commands[0], births[1]);
  });
  ::close(commands[0]);
  EXPECT_TRUE(Eventually([&] { return Listed(Group("a") + "/tasks", parent); }));
  std::string from = "a", to = "b";
  int split = 0;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    ASSERT_EQ(::write(commands[1], "x", 1), 1);
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::microseconds(round * 37 % 3000);
    while (std::chrono::steady_clock::now() < until) {
    }
    ASSERT_EQ(Write(Group(to) + "/tasks", std::to_string(parent)), 0);
    Children children;
    ASSERT_EQ(::read(births[0], &children, sizeof children), static_cast<ssize_t>(sizeof children));
    const auto old_ones = List(Group(from) + "/tasks"), new_ones = List(Group(to) + "/tasks");
    EXPECT_EQ(old_ones.size() + new_ones.size(), kChildren + 1u) << "round " << round;
    EXPECT_TRUE(Contains(new_ones, parent)) << "round " << round;
    const auto first_new =
        std::ranges::find_if(children, [&](pid_t child) { return Contains(new_ones, child); });
    split += first_new != children.begin() && first_new != children.end();
    for (auto at = children.begin(); at != children.end(); ++at) {
      const auto& where = at < first_new ? old_ones : new_ones;
      EXPECT_TRUE(Contains(where, *at)) << "round " << round << ", child " << at - children.begin();
    }
    ASSERT_EQ(::write(commands[1], "x", 1), 1);
    char reaped;
    ASSERT_EQ(::read(births[0], &reaped, 1), 1);
    EXPECT_EQ(List(Group(from) + "/tasks"), std::vector<pid_t>()) << "round " << round;
    EXPECT_EQ(List(Group(to) + "/tasks"), std::vector<pid_t>{parent}) << "round " << round;
    std::swap(from, to);
  }
  ::close(commands[1]);
  ::close(births[0]);
  ::close(births[1]);
  EXPECT_EQ(::waitpid(parent, nullptr, 0), parent);
  if (kRounds >= 100) {
    EXPECT_GT(split, 0) << "no move fell among births: nothing was proved";
  }
  RecordProperty("rounds", kRounds);
  RecordProperty("split", split);
  ExpectCleanAudit();
}

}  // namespace
}  // namespace corral
