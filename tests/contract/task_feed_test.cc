// Births and deaths as the kernel tracker tells subsystems of them: later, but each once, in order,
// and in the end what was told is what there is. Needs root and BPF.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "core/registry.h"
#include "support/census.h"
#include "support/matchers.h"
#include "support/puppets.h"
#include "trackers/bpf/bpf_tracker.h"

namespace corral {
namespace {

using namespace std::chrono_literals;

class TaskFeedTest : public ::testing::Test {
 protected:
  // `feed_bytes` small: the ring overflows.
  void Begin(std::uint32_t feed_bytes = 1 << 22) {
    auto tracker = BpfTracker::Create({.sets = 1024, .feed_bytes = feed_bytes});
    if (!tracker) GTEST_SKIP() << tracker.error().message;
    tracker_ = std::move(*tracker);
    registry_ = std::make_unique<Registry>(*tracker_, [] {});
    early_ = puppets_.Start();
    census_->record = false;
    ASSERT_THAT(registry_->Register(census_), IsOk());
    const auto h = registry_->CreateHierarchy({.name = "h", .subsystems = 1});
    root_ = registry_->Root(*h).value();
    a_ = registry_->Mkdir(root_, "a", {}).value();
    b_ = registry_->Mkdir(a_, "b", {}).value();
  }

  bool Knows(Tid task) {
    const auto still = tracker_->HoldTasks();
    return census_->Knows(task);
  }
  int Told(CgroupId cgroup) {
    const auto still = tracker_->HoldTasks();
    return Census::TasksOf(*registry_->CssOf(cgroup, 0));
  }
  int There(CgroupId cgroup) { return static_cast<int>(registry_->Tasks(cgroup)->size()); }
  static bool Eventually(const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(2ms);
    }
    return true;
  }
  void ExpectAllIsTold() {
    for (const CgroupId at : {a_, b_}) {
      EXPECT_TRUE(Eventually([&] { return Told(at) == There(at); }))
          << Told(at) << " told, " << There(at) << " there";
    }
    // Others of the machine come and go; ours do not. Who is in the root is told of later, too.
    for (const auto& [tid, tgid] : puppets_.tasks()) {
      EXPECT_TRUE(Eventually([&] { return Knows(tid); })) << tid.value;
    }
    const auto still = tracker_->HoldTasks();
    EXPECT_EQ(census_->impossible, 0);
  }

  std::unique_ptr<BpfTracker> tracker_;
  std::shared_ptr<Census> census_ = std::make_shared<Census>("census");
  std::unique_ptr<Registry> registry_;
  Puppets puppets_;
  Tid early_;
  CgroupId root_, a_, b_;
};

TEST_F(TaskFeedTest, TellsOfEveryTaskThatWasThereBeforeRegistrationIsThrough) {
  Begin();
  if (IsSkipped()) return;
  EXPECT_TRUE(Knows(early_));
  EXPECT_TRUE(Knows(Tid{static_cast<std::uint32_t>(::getpid())}));
  EXPECT_TRUE(Knows(Tid{2}));  // kthreadd
  ExpectAllIsTold();
}

TEST_F(TaskFeedTest, TellsOfABirthAndADeathWhereTheyHappened) {
  Begin();
  if (IsSkipped()) return;
  ASSERT_THAT(registry_->Attach(a_, early_, {}), IsOk());
  EXPECT_EQ(Told(a_), 1);  // a move is told at once
  const Tid child = puppets_.Fork(early_);
  const Tid thread = puppets_.Thread(child);
  EXPECT_TRUE(Eventually([&] { return Knows(child) && Knows(thread); }));
  EXPECT_EQ(Told(a_), 3);
  puppets_.ExitProcess(child);
  EXPECT_TRUE(Eventually([&] { return !Knows(child) && !Knows(thread); }));
  EXPECT_EQ(Told(a_), 1);
  ExpectAllIsTold();
}

// Moved before its birth can have been told: the move does not wait, and the order is right.
TEST_F(TaskFeedTest, ANewbornThatIsMovedAtOnceIsKnownBefore) {
  Begin();
  if (IsSkipped()) return;
  for (int round = 0; round < 50; ++round) {
    const Tid child = puppets_.Fork(early_);
    ASSERT_THAT(registry_->Attach(round % 2 ? a_ : b_, child, {}), IsOk());
    puppets_.ExitProcess(child);
  }
  ExpectAllIsTold();
}

TEST_F(TaskFeedTest, AnExecByAThreadEndsOneTidAndBeginsAnother) {
  Begin();
  if (IsSkipped()) return;
  const Tid leader = puppets_.Fork(early_);
  const Tid thread = puppets_.Thread(leader);
  ASSERT_THAT(registry_->AttachProcess(a_, leader, {}), IsOk());
  ASSERT_EQ(puppets_.Exec(thread), leader);
  EXPECT_TRUE(Eventually([&] { return !Knows(thread); }));
  EXPECT_TRUE(Knows(leader));
  EXPECT_EQ(Told(a_), 1);
  ExpectAllIsTold();
}

class TaskFeedStorm : public TaskFeedTest, public ::testing::WithParamInterface<std::uint32_t> {};

// Forks, threads and execs by thousands while everybody is moved about. With a ring of one page
// most of it is lost, and made up for.
TEST_P(TaskFeedStorm, LosesAndInventsNobody) {
  Begin(GetParam());
  if (IsSkipped()) return;
  const Tid forker = puppets_.Fork(early_);
  const Tid threader = puppets_.Fork(early_);
  const Tid execer = puppets_.Fork(early_);
  puppets_.BeginStorm(forker, puppet::Storm::kFork, 1500ms);
  puppets_.BeginStorm(threader, puppet::Storm::kThread, 1500ms);
  puppets_.BeginExecStorm(execer, 1500ms);
  std::mt19937 random(1);
  const auto end = std::chrono::steady_clock::now() + 1500ms;
  while (std::chrono::steady_clock::now() < end) {
    const std::array places = {root_, a_, b_};
    const std::array tasks = {forker, threader, execer};
    const CgroupId to = places[random() % places.size()];
    const Tid task = tasks[random() % tasks.size()];
    (void)(random() % 2 ? registry_->AttachProcess(to, task, {}) : registry_->Attach(to, task, {}));
  }
  const std::uint64_t births = puppets_.EndStorm(forker) + puppets_.EndStorm(threader);
  (void)puppets_.EndExecStorm(execer);
  EXPECT_GT(births, 100u);
  ASSERT_THAT(registry_->AttachProcess(a_, forker, {}), IsOk());
  ExpectAllIsTold();
  EXPECT_THAT(tracker_->Audit().differences, ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(RingBytes, TaskFeedStorm, ::testing::Values(4096u, 1u << 22));

}  // namespace
}  // namespace corral
