// The CPU meter against what the kernel itself says of the same tasks: wait4() and
// /proc/PID/schedstat. Real processes under the real hooks.
//
// CORRAL_RACE_SCALE=20 lets the storms go on 20 times as long.
#include <corral/cpu_meter.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "base/fd.h"
#include "base/mapping.h"
#include "support/matchers.h"
#include "support/rounds.h"
#include "trackers/bpf/bpf_cpu_meter.h"

namespace corral {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr CssSetId kA{7};
constexpr CssSetId kB{8};
constexpr std::uint64_t kMs = 1'000'000;

std::uint64_t Ns(const timespec& t) {
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(t.tv_nsec);
}

std::uint64_t Ns(const rusage& use) {
  const auto us = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec);
  };
  return (us(use.ru_utime) + us(use.ru_stime)) * 1000;
}

// This thread runs for so long, of its own time.
void Burn(std::uint64_t ns) {
  timespec now;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  for (const std::uint64_t end = Ns(now) + ns; Ns(now) < end;) {
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  }
}

// What the kernel counts for a task; exact when it does not run.
std::uint64_t RanBy(pid_t task) {
  std::uint64_t ns = 0;
  std::ifstream("/proc/" + std::to_string(task) + "/schedstat") >> ns;
  return ns;
}

// A gate that a process waits at.
class Gate {
 public:
  Gate() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    in_ = Fd(ends[0]);
    out_ = Fd(ends[1]);
  }
  void Pass() {
    char c;
    while (::read(in_.get(), &c, 1) < 0) {
    }
  }
  void Open() { EXPECT_EQ(::write(out_.get(), "x", 1), 1); }

 private:
  Fd in_, out_;
};

class CpuMeterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto tracker = BpfTracker::Create({.sets = 4096});
    if (!tracker) GTEST_SKIP() << "no bpf tracker here: " << tracker.error().message;
    tracker_ = std::move(*tracker);
    for (std::uint32_t set = 2; set < 20; ++set) {
      ASSERT_THAT(tracker_->CreateSet(CssSetId{set}), IsOk());
    }
    meter_ = std::make_unique<BpfCpuMeter>(*tracker_);
  }

  void Move(pid_t task, CssSetId to) {
    const Tid tid{static_cast<std::uint32_t>(task)};
    meter_->Split(tid);
    for (;;) {
      const auto place = tracker_->Describe(tid);
      if (!place) return;
      const auto moved = tracker_->Move(tid, *place, to);
      if (moved || moved.error().code != EAGAIN) return;
    }
  }

  // A child that does `what` in `set`; what it ran before it was there is no part of the bill.
  pid_t Start(CssSetId set, const std::function<void()>& what) {
    Gate gate;
    const pid_t child = ::fork();
    if (child == 0) {
      gate.Pass();
      what();
      ::_exit(0);
    }
    while (State(child) != 'S') {
    }
    before_ = RanBy(child);
    Move(child, set);
    gate.Open();
    return child;
  }

  static char State(pid_t task) {
    std::ifstream stat("/proc/" + std::to_string(task) + "/stat");
    std::string word;
    char state = 'X';
    stat >> word >> word >> state;
    return state;
  }

  // What its parent is told that it ran.
  static std::uint64_t Reap(pid_t child) {
    rusage use = {};
    EXPECT_EQ(::wait4(child, nullptr, 0, &use), child);
    return Ns(use);
  }

  // Whoever is dead is charged in full.
  void AwaitCharges(CssSetId set) {
    const auto end = Clock::now() + 60s;
    while (meter_->Uncharged(set) != 0 && Clock::now() < end) std::this_thread::sleep_for(1ms);
    EXPECT_EQ(meter_->Uncharged(set), 0u);
  }
  void AwaitNothingOwed(CssSetId set) {
    const auto end = Clock::now() + 60s;
    while (meter_->Owed(set) != 0 && Clock::now() < end) std::this_thread::sleep_for(1ms);
    EXPECT_EQ(meter_->Owed(set), 0u);
  }
  std::uint64_t Total(CssSetId set) { return meter_->Read()[set].total; }

  std::uint64_t before_ = 0;  // of the child that was started last: not in our sets
  std::unique_ptr<BpfTracker> tracker_;
  std::unique_ptr<BpfCpuMeter> meter_;
};

