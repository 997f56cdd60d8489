// A user who is not root attaches by number, and the number becomes another's between the look
// at the owner and the move (docs/concurrency.md, 9.7). However often it happens, no task of
// another user is in the group once the write has returned (spec 8.2).
//
// CORRAL_RACE_SCALE=20 goes on 20 times as long.
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <random>
#include <sstream>

#include "base/mapping.h"
#include "support/rounds.h"
#include "system/instance.h"

namespace corral {
namespace {

constexpr uid_t kNobody = 65534;

pid_t ForkAs(pid_t wanted) {
  clone_args args = {};
  args.exit_signal = SIGCHLD;
  args.set_tid = reinterpret_cast<std::uintptr_t>(&wanted);
  args.set_tid_size = 1;
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

// Shared by the writer and the recycler.
struct Score {
  std::atomic<std::uint64_t> writes;  // that have returned
  std::atomic<std::uint64_t> attached;
  std::atomic<std::uint64_t> gone;     // ESRCH: nobody there, or undone
  std::atomic<std::uint64_t> refused;  // EACCES
  std::atomic<bool> stop;
};

class RecycledTid : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    Mount("none,name=recycled");
    ASSERT_EQ(::mkdir(Group().c_str(), 0755), 0);
    ASSERT_EQ(Sh("chown nobody: $MNT/g $MNT/g/*").status, 0);
    score_ = MapShared<Score>(-1, sizeof(Score), "the score").value();
  }
  std::string Group() const { return mnt() + "/g"; }

  // As nobody: writes the number again and again.
  [[noreturn]] void WriteNumber(pid_t number, const char* file) {
    if (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(2);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of user clears it
    while (!score_->stop) {
      const int error = Write(Group() + "/" + file, std::to_string(number));
      ++(error == 0 ? score_->attached : error == EACCES ? score_->refused : score_->gone);
      ++score_->writes;
      if (error != 0 && error != EACCES && error != ESRCH) ::_exit(3);
    }
    ::_exit(0);
  }
  // Every write that was under way is over: two have returned since.
  void AwaitWrites(pid_t writer) {
    for (const std::uint64_t seen = score_->writes; score_->writes < seen + 2;) {
      int status = 0;
      ASSERT_EQ(::waitpid(writer, &status, WNOHANG), 0) << "the writer is gone, status " << status;
      ::sched_yield();
    }
  }
  bool InGroup(pid_t number) {
    std::istringstream tasks(Read(Group() + "/tasks"));
    for (pid_t listed; tasks >> listed;) {
      if (listed == number) return true;
    }
    return false;
  }
  pid_t FreeNumber() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
    return child;
  }

  void Race(const char* file) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::seconds(Rounds(2));
    // Long enough for each of the three answers to have come, on a slow machine too.
    const auto goes_on = [&] {
      const bool seen_all = score_->attached > 0 && score_->refused > 0 && score_->gone > 0;
      return Clock::now() < (seen_all ? end : begin + std::chrono::minutes(2));
    };
    const pid_t number = FreeNumber();
    const pid_t writer = ::fork();
    if (writer == 0) WriteNumber(number, file);
    std::mt19937 random(1);
    std::uint64_t recycled = 0;
    for (; goes_on() && !HasFailure(); ++recycled) {
      const auto life = std::chrono::microseconds(random() % 300);
      const pid_t theirs = ForkAs(number);
      if (theirs == 0) {
        if (::setuid(kNobody) != 0) ::_exit(2);
        for (const auto dies = Clock::now() + life; Clock::now() < dies;) {
        }
        ::_exit(0);
      }
      if (theirs != number) continue;  // somebody else has it for now
      ::waitpid(theirs, nullptr, 0);
      const pid_t ours = ForkAs(number);
      if (ours == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) ::pause();
      }
      if (ours != number) continue;
      AwaitWrites(writer);
      EXPECT_FALSE(InGroup(number)) << "a task of root in nobody's group, after " << recycled;
      ::kill(ours, SIGKILL);
      ::waitpid(ours, nullptr, 0);
    }
    score_->stop = true;
    int status = 0;
    ::waitpid(writer, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_GT(score_->attached.load(), 0u);
    EXPECT_GT(score_->refused.load(), 0u);
    EXPECT_GT(score_->gone.load(), 0u);
    std::printf("FIGURES recycled %llu times: %llu attached, %llu refused, %llu gone\n",
                static_cast<unsigned long long>(recycled),
                static_cast<unsigned long long>(score_->attached.load()),
                static_cast<unsigned long long>(score_->refused.load()),
                static_cast<unsigned long long>(score_->gone.load()));
    EXPECT_EQ(Read(Group() + "/tasks"), "");
    EXPECT_EQ(::rmdir(Group().c_str()), 0);
    ExpectCleanAudit();
  }

  Mapping<Score> score_;
};

TEST_F(RecycledTid, OfATaskIsNeverLeftInTheGroupOfAnother) { Race("tasks"); }
TEST_F(RecycledTid, OfAProcessIsNeverLeftInTheGroupOfAnother) { Race("cgroup.procs"); }

}  // namespace
}  // namespace corral
