// What every tracker owes the core while the machine is busy. Each test ends with I1 and I2
// (the fixture audits); leaves are counted to the last one where they are known.
#include <atomic>
#include <random>
#include <thread>

#include "contract/contract_fixture.h"

namespace corral {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

class TrackerRaces : public TrackerContract {
 protected:
  // Runs `step` again and again until `time` is over; how often.
  template <typename Step>
  std::uint64_t For(std::chrono::milliseconds time, Step step) {
    std::uint64_t steps = 0;
    for (const auto end = std::chrono::steady_clock::now() + time;
         std::chrono::steady_clock::now() < end && !HasFailure(); ++steps) {
      step();
    }
    return steps;
  }
  // Hooks that gave up waiting for another processor degrade the place, never the counters.
  bool NobodyGaveUp() {
    const MissCounts misses = tracker().misses();
    return misses.retries == 0 && misses.displaced == 0;
  }
};

TEST_P(TrackerRaces, CountsEveryBirthAndDeathOfAForkStorm) {
  const Tid task = StartIn(kA);
  std::uint64_t born = 0;
  for (int storm = 0; storm < 20 && born <= 100; ++storm) {  // more than one on slow machines
    world().BeginForkStorm(task, 500ms);
    born += world().EndStorm(task);
  }
  EXPECT_GT(born, 100u);
  EXPECT_EQ(Count(kA), (SetCount{1, static_cast<std::uint32_t>(born)}));
}

TEST_P(TrackerRaces, KeepsCountersExactWhileAForkingTaskIsMoved) {
  const Tid task = StartIn(kA);
  world().BeginForkStorm(task, 1500ms);
  std::uint64_t moves = 0;
  const std::uint64_t steps = For(1400ms, [&] {
    const CssSetId to = moves % 2 == 0 ? kB : kA;
    if (Move(task, to)) ++moves;
  });
  const std::uint64_t born = world().EndStorm(task);
  EXPECT_EQ(moves, steps);
  EXPECT_EQ(Count(kA).count + Count(kB).count, 1u);
  // Each child left once; one that was published in the old place and taken along, twice.
  const std::uint64_t leaves = Count(kA).leaves + Count(kB).leaves;
  EXPECT_GE(leaves, born + moves);
  EXPECT_LE(leaves, 2 * born + moves);
}

TEST_P(TrackerRaces, LeavesNobodyBehindWhenAProcessThatMakesThreadsIsMoved) {
  const Tid leader = StartIn(kA);
  const Tgid process{leader.value};
  const Tid maker = world().Thread(leader);
  world().BeginThreadStorm(maker, 1500ms);
  bool to_b = true;
  For(1400ms, [&] {
    const CssSetId from = to_b ? kA : kB;
    MoveProcess(process, to_b ? kB : kA);
    // One that is just being born may show the old place for an instant, before its own birth
    // takes it along and before it can run.
    std::vector<Tid> stayed = TasksIn(from);
    for (int i = 0; i < 1000 && !stayed.empty(); ++i, stayed = TasksIn(from)) {
      std::this_thread::sleep_for(100us);
    }
    EXPECT_THAT(stayed, IsEmpty());
    to_b = !to_b;
  });
  world().EndStorm(maker);
  // Before 6.16 the kernel lets pthread_join return before the death hook runs: the last thread
  // may be counted for an instant.
  for (int i = 0; i < 1000 && Count(kA).count + Count(kB).count > 2; ++i) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(Count(kA).count + Count(kB).count, 2u);
}

TEST_P(TrackerRaces, ListsATaskThatLivesAllAlongOnceWhateverGoesOn) {
  const Tid watched = StartIn(kA);
  const Tid busy = StartIn(kA);
  world().BeginForkStorm(busy, 1000ms);
  std::atomic<bool> stop = false;
  std::thread mover([&] {
    for (bool b = true; !stop; b = !b) (void)Move(watched, b ? kB : kA);
  });
  For(900ms, [&] {
    int seen = 0;
    Tid last{0};
    tracker().ForEachTask([&](Tid task, Place) {
      EXPECT_GT(task, last);
      last = task;
      if (task == watched) ++seen;
    });
    EXPECT_EQ(seen, 1);
  });
  stop = true;
  mover.join();
  world().EndStorm(busy);
}

TEST_P(TrackerRaces, KeepsThePlaceThroughAStormOfExecsByThreads) {
  const Tid leader = StartIn(kA);
  world().BeginExecStorm(leader, 1000ms);
  const std::uint64_t execs = world().EndExecStorm(leader);
  EXPECT_GT(execs, 0u);
  EXPECT_EQ(At(leader), (Place{Tgid{leader.value}, kA}));
  EXPECT_EQ(Count(kA), (SetCount{1, static_cast<std::uint32_t>(execs)}));  // the old leaders
}

TEST_P(TrackerRaces, KeepsCountersExactWhileAProcessThatExecsIsMoved) {
  const Tid leader = StartIn(kA);
  const Tgid process{leader.value};
  world().BeginExecStorm(leader, 1500ms);
  bool to_b = true;
  For(1400ms, [&] {
    MoveProcess(process, to_b ? kB : kA);
    to_b = !to_b;
  });
  world().EndExecStorm(leader);
  EXPECT_EQ(Count(kA).count + Count(kB).count, 1u);
  EXPECT_NE(At(leader).set, kInitialSet);
}

TEST_P(TrackerRaces, KeepsThePlaceWhenTheOldTidIsTakenInsideExec) {
  const Tid leader = StartIn(kA);
  const Tid taker = StartIn(kB);
  world().BeginTakeTidStorm(taker, 2000ms);
  world().BeginExecStorm(leader, 1800ms);
  const std::uint64_t execs = world().EndExecStorm(leader);
  const std::uint64_t taken = world().EndStorm(taker);
  RecordProperty("execs", static_cast<int>(execs));
  RecordProperty("taken", static_cast<int>(taken));
  EXPECT_GT(taken, 0u);
  EXPECT_EQ(At(taker), (Place{Tgid{taker.value}, kB}));
  EXPECT_EQ(Count(kB), (SetCount{1, static_cast<std::uint32_t>(taken)}));
  if (NobodyGaveUp()) {
    EXPECT_EQ(At(leader), (Place{Tgid{leader.value}, kA}));
    EXPECT_EQ(Count(kA), (SetCount{1, static_cast<std::uint32_t>(execs)}));
  } else {
    EXPECT_TRUE(Drain().resync);
    tracker().Resync();
  }
}

TEST_P(TrackerRaces, CountsNobodyAfterAStormOfKills) {
  std::mt19937 random(1);
  const Tid shell = world().Start();
  For(1500ms, [&] {
    const Tid task = world().Fork(shell);
    ASSERT_THAT(Move(task, kA), IsOk());
    world().BeginForkStorm(task, 3ms);
    for (int i = 0; i < 20; ++i) (void)Move(task, i % 2 == 0 ? kB : kA);
    if (GetParam() == "inproc") {
      world().EndStorm(task);  // a simulated task cannot be killed inside fork
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    }
    world().Kill(Tgid{task.value});
    world().Reap(shell, task);
  });
  // Children that were born and not reaped by the killed end by themselves.
  for (int i = 0; i < 1000 && Count(kA).count + Count(kB).count != 0; ++i) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(Count(kA).count, 0u);
  EXPECT_EQ(Count(kB).count, 0u);
  EXPECT_THAT(TasksIn(kA), IsEmpty());
  EXPECT_THAT(TasksIn(kB), IsEmpty());
}

TEST_P(TrackerRaces, RingsForEveryEmptyingOfAStormSomeTime) {
  const Tid shell = world().Start();
  std::uint32_t heard = 0;
  std::uint32_t leaves = 0;
  For(1000ms, [&] {
    const Tid task = world().Fork(shell);
    ASSERT_THAT(Move(task, kA), IsOk());
    world().ExitProcess(task);
    for (const CssSetId set : Drain().sets) {
      if (set == kA && Count(kA).leaves != leaves) {
        leaves = Count(kA).leaves;
        ++heard;
      }
    }
    world().Reap(shell, task);
  });
  EXPECT_EQ(heard, Count(kA).leaves);  // one emptying each, all told before waitpid could
}

INSTANTIATE_TEST_SUITE_P(Every, TrackerRaces, ::testing::Values("inproc", "bpf"),
                         [](const auto& world) { return world.param; });

}  // namespace
}  // namespace corral