// `ran` is the bill of what the kernel says took `said`: never less, and not 1 % more.
void ExpectBilled(std::uint64_t ran, std::uint64_t said) {
  constexpr std::uint64_t kLastStepsNs =
      10 * kMs;                 // after its parent could know, on a busy machine
  EXPECT_GE(ran + 2000, said);  // wait4 rounds
  EXPECT_LE(ran, said + said / 100 + kLastStepsNs);
}

TEST_F(CpuMeterTest, BillsAChildWhatItsParentIsToldOfIt) {
  ASSERT_THAT(meter_->Start(), IsOk());
  const pid_t child = Start(kA, [] { Burn(300 * kMs); });
  const std::uint64_t said = Reap(child) - before_;
  AwaitCharges(kA);
  ExpectBilled(Total(kA), said);
  EXPECT_GE(Total(kA), 300 * kMs);
}

// The ticks that user and system time are made of are the kernel's own: where a processor is taken
// away between two ticks it may count few of them, so it runs until there are enough.
TEST_F(CpuMeterTest, TellsUserFromSystemTime) {
  ASSERT_THAT(meter_->Start(), IsOk());
  const pid_t user = Start(kA, [] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) std::atomic_signal_fence(std::memory_order_seq_cst);
  });
  const auto end = Clock::now() + 60s;
  while (meter_->Read()[kA].user < 100 * kMs && Clock::now() < end) {
    std::this_thread::sleep_for(10ms);
  }
  ::kill(user, SIGKILL);
  Reap(user);
  AwaitCharges(kA);
  const CpuTime time = meter_->Read()[kA];
  EXPECT_GE(time.user, 100 * kMs);
  EXPECT_LT(time.system, time.user / 2);
}

// Exactly what the kernel's own count says of each when it is over.
TEST_F(CpuMeterTest, BillsManyShortCommandsToTheLastNanosecond) {
  const int kCommands = 20 * Rounds(50);
  struct Shared {
    std::uint64_t sum;
    std::uint64_t before_reaping;
  };
  const auto shared = MapShared<Shared>(-1, sizeof(Shared), "what the shell sees").value();
  ASSERT_THAT(meter_->Start(), IsOk());
  std::uint64_t before = 0;
  Gate gate;
  const pid_t shell = ::fork();
  if (shell == 0) {
    gate.Pass();
    for (int i = 0; i < kCommands; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::execl("/bin/true", "true", nullptr);
        ::_exit(127);
      }
      siginfo_t info;
      ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
      shared->before_reaping += RanBy(child);
      // It may have some steps left to do, perhaps without a processor, which an emulator can take
      // away for long.
      std::uint64_t ran = 0;
      for (int same = 0; same < 10; ++same) {
        if (ran != RanBy(child)) same = 0;
        ran = RanBy(child);
        ::usleep(300);
      }
      shared->sum += RanBy(child);
      ::waitpid(child, nullptr, 0);
    }
    ::_exit(0);
  }
  while (State(shell) != 'S') {
  }
  before = RanBy(shell);
  Move(shell, kA);
  gate.Open();
  siginfo_t info;
  ::waitid(P_PID, static_cast<id_t>(shell), &info, WEXITED | WNOWAIT);
  AwaitCharges(kA);
  std::uint64_t ran = 0;
  while (ran != RanBy(shell)) {
    ran = RanBy(shell);
    std::this_thread::sleep_for(1ms);
  }
  Reap(shell);
  AwaitNothingOwed(kA);
  const std::uint64_t said = shared->sum + ran - before;
  std::printf("%d commands: %.3f ms by the kernel's count, %.3f ms billed\n", kCommands,
              static_cast<double>(said) / 1e6, static_cast<double>(Total(kA)) / 1e6);
  EXPECT_EQ(Total(kA), said);
}

