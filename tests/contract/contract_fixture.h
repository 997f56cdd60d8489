// The fixture of the contract tests: a World, css_sets by number, and what a caller of a
// tracker does all day.
#ifndef CORRAL_TESTS_CONTRACT_CONTRACT_FIXTURE_H_
#define CORRAL_TESTS_CONTRACT_CONTRACT_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "contract/world.h"
#include "support/matchers.h"

namespace corral {

// Two css_sets to move between.
inline constexpr CssSetId kA{7};
inline constexpr CssSetId kB{8};

// What Drain() said.
struct Hints final : Tracker::Listener {
  std::vector<CssSetId> sets;
  bool resync = false;
  void SetMayBeEmpty(CssSetId set) override { sets.push_back(set); }
  void ResyncNeeded() override { resync = true; }
};

class TrackerContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { Make({}); }

  // Also a way to make the world again with other options.
  void Make(WorldOptions options) {
    world_.reset();
    std::string reason = "this build has no such tracker";
#ifdef CORRAL_WITH_BPF
    if (GetParam() == "bpf") world_ = MakeBpfWorld(options, &reason);
#endif
    if (GetParam() == "inproc") world_ = MakeInprocWorld(options);
    if (!world_) GTEST_SKIP() << "no bpf tracker here: " << reason;
    Use(kA);
    Use(kB);
  }

  // I1 and I2, at the end of every test.
  void TearDown() override {
    if (!world_) return;
    const AuditReport report = tracker().Audit();
    EXPECT_THAT(report.differences, ::testing::IsEmpty());
  }

  World& world() { return *world_; }
  Tracker& tracker() { return world_->tracker(); }

  SetCount Use(CssSetId set) { return tracker().CreateSet(set).value(); }
  Place At(Tid task) { return tracker().Describe(task).value_or(Place{}); }
  SetCount Count(CssSetId set) { return tracker().Count(set); }
  Hints Drain() {
    Hints hints;
    tracker().Drain(hints);
    return hints;
  }

  // What the core does: describe, decide, move, and again when somebody was faster.
  Result<void> Move(Tid task, CssSetId to) {
    for (;;) {
      const auto place = tracker().Describe(task);
      if (!place) return Fail(place.error());
      auto moved = tracker().Move(task, *place, to);
      if (moved || moved.error().code != EAGAIN) return moved;
    }
  }
  // The same for all threads of a process: passes until two change nothing (spec 6.6).
  void MoveProcess(Tgid process, CssSetId to) {
    for (int clean = 0; clean < 2;) {
      std::vector<Tid> elsewhere;
      tracker().ForEachTask([&](Tid task, Place place) {
        if (place.tgid == process && place.set != to) elsewhere.push_back(task);
      });
      clean = elsewhere.empty() ? clean + 1 : 0;
      for (const Tid task : elsewhere) (void)Move(task, to);
    }
  }
  Tid StartIn(CssSetId set) {
    const Tid task = world().Start();
    EXPECT_THAT(Move(task, set), IsOk());
    return task;
  }
  std::vector<Tid> TasksIn(CssSetId set) {
    std::vector<Tid> tasks;
    tracker().ForEachTask([&](Tid task, Place place) {
      if (place.set == set) tasks.push_back(task);
    });
    return tasks;
  }

 private:
  std::unique_ptr<World> world_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CONTRACT_CONTRACT_FIXTURE_H_
