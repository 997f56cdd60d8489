// Everything at once over the registry: births, deaths, moves, mkdir, rmdir, renames, listing,
// flags and verdicts from several threads. Afterwards every counter is exact, every group that
// emptied was told, and nothing is stuck.
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "base/mutex.h"
#include "support/core_fixture.h"

namespace corral {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kWorkers = 3;
constexpr std::uint32_t kTidsEach = 500;

class CoreStress : public CoreTest {
 protected:
  CoreStress() : CoreTest({.tids = 8192, .sets = 256, .bells = 64}) {}

  void RunAll(std::vector<std::function<void()>> roles, std::chrono::milliseconds time) {
    std::vector<std::thread> threads;
    for (auto& role : roles) {
      threads.emplace_back([this, role] {
        while (!stop_) role();
      });
    }
    std::atomic<bool> serving = true;
    std::thread server([&] {
      while (serving) Serve();
    });
    std::this_thread::sleep_for(time);
    stop_ = true;
    for (std::thread& thread : threads) thread.join();
    serving = false;
    server.join();
  }

  // The daemon's loop and its agents; the only one that drains. Goes on until all others ended.
  void Serve() {
    Look();
    while (const auto next = registry_.queue().TryTake()) {
      if (registry_.BeginNotification(*next)) {
        MutexLock lock(told_mu_);
        ++told_[next->cgroup];
      }
    }
  }
  std::uint64_t TimesTold(CgroupId id) {
    MutexLock lock(told_mu_);
    return told_[id];
  }

  std::atomic<bool> stop_ = false;
  Mutex told_mu_;
  std::map<CgroupId, std::uint64_t> told_ GUARDED_BY(told_mu_);
};

// Each worker fills and empties a group of its own, one round after the other, and waits to
// be told: exactly once for each round, whatever the others do in the other hierarchy.
TEST_F(CoreStress, TellsEachEmptyingExactlyOnce) {
  const HierarchyId other = OtherHierarchy("other");
  std::array<CgroupId, 4> places = {At("/", other), Mkdir("/x", other), Mkdir("/y", other),
                                    Mkdir("/z", other)};
  std::array<CgroupId, kWorkers> jobs;
  std::array<std::atomic<std::uint64_t>, kWorkers> rounds = {};
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    jobs[i] = MkdirNotifying("/job" + std::to_string(i));
    machine_.Start(Tid{1 + i}, Tgid{1 + i});
  }
  std::vector<std::function<void()>> roles;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    roles.push_back([&, i] {
      thread_local std::mt19937 random(i);
      const std::uint32_t base = 1000 + i * kTidsEach;
      const std::uint32_t size = 1 + random() % 20;
      machine_.Birth(Tid{1 + i}, Tid{base}, Tgid{base});
      ASSERT_THAT(Attach(jobs[i], Tid{base}), IsOk());
      for (std::uint32_t n = 1; n < size; ++n) {
        machine_.Birth(Tid{base + n - 1}, Tid{base + n}, Tgid{n % 2 ? base : base + n});
      }
      for (std::uint32_t n = 0; n < size; ++n) {
        if (random() % 8 == 0) {
          ASSERT_THAT(Attach(At("/"), Tid{base + n}), IsOk());
        }
        random() % 2 ? machine_.Death(Tid{base + n}) : machine_.BeginDeath(Tid{base + n});
      }
      std::this_thread::yield();
      for (std::uint32_t n = 0; n < size; ++n) machine_.EndDeath(Tid{base + n});
      ++rounds[i];
      const auto give_up = std::chrono::steady_clock::now() + 60s;
      while (TimesTold(jobs[i]) < rounds[i]) {
        std::this_thread::yield();
        if (std::chrono::steady_clock::now() > give_up) {
          ADD_FAILURE() << "round " << rounds[i] << " of job " << i << " was never told";
          stop_ = true;
          return;
        }
      }
    });
  }
  // Moves anybody about in the other hierarchy: a new css_set each time.
  roles.push_back([&] {
    thread_local std::mt19937 random(7);
    const Tid task{static_cast<std::uint32_t>(1000 + random() % (kWorkers * kTidsEach))};
    (void)Attach(places[random() % places.size()], task);
  });
  RunAll(std::move(roles), 2000ms);
  Serve();
  std::uint64_t all = 0;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    EXPECT_EQ(TimesTold(jobs[i]), rounds[i]);
    EXPECT_EQ(Releases(jobs[i]), rounds[i]);
    EXPECT_FALSE(Populated(jobs[i]));
    all += rounds[i];
  }
  EXPECT_GT(all, 50u);
  RecordProperty("rounds", static_cast<int>(all));
  for (const CgroupId place : {places[1], places[2], places[3]}) EXPECT_FALSE(Populated(place));
}

// Directories come and go under tasks that come and go.
TEST_F(CoreStress, LeavesNothingStuckWhenDirectoriesComeAndGo) {
  constexpr std::uint32_t kDirectories = 8;
  const HierarchyId other = OtherHierarchy("other");
  Mkdir("/x", other);
  for (std::uint32_t i = 0; i < kWorkers; ++i) machine_.Start(Tid{1 + i}, Tgid{1 + i});
  const CgroupId root = At("/");
  ASSERT_THAT(registry_.SetNotifyOnRelease(root, true), IsOk());
  const auto name = [](std::uint64_t n) { return "d" + std::to_string(n % kDirectories); };

  std::vector<std::function<void()>> roles;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    roles.push_back([&, i] {
      thread_local std::mt19937 random(i);
      thread_local std::uint32_t next = 0;
      const std::uint32_t tid = 1000 + i * kTidsEach + 2 * (next++ % 100);
      machine_.Birth(Tid{1 + i}, Tid{tid}, Tgid{tid});
      machine_.Birth(Tid{tid}, Tid{tid + 1}, Tgid{tid});
      const auto directory = registry_.Child(root, name(random()));
      if (directory) {
        auto moved =
            random() % 2 ? Attach(*directory, Tid{tid}) : AttachProcess(*directory, Tid{tid});
        if (moved) {
          EXPECT_EQ(Where(Tid{tid}), *directory);  // it cannot be removed meanwhile
          EXPECT_TRUE(registry_.Exists(*directory));
        } else {
          EXPECT_EQ(moved.error().code, ENODEV);
        }
      }
      machine_.Death(Tid{tid});
      machine_.Death(Tid{tid + 1});
    });
  }
  roles.push_back([&] {
    thread_local std::mt19937 random(11);
    const std::string directory = name(random());
    switch (random() % 4) {
      case 0:
      case 1: (void)registry_.Mkdir(root, directory, {}); break;
      case 2: (void)registry_.Rmdir(root, directory); break;
      case 3:
        if (const auto child = registry_.Child(root, directory)) {
          (void)registry_.SetNotifyOnRelease(*child, random() % 2);
        }
        break;
    }
  });
  roles.push_back([&] {
    const auto children = registry_.Children(root);
    for (const auto& [child_name, id] : *children) {
      (void)registry_.Tasks(id);
      (void)registry_.SubtreeTasks(id);
      (void)registry_.Events(id);
      (void)registry_.Info(id);
    }
  });
  RunAll(std::move(roles), 2000ms);
  Serve();
  const auto children = registry_.Children(root);
  for (const auto& [child_name, id] : *children) {
    EXPECT_FALSE(Populated(id)) << child_name;
    EXPECT_THAT(registry_.Rmdir(root, child_name), IsOk());
  }
  Look();
  EXPECT_FALSE(registry_.Settle());
  EXPECT_EQ(registry_.css_sets(), 1u);  // the initial one
}

}  // namespace
}  // namespace corral
