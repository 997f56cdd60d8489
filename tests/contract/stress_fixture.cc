#include "contract/stress_fixture.h"

#include <fmt/core.h>
#include <gmock/gmock.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "base/log.h"
#include "support/matchers.h"

namespace corral {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ::testing::IsEmpty;

constexpr std::uint32_t kFirstTid = 64;
constexpr std::uint32_t kTidsEach = 64;

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

std::uint64_t StressOps() { return FromEnvironment("CORRAL_STRESS_OPS", 500'000); }
std::uint32_t StressSeed() {
  return static_cast<std::uint32_t>(FromEnvironment("CORRAL_STRESS_SEED", std::random_device{}()));
}

Stress::Stress() : seed_(StressSeed()) {
  log::Open("", log::Level::kError);  // a full css_set table is part of it
  jobs_ = registry_.CreateHierarchy({.name = "jobs"}).value();
  other_ = registry_.CreateHierarchy({.name = "other"}).value();
  const CgroupId root = registry_.Root(jobs_).value();
  for (const char* name : {"home0", "home1"})
    homes_.push_back(registry_.Mkdir(root, name, {}).value());
  free_ = registry_.Mkdir(root, "free", {}).value();
  trip_ = registry_.Mkdir(root, "trip", {}).value();
  EXPECT_THAT(registry_.SetNotifyOnRelease(trip_, true), IsOk());
}

void Stress::Run(StressMix mix) {
  mix_ = mix;
  for (std::uint32_t i = 0; i < kFamilies; ++i) {
    const bool settled = i < homes_.size();
    const Tid anchor{kFirstTid + i * kTidsEach};
    families_.push_back(std::make_unique<StressFamily>(
        machine_, StressFamily::Options{.anchor = anchor,
                                        .tids = kTidsEach,
                                        .slot = settled ? 0 : 1,
                                        .seed = seed_ + i,
                                        .execs_fail = mix.execs_fail}));
    machine_.Start(anchor, Tgid{anchor.value});
    const CgroupId home = settled ? homes_[i] : free_;
    ledger_.MayEnter(home);
    ledger_.DidEnter(home);
    EXPECT_THAT(registry_.Attach(home, anchor, {}), IsOk());
    if (!settled || mix.execs_fail) continue;
    families_.back()->check_place = [this, home](Tid task) {
      if (tracker().misses().retries == 0) {
        EXPECT_THAT(registry_.CgroupOf(task, jobs_), IsOkAndHolds(home));
      }
    };
  }

  std::vector<std::function<void(Random&)>> roles;
  for (const auto& family : families_) roles.push_back([&family](Random&) { family->Step(); });
  if (mix.moves) {
    const Tid shell{kFirstTid + kFamilies * kTidsEach};
    machine_.Start(shell, Tgid{shell.value});
    roles.push_back([this](Random& random) { MoveSomebody(random); });
    roles.push_back([this](Random& random) { MakeTrip(random); });
  }
  roles.push_back([this](Random& random) {
    if (mix_.moves && random() % 8 != 0) {
      ChangeDirectories(random);
    } else {
      List(random);
    }
  });

  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < roles.size(); ++i) {
    threads.emplace_back([this, role = roles[i], i] {
      Random random(seed_ + 100 + static_cast<std::uint32_t>(i));
      while (!stop_) role(random);
    });
  }
  std::atomic<bool> looking = true;
  std::thread looker([&] {
    while (looking) Look();
  });
  while (AllOps() < StressOps() && !HasFailure()) {
    std::this_thread::sleep_for(1ms);
    // Without failed execs nothing needs one, and what one might adopt would be a failure.
    const bool needed = mix.execs_fail || tracker().misses().retries != 0;
    if (needed && resync_wanted_.exchange(false) && !tracker().Resync().differences.empty()) {
      registry_.JudgeAll();
    }
  }
  stop_ = true;
  for (std::thread& thread : threads) thread.join();
  looking = false;
  looker.join();
  Report(std::chrono::duration<double>(Clock::now() - begin).count());

  if (mix.execs_fail || tracker().misses().retries != 0) tracker().Resync();
  EXPECT_THAT(tracker().Audit().differences, IsEmpty());  // I1 and I2, with all who live
}

void Stress::Report(double seconds) {
  const std::uint64_t ops = AllOps();
  fmt::print(
      "[  STRESS  ] {} operations in {:.1f} s: {:.0f}/s; seed {}; {} births, {} execs ({} failed), "
      "{} tids taken inside exec, {} moves, {} trips, {} directories removed, {} releases, table "
      "full {} times, {} retries given up\n",
      ops, seconds, static_cast<double>(ops) / seconds, seed_, Sum(&StressFamily::births),
      Sum(&StressFamily::execs) + Sum(&StressFamily::failed_execs),
      Sum(&StressFamily::failed_execs), Sum(&StressFamily::taken), moves_, rounds_, removed_,
      ledger_.all_releases(), full_, machine_.tracker().misses().retries);
}

std::uint64_t Stress::Sum(std::uint64_t (StressFamily::*what)() const) const {
  std::uint64_t sum = 0;
  for (const auto& family : families_) sum += ((*family).*what)();
  return sum;
}

std::uint64_t Stress::AllOps() const { return ops_.load() + Sum(&StressFamily::ops); }

std::uint64_t Stress::LeavesOfAllSets() {
  std::uint64_t leaves = 0;
  for (std::uint32_t set = 2; set < tracker().set_capacity(); ++set) {
    leaves += tracker().Count(CssSetId{set}).leaves;
  }
  return leaves;
}

// ---- the end

void Stress::End() {
  for (const auto& family : families_) family->End();
  if (mix_.moves) machine_.Death(Tid{kFirstTid + kFamilies * kTidsEach});
  tracker().Resync();  // what failed execs left
  const auto give_up = Clock::now() + 10s;
  do {
    Look();
  } while (!looker_.settled() && Clock::now() < give_up);

  EXPECT_THAT(tracker().Audit().differences, IsEmpty());
  tracker().ForEachTask([](Tid tid, Place) { ADD_FAILURE() << "task " << tid.value << " lives"; });
  for (std::uint32_t set = 2; set < tracker().set_capacity(); ++set) {
    EXPECT_EQ(tracker().Count(CssSetId{set}).count, 0u) << "css_set " << set;
  }
  for (const CgroupId home : homes_) EXPECT_EQ(registry_.Info(home)->releases, 1u);
  EXPECT_EQ(registry_.Info(trip_)->releases, rounds_);
  EXPECT_EQ(ledger_.told(trip_), rounds_);
  for (const CgroupId parent :
       {free_, registry_.Root(jobs_).value(), registry_.Root(other_).value()}) {
    const auto children = registry_.Children(parent);
    for (const auto& [name, id] : *children) {
      ledger_.CheckNoneLost(registry_.Info(id).value());
      ledger_.MayLoseChild(parent);
      EXPECT_THAT(registry_.Remove(id), IsOk());
      ++removed_;
      Look();
    }
  }
  Look();
  EXPECT_FALSE(registry_.Settle());
  EXPECT_EQ(registry_.css_sets(), 1u);  // the initial one
  EXPECT_EQ(ledger_.removals(), removed_);
}

}  // namespace corral
