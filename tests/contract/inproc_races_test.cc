// All steps of the protocol at once, on simulated tasks: births, deaths, execs, moves, listing
// and verdicts from several threads, millions of them; afterwards every counter is exact. Run
// a second time with pauses inside the hooks (tracker_interleaved_test).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "support/matchers.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

constexpr std::uint32_t kSets = 6;        // 2 to 7, counted
constexpr std::uint32_t kFamilies = 4;    // threads that make tasks
constexpr std::uint32_t kPerFamily = 64;  // tids each

CssSetId SetNumber(std::uint64_t n) { return CssSetId{static_cast<std::uint32_t>(2 + n % kSets)}; }

class InprocRaces : public ::testing::Test {
 protected:
  ~InprocRaces() override {
    EXPECT_THAT(tracker_.Audit().differences, IsEmpty());
    std::array<std::uint32_t, kSets> words = {};
    tracker_.ForEachTask([&](Tid, Place place) {
      if (place.set != kInitialSet) ++words.at(place.set.value - 2);
    });
    for (std::uint32_t i = 0; i < kSets; ++i) {
      EXPECT_EQ(tracker_.Count(SetNumber(i)).count, words.at(i)) << "css_set " << i + 2;
    }
  }

  // One family: a root that lives all along and makes children of all kinds.
  void Live(std::uint32_t family) {
    std::mt19937 random(family);
    const std::uint32_t base = 64 + family * kPerFamily;
    const Tid root{base};
    const Tgid process{base};
    std::vector<Tid> children;
    std::vector<Tid> spare;
    for (std::uint32_t i = 1; i < kPerFamily; ++i) spare.push_back(Tid{base + i});
    while (!stop_) {
      const bool bear = !spare.empty() && (children.empty() || random() % 2 == 0);
      if (bear) {
        const Tid parent =
            children.empty() || random() % 2 == 0 ? root : children[random() % children.size()];
        const Tid child = spare.back();
        spare.pop_back();
        tracker_.Birth(parent, child, Tgid{child.value});
        children.push_back(child);
      } else {
        const std::size_t at = random() % children.size();
        tracker_.Death(children[at]);
        spare.push_back(children[at]);
        children.erase(children.begin() + static_cast<std::ptrdiff_t>(at));
        ++deaths_;
      }
      if (random() % 16 == 0 && !spare.empty()) {  // exec by a thread
        const Tid thread = spare.back();
        tracker_.Birth(root, thread, process);
        tracker_.Death(root);
        tracker_.Exec(thread, root);
        ++deaths_;
      }
      ++steps_;
    }
    for (const Tid child : children) tracker_.Death(child);
    deaths_ += children.size();
  }

  // Whoever is alive is moved anywhere; moves are serialised, as the core does it.
  void MoveAbout() {
    std::mt19937 random(99);
    while (!stop_) {
      const Tid task{static_cast<std::uint32_t>(64 + random() % (kFamilies * kPerFamily))};
      const auto place = tracker_.Describe(task);
      if (!place) continue;
      const CssSetId to = SetNumber(random());
      if (tracker_.Move(task, *place, to) && to != place->set) ++moves_;
      ++steps_;
    }
  }

  // I2 at every instant: a task that was just seen in a set is counted, or has left it.
  void Judge() {
    struct Nothing final : Tracker::Listener {
      void SetMayBeEmpty(CssSetId) override {}
      void ResyncNeeded() override {}
    } nothing;
    while (!stop_) {
      for (std::uint32_t family = 0; family < kFamilies; ++family) {
        const Tid root{64 + family * kPerFamily};
        const auto place = tracker_.Describe(root);
        if (!place || place->set == kInitialSet) continue;
        const SetCount before = tracker_.Count(place->set);
        if (const auto again = tracker_.Describe(root); !again || *again != *place) continue;
        const SetCount count = tracker_.Count(place->set);
        if (count.count == 0) {
          EXPECT_NE(count.leaves, before.leaves);  // it left meanwhile
        }
        if (count.count > kFamilies * kPerFamily * 2) {
          ADD_FAILURE() << "count " << count.count;
          stop_ = true;
        }
      }
      std::size_t seen = 0;
      tracker_.ForEachTask([&](Tid, Place) { ++seen; });
      EXPECT_LE(seen, kFamilies * kPerFamily);
      tracker_.Drain(nothing);
      ++steps_;
    }
  }

  InprocTracker tracker_{{.tids = 1024, .sets = 8}};
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> deaths_ = 0;
  std::atomic<std::uint64_t> moves_ = 0;
  std::atomic<std::uint64_t> steps_ = 0;
};

TEST_F(InprocRaces, CountersAreExactAfterEverythingAtOnce) {
  for (std::uint32_t i = 0; i < kSets; ++i) ASSERT_THAT(tracker_.CreateSet(SetNumber(i)), IsOk());
  for (std::uint32_t family = 0; family < kFamilies; ++family) {
    const Tid root{64 + family * kPerFamily};
    tracker_.Start(root, Tgid{root.value});
    ASSERT_THAT(tracker_.Move(root, tracker_.Describe(root).value(), SetNumber(family)), IsOk());
  }
  std::vector<std::thread> threads;
  for (std::uint32_t family = 0; family < kFamilies; ++family) {
    threads.emplace_back([this, family] { Live(family); });
  }
  threads.emplace_back([this] { MoveAbout(); });
  threads.emplace_back([this] { Judge(); });
  std::this_thread::sleep_for(2s);
  stop_ = true;
  for (std::thread& thread : threads) thread.join();

  RecordProperty("steps", static_cast<int>(steps_));
  const MissCounts misses = tracker_.misses();
  EXPECT_EQ(misses.unknown_deaths, 0u);
  EXPECT_EQ(misses.adopted, 0u);
  EXPECT_EQ(misses.displaced, 0u);
  EXPECT_EQ(misses.retries, 0u);
  // Every root is where the last move put it, alive.
  for (std::uint32_t family = 0; family < kFamilies; ++family) {
    EXPECT_THAT(tracker_.Describe(Tid{64 + family * kPerFamily}), IsOk());
  }
  std::uint64_t leaves = 0;
  std::uint64_t alive = 0;
  for (std::uint32_t i = 0; i < kSets; ++i) {
    leaves += tracker_.Count(SetNumber(i)).leaves;
    alive += tracker_.Count(SetNumber(i)).count;
  }
  EXPECT_EQ(alive, kFamilies);
  // A newborn taken along by its own birth leaves once more than deaths and moves tell.
  EXPECT_GE(leaves, deaths_ + moves_);
}

}  // namespace
}  // namespace corral
