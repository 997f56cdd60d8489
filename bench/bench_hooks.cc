// The hooks, moves and listing over process memory: what the protocol costs without a kernel.
#include <benchmark/benchmark.h>

#include "core/registry.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {
namespace {

constexpr CssSetId kA{2};
constexpr CssSetId kB{3};
constexpr Tid kParent{100};

void Place(InprocTracker& tracker, Tid task, CssSetId set) {
  tracker.Start(task, Tgid{task.value});
  (void)tracker.CreateSet(set);
  (void)tracker.Move(task, tracker.Describe(task).value(), set);
}

void BirthAndDeath(benchmark::State& state, CssSetId set) {
  InprocTracker tracker;
  Place(tracker, kParent, set);
  const Tid child{200};
  for (auto _ : state) {
    tracker.Birth(kParent, child, Tgid{child.value});
    tracker.Death(child);
  }
}
void BM_BirthAndDeathInitialSet(benchmark::State& state) { BirthAndDeath(state, kInitialSet); }
void BM_BirthAndDeathCountedSet(benchmark::State& state) { BirthAndDeath(state, kA); }
BENCHMARK(BM_BirthAndDeathInitialSet);
BENCHMARK(BM_BirthAndDeathCountedSet);

void BM_Move(benchmark::State& state) {
  InprocTracker tracker;
  Place(tracker, kParent, kA);
  (void)tracker.CreateSet(kB);
  const Tgid process{kParent.value};
  for (bool b = true; auto _ : state) {
    benchmark::DoNotOptimize(tracker.Move(kParent, {process, b ? kA : kB}, b ? kB : kA));
    b = !b;
  }
}
BENCHMARK(BM_Move);

void BM_RegistryAttach(benchmark::State& state) {
  InprocTracker tracker;
  Registry registry(tracker, [] {});
  const CgroupId root = registry.Root(registry.CreateHierarchy({.name = "b"}).value()).value();
  const CgroupId to[] = {registry.Mkdir(root, "a", {}).value(),
                         registry.Mkdir(root, "b", {}).value()};
  tracker.Start(kParent, Tgid{kParent.value});
  for (std::size_t i = 0; auto _ : state) {
    benchmark::DoNotOptimize(registry.Attach(to[i++ % 2], kParent, {}));
    if (i % 1024 == 0) (void)registry.TakeEvents();
  }
}
BENCHMARK(BM_RegistryAttach);

// 2,000 tasks spread over the table, as tids are on a machine that has been up for a while.
void BM_ForEachTask(benchmark::State& state) {
  constexpr std::uint32_t kTasks = 2000;
  const auto tids = static_cast<std::uint32_t>(state.range(0));
  InprocTracker tracker({.tids = tids});
  for (std::uint32_t i = 0; i < kTasks; ++i) {
    const Tid task{1 + i * (tids / kTasks)};
    tracker.Start(task, Tgid{task.value});
  }
  for (auto _ : state) {
    std::uint64_t sum = 0;
    tracker.ForEachTask([&](Tid task, corral::Place) { sum += task.value; });
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(BM_ForEachTask)->Arg(32768)->Arg(4194304)->Unit(benchmark::kMicrosecond);

void BM_JudgeOneSetOfAThousand(benchmark::State& state) {
  InprocTracker tracker;
  Registry registry(tracker, [] {});
  const CgroupId root = registry.Root(registry.CreateHierarchy({.name = "b"}).value()).value();
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const Tid task{1 + i};
    tracker.Start(task, Tgid{task.value});
    (void)registry.Attach(registry.Mkdir(root, std::to_string(i), {}).value(), task, {});
  }
  for (auto _ : state) registry.SetMayBeEmpty(CssSetId{500});
}
BENCHMARK(BM_JudgeOneSetOfAThousand);

}  // namespace
}  // namespace corral
