// Births kept within limits by the kernel: real processes that fork as fast as they can from many
// places at once. Needs root and BPF, and the BPF LSM or Linux 6.13.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>

#include "base/mapping.h"
#include "support/matchers.h"
#include "support/rounds.h"
#include "trackers/bpf/bpf_tracker.h"

namespace corral {
namespace {

using namespace std::chrono_literals;

constexpr CssSetId kA{7};
constexpr CssSetId kB{8};

// What the processes of a test write, each for all.
struct Shared {
  std::atomic<long> alive = 0;  // of those that forked and ran
  std::atomic<long> most = 0;
  std::atomic<long> ran = 0;
  std::atomic<long> stopped = 0;  // forks that failed, or whose child was killed
  std::atomic<long> failed = 0;   // in another way
  std::atomic<bool> go = false;
};

class TaskLimitsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto tracker = BpfTracker::Create({.sets = 64});
    if (!tracker) GTEST_SKIP() << tracker.error().message;
    tracker_ = std::move(*tracker);
    ASSERT_THAT(tracker_->CreateSet(kA), IsOk());
    ASSERT_THAT(tracker_->CreateSet(kB), IsOk());
    if (auto can = Limit(1000); !can) GTEST_SKIP() << can.error().message;
    shared_ = MapShared<Shared>(-1, sizeof(Shared), "what the processes write").value();
  }
  void TearDown() override {
    if (!tracker_ || IsSkipped()) return;
    EXPECT_EQ(tracker_->births_let_through(), 0u);
    EXPECT_THAT(tracker_->Audit().differences, ::testing::IsEmpty());
  }

  // Of A and B together, number 1; of B in it, number 2, where it has one.
  Result<void> Limit(std::uint64_t both, std::optional<std::uint64_t> b = {}) {
    TaskLimits all;
    all.limits.push_back({.max = both, .number = 1, .first = 0, .end = 2});
    if (b) all.limits.push_back({.max = *b, .number = 2, .outer = 1, .first = 1, .end = 2});
    all.sets = {{kA, 1}, {kB, b ? 2u : 1u}};
    return tracker_->LimitTasks(all);
  }
  bool refuses() const { return tracker_->births_beyond_limits() == "refused"; }

  // A process of the set, which waits for `go` and then does `what`.
  pid_t Start(CssSetId set, const std::function<void()>& what) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (!shared_->go) ::usleep(100);
      what();
      ::_exit(0);
    }
    const Tid tid{static_cast<std::uint32_t>(child)};
    const auto place = tracker_->Describe(tid);
    EXPECT_THAT(place, IsOk());
    EXPECT_THAT(tracker_->Move(tid, *place, set), IsOk());
    return child;
  }
  // As often as asked: a child that counts itself, lives for a moment and is waited for.
  void ForkAway(int times) const {
    for (int i = 0; i < times; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        const long alive = ++shared_->alive;
        for (long most = shared_->most; alive > most;) {
          if (shared_->most.compare_exchange_weak(most, alive)) break;
        }
        ++shared_->ran;
        if (i % 4 == 0) ::usleep(200);
        --shared_->alive;
        ::_exit(0);
      }
      int status = 0;
      if (child < 0) {
        ++(errno == EAGAIN ? shared_->stopped : shared_->failed);
      } else if (::waitpid(child, &status, 0) == child && status == SIGKILL) {
        ++shared_->stopped;
      } else if (status != 0) {
        ++shared_->failed;
      }
    }
  }
  static void WaitFor(const std::vector<pid_t>& children) {
    for (const pid_t child : children) {
      int status = 0;
      EXPECT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
  }

  std::unique_ptr<BpfTracker> tracker_;
  Mapping<Shared> shared_;
};

