// The engine from 8 threads at once (also in the preset tsan).
#include <atomic>
#include <barrier>
#include <map>
#include <random>
#include <thread>

#include "unit/engine_fixture.h"

namespace corral {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr int kThreads = 8;

void OnThreads(const std::function<void(int)>& run) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(run, i);
}

class EngineThreads : public EngineTest {};

TEST_F(EngineThreads, EveryEmptyingOfEveryGroupIsToldOnce) {
  constexpr int kRounds = 200;
  OnThreads([&](int thread) {
    Group group = Make(std::to_string(thread));
    for (int round = 0; round < kRounds; ++round) {
      Task task = Begin(group);
      Task child = engine().Begin(task).value();
      task.End();
    }
  });
  std::map<std::string, int> times;
  for (const std::string& path : Told()) ++times[path];
  EXPECT_EQ(times.size(), std::size_t{kThreads});
  EXPECT_THAT(times, Each(Pair(::testing::_, kRounds)));
}

// Tasks end on other threads than those that bore them, while they are moved to and fro.
TEST_F(EngineThreads, TasksAreHandedOnAndMovedWhileTheyBear) {
  constexpr int kRounds = 300;
  std::vector<Group> groups;
  for (int i = 0; i < 4; ++i) groups.push_back(Make(std::to_string(i)));
  std::mutex mu;
  std::vector<Task> handed;
  std::vector<TaskId> seen;
  OnThreads([&](int thread) {
    std::mt19937 random(thread);
    Task own = Begin(groups[random() % groups.size()]);
    for (int round = 0; round < kRounds; ++round) {
      Task child = engine().Begin(own).value();
      Task ends;
      TaskId moved;
      {
        std::lock_guard lock(mu);
        seen.push_back(child.id());
        moved = seen[random() % seen.size()];
        if (handed.size() > 16) ends = std::exchange(handed[random() % handed.size()], {});
        handed.push_back(std::move(child));
      }
      const auto entered = groups[random() % groups.size()].Enter(moved);
      if (!entered) {
        EXPECT_EQ(entered.error().code, ESRCH);
      }
      EXPECT_THAT(groups[random() % groups.size()].Enter(own), IsOk());
    }
  });
  EXPECT_THAT(engine().Audit().differences, IsEmpty());
  handed.clear();
  for (const Group& group : groups) {
    EXPECT_THAT(group.Tasks(), IsOkAndHolds(IsEmpty()));
    EXPECT_THAT(group.WaitEmpty(), IsOk());
  }
}

// Nobody who is in the group, or is born by one of them, comes through unmarked; also where each
// ends when it has begun the next, faster than anybody can make a list.
TEST_F(EngineThreads, KillMissesNoneThatIsBornMeanwhile) {
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round) {
    Group group = Make("g");
    std::atomic<int> begun = 0;
    std::jthread killer([&] {
      while (begun < kThreads) std::this_thread::yield();
      EXPECT_THAT(group.Kill({}), IsOk());
    });
    OnThreads([&](int) {
      Task task = Begin(group);
      ++begun;
      while (!task.killed()) task = engine().Begin(task).value();
    });
    killer.join();
    EXPECT_THAT(group.WaitEmpty(), IsOk());
    EXPECT_THAT(group.Remove(), IsOk());
  }
}

TEST_F(EngineThreads, ManyWaitForOneGroup) {
  Group group = Make("g");
  Task task = Begin(group);
  std::atomic<int> woken = 0;
  std::vector<std::jthread> waiting;
  for (int i = 0; i < kThreads; ++i) {
    waiting.emplace_back([&] {
      EXPECT_THAT(group.WaitEmpty(), IsOk());
      ++woken;
    });
  }
  EXPECT_EQ(woken, 0);
  task.End();
  waiting.clear();
  EXPECT_EQ(woken, kThreads);
}

// However many begin at once, a limit is reached and never exceeded.
TEST_F(EngineThreads, ALimitHolds) {
  constexpr std::size_t kMax = 100;
  constexpr int kRounds = 20;
  ASSERT_THAT(engine().RegisterBuiltIn("numtasks"), IsOk());
  Group users = engine().CreateHierarchy({.name = "users", .subsystems = {"numtasks"}}).value();
  Group anna = users.Create("anna").value();
  ASSERT_THAT(anna.Write("numtasks.max", std::to_string(kMax)), IsOk());
  std::barrier all(kThreads);
  std::atomic<std::size_t> born = 0;
  OnThreads([&](int) {
    Task own = Begin(anna);
    all.arrive_and_wait();
    for (int round = 0; round < kRounds; ++round) {
      std::vector<Task> mine;
      while (auto child = engine().Begin(own)) mine.push_back(std::move(*child));
      born += mine.size();
      all.arrive_and_wait();  // nobody's child ends before everybody was refused
      EXPECT_EQ(born.load() + kThreads, kMax * (round + 1) - kThreads * round);
      all.arrive_and_wait();
      mine.clear();
      all.arrive_and_wait();
    }
  });
  EXPECT_THAT(anna.Read("numtasks.current"), IsOkAndHolds("0\n"));
  EXPECT_THAT(anna.Read("numtasks.peak"), IsOkAndHolds(std::to_string(kMax) + "\n"));
}

TEST_F(EngineThreads, DroppedGroupsAllGo) {
  constexpr int kRounds = 50;
  OnThreads([&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      Task task;
      {
        Group outer = Make(fmt::format("{}-{}", thread, round));
        Group inner = outer.Create("inner").value();
        task = Begin(inner);
      }
      task.End();
    }
  });
  Flush();
  Flush();
  for (int thread = 0; thread < kThreads; ++thread) {
    EXPECT_THAT(jobs().Create(fmt::format("{}-0", thread)), IsOk());
  }
}

}  // namespace
}  // namespace corral