TEST_F(CpuMeterTest, SplitsTheTimeOfATaskWhereItIsMoved) {
  ASSERT_THAT(meter_->Start(), IsOk());
  Gate told, go;
  const pid_t child = Start(kA, [&] {
    Burn(100 * kMs);
    told.Open();
    go.Pass();
    Burn(200 * kMs);
  });
  told.Pass();
  while (State(child) != 'S') {
  }
  const std::uint64_t so_far = RanBy(child) - before_;
  Move(child, kB);
  const std::uint64_t in_a = Total(kA);
  go.Open();
  const std::uint64_t said = Reap(child) - before_;
  AwaitCharges(kB);
  EXPECT_EQ(Total(kA), in_a);
  EXPECT_GE(in_a, 100 * kMs);
  ExpectBilled(in_a, so_far);
  EXPECT_GE(Total(kB), 200 * kMs);
  ExpectBilled(in_a + Total(kB), said);
}

TEST_F(CpuMeterTest, SplitsAllThreadsOfAProcess) {
  ASSERT_THAT(meter_->Start(), IsOk());
  Gate told, go;
  const pid_t child = Start(kA, [&] {
    std::thread other([&] {
      Burn(80 * kMs);
      told.Open();
      go.Pass();
    });
    Burn(40 * kMs);
    other.join();
  });
  told.Pass();
  while (RanBy(child) < 40 * kMs || State(child) != 'S') {
  }
  meter_->Split(Tgid{static_cast<std::uint32_t>(child)});
  EXPECT_GE(meter_->Charged(kA).total, 120 * kMs);
  go.Open();
  Reap(child);
}

// The exec ends the leader, wherever it is: it waits for that one's last step. What each had run by
// its own clock just before is on the bill, and what the image ran after it.
TEST_F(CpuMeterTest, FollowsAThreadThatExecs) {
  struct Shared {
    std::atomic<std::uint64_t> leader = 0;
    std::atomic<std::uint64_t> other = 0;
  };
  const auto ran = MapShared<Shared>(-1, sizeof(Shared), "what the threads ran").value();
  const auto own_clock = [] {
    timespec now;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return Ns(now);
  };
  ASSERT_THAT(meter_->Start(), IsOk());
  const pid_t child = Start(kA, [&] {
    std::thread other([&] {
      Burn(80 * kMs);
      while (ran->leader == 0) ::usleep(1000);
      ran->other = own_clock();
      ::execl("/bin/true", "true", nullptr);
    });
    Burn(40 * kMs);
    ran->leader = own_clock();
    other.join();
  });
  const std::uint64_t said = Reap(child) - before_;
  AwaitCharges(kA);
  AwaitNothingOwed(kA);
  ExpectBilled(Total(kA), said);
  EXPECT_GE(ran->other, 80 * kMs);
  EXPECT_GE(Total(kA) + before_, ran->leader + ran->other);
}

TEST_F(CpuMeterTest, ChargesATaskThatIsThereAtTheStartFromThenOn) {
  Gate told, go;
  const pid_t child = Start(kA, [&] {
    Burn(100 * kMs);
    told.Open();
    go.Pass();
    Burn(30 * kMs);
  });
  told.Pass();
  while (State(child) != 'S') {
  }
  const std::uint64_t before_the_start = RanBy(child);
  ASSERT_THAT(meter_->Start(), IsOk());
  go.Open();
  const std::uint64_t said = Reap(child) - before_the_start;
  AwaitCharges(kA);
  EXPECT_GE(Total(kA), 30 * kMs);
  ExpectBilled(Total(kA), said);
}