TEST_F(TaskLimitsTest, NeverHasMoreThanTheLimitUnderAStorm) {
  constexpr int kForkers = 8;
  constexpr int kMax = kForkers + 3;
  const int times = 20 * Rounds(25);
  std::vector<pid_t> forkers;
  for (int i = 0; i < kForkers; ++i) {
    forkers.push_back(Start(i % 2 ? kA : kB, [&] {
      ForkAway(times);
      while (shared_->go) ::usleep(100);  // who ends early leaves room for one more child
    }));
  }
  ASSERT_THAT(Limit(kMax), IsOk());
  shared_->go = true;
  // The same again and again meanwhile: no birth falls between two.
  int again = 0;
  while (shared_->ran + shared_->stopped + shared_->failed < kForkers * times) {
    ASSERT_THAT(Limit(kMax), IsOk());
    ++again;
    ::usleep(50);
  }
  shared_->go = false;
  WaitFor(forkers);
  EXPECT_EQ(shared_->failed, 0);
  EXPECT_EQ(shared_->ran + shared_->stopped, kForkers * times);
  // Where births are refused, all that are between the check and the count see the same room.
  EXPECT_LE(shared_->most, 3 + (refuses() ? kForkers - 1 : 0));
  EXPECT_GT(shared_->ran, 0);
  EXPECT_GT(shared_->stopped, 0) << "nothing was tried";
  EXPECT_EQ(tracker_->RefusedBirths(1), static_cast<std::uint64_t>(shared_->stopped));
  RecordProperty("limits_set", again);
}

TEST_F(TaskLimitsTest, CountsAtTheInnermostLimitThatIsExceeded) {
  ASSERT_THAT(Limit(3, 1), IsOk());
  const pid_t b = Start(kB, [&] { ForkAway(4); });  // B is full with it
  shared_->go = true;
  WaitFor({b});
  EXPECT_EQ(shared_->ran, 0);
  EXPECT_EQ(tracker_->RefusedBirths(2), 4u);
  EXPECT_EQ(tracker_->RefusedBirths(1), 0u);
  ASSERT_THAT(Limit(1, 100), IsOk());
  const pid_t again = Start(kB, [&] { ForkAway(3); });
  WaitFor({again});
  EXPECT_EQ(shared_->ran, 0);
  EXPECT_EQ(tracker_->RefusedBirths(2), 4u);
  EXPECT_EQ(tracker_->RefusedBirths(1), 3u);
}

TEST_F(TaskLimitsTest, HoldsForNobodyElseAndNoLongerThanItIsSet) {
  ASSERT_THAT(Limit(0), IsOk());
  ForkAway(50);  // we are in the initial set
  EXPECT_EQ(shared_->ran, 50);
  const pid_t a = Start(kA, [&] {
    ForkAway(5);
    shared_->go = false;
    while (!shared_->go) ::usleep(100);
    ForkAway(5);
  });
  shared_->go = true;
  while (shared_->stopped < 5 || shared_->go) ::usleep(100);
  EXPECT_EQ(shared_->ran, 50);
  ASSERT_THAT(tracker_->LimitTasks({}), IsOk());
  shared_->go = true;
  WaitFor({a});
  EXPECT_EQ(shared_->ran, 55);
  EXPECT_EQ(tracker_->RefusedBirths(1), 5u);
}

// A thread is a task. Where births are not refused its process cannot be had without it.
TEST_F(TaskLimitsTest, StopsThreads) {
  ASSERT_THAT(Limit(2), IsOk());
  const pid_t a = Start(kA, [&] {
    std::thread first([] { ::pause(); });
    try {
      std::thread second([] {});
      second.join();
    } catch (const std::system_error& error) {
      ::_exit(error.code().value() == EAGAIN ? 11 : 1);
    }
    ::_exit(0);
  });
  shared_->go = true;
  int status = 0;
  EXPECT_EQ(::waitpid(a, &status, 0), a);
  if (refuses()) {
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 11) << status;
  } else {
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  }
  EXPECT_EQ(tracker_->RefusedBirths(1), 1u);
}

TEST_F(TaskLimitsTest, TakesWhatFitsAndNoMore) {
  TaskLimits all;
  for (std::uint32_t i = 0; i < 65; ++i) all.limits.push_back({.max = 1, .number = 1});
  EXPECT_THAT(tracker_->LimitTasks(all), FailsWith(ENOSPC));
  ForkAway(5);
  EXPECT_EQ(shared_->ran, 5);
}

}  // namespace
}  // namespace corral
