// The races of docs/concurrency.md provoked on the live kernel: births of every kind under
// moves, tids taken as soon as they are free, execs that fail too late, a mover that is
// killed, kernel threads, tids beyond the table. Each ends with I1 and I2 against the task
// iterator (the fixture audits), and counts leaves to the last one where they are known.
//
// CORRAL_RACE_SCALE=20 lets each go on 20 times as long.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "contract/bpf_world.h"
#include "contract/contract_fixture.h"
#include "support/rounds.h"

namespace corral {
namespace {

using namespace std::chrono_literals;
using puppet::Storm;
using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::IsEmpty;

const milliseconds kTime = 1000ms * Scale();

class LiveRaces : public TrackerContract {
 protected:
  Puppets& puppets() { return static_cast<BpfWorld&>(world()).puppets(); }

  // As the daemon does: what a hook could not account for is compared and mended.
  void MendIfAsked() {
    if (Drain().resync) tracker().Resync();
  }
  void MendAllTheTime() {
    for (const auto end = std::chrono::steady_clock::now() + kTime;
         std::chrono::steady_clock::now() < end;) {
      MendIfAsked();
      std::this_thread::sleep_for(10ms);
    }
  }
  // Both parents make children with one tid, whoever gets it; the tid.
  Tid BeginTakingOneTid(Tid first, Tid second) {
    const Tid shared = puppets().Fork(first);
    puppets().ExitProcess(shared);
    puppets().Reap(first, shared);
    puppets().OfferTid(shared);
    puppets().BeginStorm(first, Storm::kSameTid, kTime);
    puppets().BeginStorm(second, Storm::kSameTid, kTime);
    return shared;
  }
  // The last tasks that killed or orphaned ones left behind end by themselves.
  void AwaitCount(CssSetId set, std::uint32_t count) {
    for (int i = 0; i < 5000 && Count(set).count != count; ++i) {
      std::this_thread::sleep_for(1ms);
      MendIfAsked();
    }
    EXPECT_EQ(Count(set).count, count) << "css_set " << set.value;
  }
  // Moves `process` between kA and kB until `time` is over; how often.
  std::uint64_t MoveToAndFro(Tgid process, milliseconds time) {
    std::uint64_t moves = 0;
    const auto end = std::chrono::steady_clock::now() + time;
    for (; std::chrono::steady_clock::now() < end; ++moves) {
      MoveProcess(process, moves % 2 == 0 ? kB : kA);
      EXPECT_THAT(TasksOf(process, moves % 2 == 0 ? kA : kB), IsEmpty());
    }
    return moves;
  }
  // Once more for what its own birth was just taking along, before it could run.
  std::vector<Tid> TasksOf(Tgid process, CssSetId set) {
    std::vector<Tid> tasks;
    for (int look = 0; look < 1000; ++look) {
      tasks.clear();
      tracker().ForEachTask([&](Tid task, Place place) {
        if (place.tgid == process && place.set == set) tasks.push_back(task);
      });
      if (tasks.empty()) break;
      std::this_thread::sleep_for(100us);
    }
    return tasks;
  }
  void ExpectNothingMissed(const MissCounts& before) {
    const MissCounts missed = tracker().misses() - before;
    EXPECT_EQ(missed.unexpected() + missed.bells, 0u);
    const bool resync = Drain().resync;
    EXPECT_TRUE(!resync || missed.hidden != 0);  // process 1 may have forked meanwhile
  }
  // Lines that scripts/nightly repeats in its summary.
  void Report(const char* what, std::uint64_t count) {
    RecordProperty(what, static_cast<int>(count));
    std::printf("FIGURES %s: %s %llu\n",
                ::testing::UnitTest::GetInstance()->current_test_info()->name(), what,
                static_cast<unsigned long long>(count));
  }
};

// ---- births of every kind

struct Kind {
  const char* name;
  Storm storm;
};

class LiveBirths : public LiveRaces {
 protected:
  // Alone, births are leaves; under moves, a newborn may leave once more when it is taken along.
  void Check(Storm storm) {
    const MissCounts before = tracker().misses();
    const Tid task = StartIn(kA);
    puppets().BeginStorm(task, storm, kTime / 2);
    const std::uint64_t alone = puppets().EndStorm(task);
    AwaitCount(kA, 1);
    EXPECT_GT(alone, 0u);
    EXPECT_EQ(Count(kA).leaves, static_cast<std::uint32_t>(alone));

    puppets().BeginStorm(task, storm, kTime);
    const std::uint64_t moves = MoveToAndFro(Tgid{task.value}, kTime);
    const std::uint64_t moved = puppets().EndStorm(task);
    MoveProcess(Tgid{task.value}, kA);
    AwaitCount(kA, 1);
    AwaitCount(kB, 0);
    EXPECT_GE(Count(kA).leaves + Count(kB).leaves, alone + moved + moves / 2);
    Report("born", alone + moved);
    Report("moves", moves);
    ExpectNothingMissed(before);
  }
};

TEST_P(LiveBirths, OfProcesses) { Check(Storm::kFork); }
TEST_P(LiveBirths, OfThreads) { Check(Storm::kThread); }
TEST_P(LiveBirths, ByVfork) { Check(Storm::kVfork); }
TEST_P(LiveBirths, OfSiblings) { Check(Storm::kSibling); }
TEST_P(LiveBirths, OfThreadsThatOutliveTheirLeader) { Check(Storm::kDeadLeader); }

// ---- a tracker that starts while tasks come and go

TEST_P(LiveRaces, ATrackerThatStartsInAStormKnowsEveryTaskAndNoOther) {
  const std::vector<std::pair<Tid, Storm>> storms = {{world().Start(), Storm::kFork},
                                                     {world().Start(), Storm::kThread},
                                                     {world().Start(), Storm::kVfork},
                                                     {world().Start(), Storm::kDeadLeader}};
  const int kStarts = 15 * Scale();
  for (int i = 0; i < kStarts && !HasFailure(); ++i) {
    for (const auto& [task, storm] : storms) puppets().BeginStorm(task, storm, 100ms);
    std::this_thread::sleep_for(20ms);
    auto started = BpfTracker::Create({.sets = 64});
    ASSERT_THAT(started, IsOk());
    const MissCounts missed = (*started)->misses();
    EXPECT_EQ(missed.unexpected() + missed.bells, 0u);
    for (const auto& [task, storm] : storms) puppets().EndStorm(task);
    EXPECT_THAT((*started)->Audit().differences, IsEmpty());
  }
  Report("starts", static_cast<std::uint64_t>(kStarts));
}

// ---- io_uring: threads that the kernel makes

TEST_P(LiveRaces, WorkersOfAnIoUringAreInTheGroupOfTheirMaker) {
  const Tid task = StartIn(kA);
  if (!puppets().HoldUring(task)) GTEST_SKIP() << "io_uring is not to be had here";
  for (int i = 0; i < 1000 && Count(kA).count < 2; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_GE(TasksIn(kA).size(), 2u);
  MoveProcess(Tgid{task.value}, kB);
  EXPECT_THAT(TasksOf(Tgid{task.value}, kA), IsEmpty());
  EXPECT_GE(TasksIn(kB).size(), 2u);
  puppets().DropUring(task);
  world().ExitProcess(task);  // before, kernels keep an idle worker (6.1) or none (6.18)
  AwaitCount(kB, 0);
}

TEST_P(LiveRaces, WorkersOfAnIoUringAreCountedUnderMoves) {
  const MissCounts before = tracker().misses();
  const Tid task = StartIn(kA);
  puppets().BeginStorm(task, Storm::kUring, kTime);
  Report("moves", MoveToAndFro(Tgid{task.value}, kTime));
  const std::uint64_t rings = puppets().EndStorm(task);
  if (rings == 0) GTEST_SKIP() << "io_uring is not to be had here";
  MoveProcess(Tgid{task.value}, kA);
  AwaitCount(kB, 0);
  world().ExitProcess(task);
  AwaitCount(kA, 0);
  Report("rings", rings);
  ExpectNothingMissed(before);
}

// ---- tids that are used again

TEST_P(LiveRaces, ATidThatIsTakenByTwoParentsInTurnIsCountedForEach) {
  const Tid first = StartIn(kA);
  const Tid second = StartIn(kB);
  BeginTakingOneTid(first, second);
  const std::uint64_t of_first = puppets().EndStorm(first);
  const std::uint64_t of_second = puppets().EndStorm(second);
  EXPECT_GT(of_first + of_second, 10u);
  EXPECT_EQ(Count(kA), (SetCount{1, static_cast<std::uint32_t>(of_first) + 1}));
  EXPECT_EQ(Count(kB), (SetCount{1, static_cast<std::uint32_t>(of_second)}));
  Report("born", of_first + of_second);
}

TEST_P(LiveRaces, ATidThatIsTakenAgainIsNeverMovedByADecisionAboutItsFormerOwner) {
  const Tid first = StartIn(kA);
  const Tid second = StartIn(kB);
  const Tid shared = BeginTakingOneTid(first, second);
  std::uint64_t moves = 0;
  for (const auto end = std::chrono::steady_clock::now() + kTime;
       std::chrono::steady_clock::now() < end;) {
    const auto place = tracker().Describe(shared);
    if (!place) continue;
    const CssSetId to = place->set == kA ? kB : kA;
    if (tracker().Move(shared, *place, to)) ++moves;
  }
  const std::uint64_t born = puppets().EndStorm(first) + puppets().EndStorm(second);
  EXPECT_EQ(Count(kA).count, 1u);
  EXPECT_EQ(Count(kB).count, 1u);
  EXPECT_EQ(Count(kA).leaves + Count(kB).leaves, static_cast<std::uint32_t>(born + moves) + 1);
  Report("born", born);
  Report("moves", moves);
}

// ---- exec that fails past the point of no return: dies under its leader's tid (I6)

TEST_P(LiveRaces, AnExecThatFailsTooLateIsMendedToTheLastLeave) {
  const Tid task = StartIn(kA);
  puppets().BeginStorm(task, Storm::kFailedExec, kTime);
  MendAllTheTime();
  const std::uint64_t born = puppets().EndStorm(task);
  AwaitCount(kA, 1);
  EXPECT_EQ(Count(kA).leaves, static_cast<std::uint32_t>(born));
  // Not each: where somebody took its tid in time, its word was handed over before it died.
  EXPECT_GT(tracker().misses().unknown_deaths, 0u);
  Report("failed execs", born / 2);
}

TEST_P(LiveRaces, AnExecThatFailsTooLateAndWhoseTidIsTakenIsMendedToTheLastLeave) {
  const Tid task = StartIn(kA);
  const Tid taker = StartIn(kB);
  puppets().BeginTakeTidStorm(taker, kTime);
  puppets().BeginStorm(task, Storm::kFailedExec, kTime);
  MendAllTheTime();
  const std::uint64_t born = puppets().EndStorm(task);
  const std::uint64_t taken = puppets().EndStorm(taker);
  AwaitCount(kA, 1);
  AwaitCount(kB, 1);
  EXPECT_GT(taken, 0u);
  EXPECT_EQ(Count(kA).leaves, static_cast<std::uint32_t>(born));
  EXPECT_EQ(Count(kB).leaves, static_cast<std::uint32_t>(taken));
  Report("failed execs", born / 2);
  Report("taken", taken);
}

// ---- a mover that is killed at any moment (K5: a syscall program is not split)

TEST_P(LiveRaces, AMoverThatIsKilledLeavesNoCounterWrong) {
  const int kKills = 400 * Scale();
  const Tid task = StartIn(kA);
  const Tgid process{task.value};
  puppets().BeginStorm(task, Storm::kFork, milliseconds(kKills * 8));
  std::mt19937 random(1);
  int running[2];
  ASSERT_EQ(::pipe2(running, O_CLOEXEC), 0);
  for (int i = 0; i < kKills; ++i) {
    const pid_t mover = ::fork();
    if (mover == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      [[maybe_unused]] const ssize_t told = ::write(running[1], "", 1);
      for (bool b = true;; b = !b) MoveProcess(process, b ? kB : kA);
    }
    // From when it runs: on a busy machine it would be killed before it ever did.
    char byte;
    ASSERT_EQ(::read(running[0], &byte, 1), 1);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    ::kill(mover, SIGKILL);
    ::waitpid(mover, nullptr, 0);
  }
  ::close(running[0]);
  ::close(running[1]);
  const std::uint64_t born = puppets().EndStorm(task);
  EXPECT_GT(born, 10u);
  EXPECT_EQ(Count(kA).count + Count(kB).count, 1u);
  EXPECT_GT(Count(kA).leaves + Count(kB).leaves, born);  // they did move it
  Report("kills", kKills);
  Report("born", born);
}

// ---- kernel threads: a cpumap has one for each of its entries

class KernelThreads : public LiveRaces {
 protected:
  static constexpr Tid kKthreadd{2};

  void SetUp() override {
    LiveRaces::SetUp();
    if (IsSkipped()) return;
    std::string name;
    std::getline(std::ifstream("/proc/2/comm"), name);
    if (name != "kthreadd") GTEST_SKIP() << "task 2 is not kthreadd";
    map_.reset(bpf_map_create(BPF_MAP_TYPE_CPUMAP, "corral_test", 4, 4, 8, nullptr));
    if (!map_) GTEST_SKIP() << "no cpumap here, so no way to make kernel threads";
  }
  bool Make(std::uint32_t entry) {
    const std::uint32_t queue = 64;
    return bpf_map_update_elem(map_.get(), &entry, &queue, 0) == 0;
  }
  void End(std::uint32_t entry) {
    const std::uint32_t none = 0;
    bpf_map_update_elem(map_.get(), &entry, &none, 0);
  }

 private:
  Fd map_;
};

TEST_P(KernelThreads, AreBornWhereKthreaddIsAndCounted) {
  ASSERT_THAT(Move(kKthreadd, kA), IsOk());
  std::uint64_t made = 0;
  for (const auto end = std::chrono::steady_clock::now() + kTime;
       std::chrono::steady_clock::now() < end; ++made) {
    const SetCount before = Count(kA);  // one look each: the former one may be dying
    ASSERT_TRUE(Make(0));
    const SetCount after = Count(kA);
    EXPECT_GE(after.leaves + after.count, before.leaves + before.count + 1);  // its birth, at once
    End(0);
  }
  // Workers that the machine itself made meanwhile live on: back with them.
  ASSERT_THAT(Move(kKthreadd, kInitialSet), IsOk());
  for (int i = 0; i < 5000 && Count(kA).count != 0; ++i) {
    for (const Tid task : TasksIn(kA)) (void)Move(task, kInitialSet);
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(Count(kA).count, 0u);
  EXPECT_GE(Count(kA).leaves, static_cast<std::uint32_t>(made));
  Report("kernel threads", made);
}

// ---- kernel.pid_max raised after the start: tids beyond the table

class BeyondTheTable : public LiveRaces {
 protected:
  static constexpr std::uint32_t kBeyond = 50;

  // A table that just holds what is alive now and the next few; tids go on beyond it, as after
  // a raise.
  void SetUp() override {
    constexpr std::uint32_t kNextFew = 256;
    LiveRaces::SetUp();
    if (IsSkipped()) return;
    std::uint32_t highest = world().Start().value + kNextFew;
    tracker().ForEachTask([&](Tid task, Place) { highest = std::max(highest, task.value); });
    std::uint32_t pid_max = 0;
    std::ifstream("/proc/sys/kernel/pid_max") >> pid_max;
    const std::uint32_t tids = (highest + 64) / 64 * 64;
    if (pid_max < tids + 1000) GTEST_SKIP() << "a task with the last tids lives";
    Make({.tids = tids});
    outside_ = tids + kBeyond;
  }
  std::uint32_t outside_ = 0;
};

TEST_P(BeyondTheTable, TasksAreTrackedByNobodyAndSpoilNothing) {
  const Tid home = world().Start();
  if (!Move(home, kA)) GTEST_SKIP() << "the machine has gone on to tids beyond the table";
  const SetCount before = Count(kA);
  const Tid stranger = puppets().ForkAs(home, Tid{outside_}).value();
  EXPECT_THAT(tracker().Describe(stranger), FailsWith(ESRCH));
  EXPECT_THAT(tracker().Move(stranger, {Tgid{stranger.value}, kA}, kB), FailsWith(ESRCH));
  EXPECT_EQ(Count(kA), before);
  EXPECT_GT(tracker().misses().out_of_table, 0u);
  EXPECT_THAT(tracker().Audit().differences, Contains(::testing::HasSubstr("pid_max was raised")));

  puppets().OfferTid(Tid{outside_ + 1});
  puppets().BeginStorm(home, Storm::kSameTid, kTime);
  Report("born beyond the table", puppets().EndStorm(home));
  EXPECT_EQ(Count(kA), before);
  puppets().ExitProcess(stranger);
  puppets().Reap(home, stranger);
  EXPECT_EQ(Count(kA), before);
}

#define LIVE(suite)                                               \
  INSTANTIATE_TEST_SUITE_P(Live, suite, ::testing::Values("bpf"), \
                           [](const auto& world) { return world.param; })
LIVE(LiveBirths);
LIVE(LiveRaces);
LIVE(KernelThreads);
LIVE(BeyondTheTable);

// ---- processes that the kernel hides (docs/concurrency.md, 6.5): a birth that no hook was told
// of, made by taking the newborn's word away

class Hidden : public ::testing::Test {
 protected:
  void SetUp() override {
    auto hides = BpfTracker::Create(
        {.sets = 64, .also_hidden = {Tgid{static_cast<std::uint32_t>(::getpid())}}});
    if (!hides) GTEST_SKIP() << hides.error().message;
    hides_ = std::move(*hides);
    auto other = BpfTracker::Create({.sets = 64});
    ASSERT_THAT(other, IsOk());
    other_ = std::move(*other);
    ASSERT_EQ(::pipe2(go_, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(told_, O_CLOEXEC), 0);
  }
  // A child that does `what` once nobody knows its task, or that of a thread of it.
  void Run(bool in_thread, const std::function<void()>& what) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const auto body = [&] {
        const pid_t self = ::gettid();
        char c;
        if (::write(told_[1], &self, sizeof self) != sizeof self || ::read(go_[0], &c, 1) != 1) {
          ::_exit(1);
        }
        what();
      };
      if (in_thread) {
        std::thread(body).join();
      } else {
        body();
      }
      ::_exit(0);
    }
    pid_t task = 0;
    ASSERT_EQ(::read(told_[0], &task, sizeof task), static_cast<ssize_t>(sizeof task));
    const auto tid = static_cast<std::uint32_t>(task);
    const std::uint64_t dead = 0;
    for (const auto& tracker : {hides_.get(), other_.get()}) {
      ASSERT_EQ(bpf_map_update_elem(tracker->words_fd(), &tid, &dead, BPF_ANY), 0);
    }
    ASSERT_EQ(::write(go_[1], "x", 1), 1);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }
  static void ForkOnce() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
  }

  std::unique_ptr<BpfTracker> hides_;  // takes us for hidden
  std::unique_ptr<BpfTracker> other_;  // does not
  int go_[2] = {-1, -1};
  int told_[2] = {-1, -1};
};

TEST_F(Hidden, WhatTheirChildrenAreTheReasonOfIsNoTrouble) {
  Run(false, [] { ::execl("/bin/true", "true", nullptr); });
  Run(false, ForkOnce);
  EXPECT_EQ(hides_->misses().unexpected(), 0u);
  EXPECT_GE(hides_->misses().hidden, 2u);
  EXPECT_EQ(other_->misses().adopted, 2u);
  Run(false, [] {});  // dies without an exec or a fork
  EXPECT_EQ(hides_->misses().unexpected(), 0u);
  EXPECT_GE(hides_->misses().hidden, 3u);
  EXPECT_EQ(other_->misses().unknown_deaths, 1u);
  EXPECT_EQ(other_->misses().unexpected(), 3u);
}

// Its own process made it, and that is none of them.
TEST_F(Hidden, AThreadOfTheirChildIsTroubleAllTheSame) {
  Run(true, ForkOnce);
  EXPECT_EQ(hides_->misses().adopted, 1u);
  EXPECT_EQ(other_->misses().adopted, 1u);
}

}  // namespace
}  // namespace corral