TEST_F(CpuMeterTest, BillsAZombieInFullAndNothingMoreWhenItIsReaped) {
  ASSERT_THAT(meter_->Start(), IsOk());
  const pid_t child = Start(kA, [] { Burn(20 * kMs); });
  siginfo_t info;
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  AwaitCharges(kA);
  EXPECT_EQ(meter_->Owed(kA), 0u);
  const CpuTime full = meter_->Read()[kA];
  EXPECT_EQ(meter_->Charged(kA), full);
  Reap(child);
  AwaitNothingOwed(kA);
  EXPECT_EQ(meter_->Read()[kA], full);
}

TEST_F(CpuMeterTest, IsOffBeforeItIsStartedAndAfterItIsStopped) {
  Reap(Start(kA, [] { Burn(10 * kMs); }));
  EXPECT_EQ(Total(kA), 0u);
  ASSERT_THAT(meter_->Start(), IsOk());
  ASSERT_THAT(meter_->Start(), IsOk());
  meter_->Stop();
  Reap(Start(kA, [] { Burn(10 * kMs); }));  // one user is left
  AwaitCharges(kA);
  const std::uint64_t ran = Total(kA);
  EXPECT_GE(ran, 10 * kMs);
  const pid_t zombie = Start(kA, [] {});
  siginfo_t info;
  ::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT);
  meter_->Stop();  // it may run still
  EXPECT_EQ(meter_->Owed(kA), 0u) << "nobody is there who would pay it";
  const std::uint64_t kept = Total(kA);
  EXPECT_GE(kept, ran);
  Reap(zombie);
  Reap(Start(kA, [] { Burn(10 * kMs); }));
  EXPECT_EQ(Total(kA), kept);
  ASSERT_THAT(meter_->Start(), IsOk());
  Reap(Start(kA, [] { Burn(10 * kMs); }));
  AwaitCharges(kA);
  EXPECT_GE(Total(kA), kept + 10 * kMs);
}

// Everything on the machine, in one interval: the kernel's account against ours, and what it hides
// from us (its process 1, on some).
TEST_F(CpuMeterTest, AgreesWithTheKernelsAccountOfTheWholeMachine) {
  std::string file;
  std::ifstream mounts("/proc/mounts");
  for (std::string source, dir, type, options, rest; mounts >> source >> dir >> type >> options;) {
    std::getline(mounts, rest);
    if (type == "cgroup" && options.find("cpuacct") != std::string::npos) {
      file = dir + "/cpuacct.usage";
    }
  }
  const auto kernel = [&] {
    std::uint64_t ns = 0;
    std::ifstream(file) >> ns;
    return ns;
  };
  if (file.empty() || kernel() == 0) GTEST_SKIP() << "the kernel's cpuacct is mounted nowhere";
  const auto hidden = [] {
    std::uint64_t ns = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/1/task")) {
      std::uint64_t one = 0;
      std::ifstream(entry.path() / "schedstat") >> one;
      ns += one;
    }
    return ns;
  };
  const auto ours = [&] {
    std::uint64_t ns = 0;
    for (const auto& [set, time] : meter_->Read()) ns += time.total;
    return ns;
  };
  ASSERT_THAT(meter_->Start(), IsOk());
  const std::uint64_t before[] = {kernel(), ours(), hidden()};
  const pid_t child = Start(kA, [] { Burn(1000 * kMs); });
  for (int i = 0; i < 200; ++i) Reap(Start(kB, [] { ::execl("/bin/true", "true", nullptr); }));
  Reap(child);
  AwaitCharges(kA);
  AwaitCharges(kB);
  const std::uint64_t after[] = {kernel(), ours(), hidden()};
  const auto said = static_cast<double>(after[0] - before[0]);
  const auto billed = static_cast<double>(after[1] - before[1]);
  const auto missed = static_cast<double>(after[2] - before[2]);
  std::printf("the machine: %.3f ms by the kernel, %.3f ms billed, up to %.3f ms hidden\n",
              said / 1e6, billed / 1e6, missed / 1e6);
  EXPECT_LE(billed, said * 1.01);
  EXPECT_GE(billed + missed, said * 0.99);
}

// ---- storms

// Forks, threads, short commands, execs by threads, until it is killed. Orphans are possible.
void Storm(unsigned seed) {
  std::minstd_rand random(seed);
  for (;;) {
    const pid_t child = ::fork();
    if (child == 0) {
      switch (random() % 4) {
        case 0: {
          std::thread([] { Burn(200'000); }).join();
          break;
        }
        case 1: ::execl("/bin/true", "true", nullptr); break;
        case 2: {
          std::thread([] { ::execl("/bin/true", "true", nullptr); }).join();
          break;
        }
        default:
          if (::fork() == 0) Burn(100'000);
      }
      ::_exit(0);
    }
    random.discard(1);
    if (random() % 8 != 0) ::waitpid(child, nullptr, 0);
  }
}

class CpuMeterStorm : public CpuMeterTest {
 protected:
  void SetUp() override {
    CpuMeterTest::SetUp();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  // Kills all that live in our sets, and reaps, until nobody is left.
  void EndAll() {
    for (int empty = 0; empty < 2;) {
      bool any = false;
      tracker_->ForEachTask([&](Tid, Place place) {
        if (place.set == kInitialSet || place.set.value == 0) return;
        any = true;
        ::kill(static_cast<pid_t>(place.tgid.value), SIGKILL);
      });
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      empty = any ? 0 : empty + 1;
    }
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }
};

TEST_F(CpuMeterStorm, ChargesEachNanosecondOfAKillStormOnce) {
  ASSERT_THAT(meter_->Start(), IsOk());
  rusage before;
  ::getrusage(RUSAGE_CHILDREN, &before);
  constexpr std::array kSets = {CssSetId{10}, CssSetId{11}, CssSetId{12}, CssSetId{13}};
  std::atomic<bool> stop = false;
  std::atomic<int> worse = 0;
  std::atomic<int> reads = 0;
  // Sums never go back, whoever looks.
  std::thread reader([&] {
    std::unordered_map<CssSetId, CpuTime> last;
    while (!stop) {
      auto now = meter_->Read();
      for (const auto& [set, time] : last) {
        const CpuTime& later = now[set];
        if (later.total < time.total || later.user < time.user || later.system < time.system) {
          ++worse;
        }
      }
      last = std::move(now);
      ++reads;
    }
  });
  std::minstd_rand random(1);
  std::uint64_t elsewhere = 0;
  for (int round = 0; round < 8 * Scale(); ++round) {
    for (unsigned i = 0; i < kSets.size(); ++i) {
      Start(kSets[i], [seed = random() + i] { Storm(seed); });
      elsewhere += before_;
    }
    // Moves, of whoever lives, all the while.
    for (const auto end = Clock::now() + 150ms; Clock::now() < end;) {
      std::vector<Tid> tasks;
      tracker_->ForEachTask([&](Tid tid, Place place) {
        if (place.set != kInitialSet) tasks.push_back(tid);
      });
      for (const Tid tid : tasks) {
        Move(static_cast<pid_t>(tid.value), kSets[random() % kSets.size()]);
      }
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
    }
    EndAll();
  }
  stop = true;
  reader.join();
  std::uint64_t billed = 0;
  for (const CssSetId set : kSets) {
    AwaitCharges(set);
    AwaitNothingOwed(set);
    billed += Total(set);
  }
  rusage after;
  ::getrusage(RUSAGE_CHILDREN, &after);
  const std::uint64_t said = Ns(after) - Ns(before) - elsewhere;
  std::printf("storm: %.3f ms by wait4(), %.3f ms billed, %d reads\n",
              static_cast<double>(said) / 1e6, static_cast<double>(billed) / 1e6, reads.load());
  EXPECT_EQ(worse, 0);
  EXPECT_GT(reads, 0);
  EXPECT_NEAR(static_cast<double>(billed), static_cast<double>(said),
              static_cast<double>(said) * 0.01);
}

}  // namespace
}  // namespace corral
