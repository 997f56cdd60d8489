// Births and deaths as subsystems are told of them (spec 13.3, 11.2), in line by simulated tasks.
#include <corral/subsystem.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "support/census.h"
#include "support/core_fixture.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Forks : public CoreTest {
 protected:
  Forks() {
    old_ = Start();
    EXPECT_THAT(registry_.Register(first_), IsOk());
    EXPECT_THAT(registry_.Register(second_), IsOk());
    both_ = registry_.CreateHierarchy({.name = "both", .subsystems = 3}).value();
  }
  ~Forks() override { ExpectRightCounts(); }

  // What was told adds up to what there is, in every cgroup.
  void ExpectRightCounts() {
    std::vector<CgroupId> all{registry_.Root(both_).value()};
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto children = registry_.Children(all[i]).value();
      for (const auto& [name, child] : children) all.push_back(child);
      for (const std::size_t number : {0u, 1u}) {
        EXPECT_EQ(Told(all[i], number), static_cast<int>(Tasks(all[i]).size()));
      }
    }
    for (const auto& census : {first_, second_}) EXPECT_EQ(census->impossible, 0);
  }
  int Told(CgroupId cgroup, std::size_t number) {
    return Census::TasksOf(*registry_.CssOf(cgroup, number));
  }
  Result<void> TryFork(Tid by, Tid child) { return machine_.Birth(by, child, Tgid{child.value}); }
  CgroupId root() { return registry_.Root(both_).value(); }

  std::shared_ptr<Census> first_ = std::make_shared<Census>("first");
  std::shared_ptr<Census> second_ = std::make_shared<Census>("second");
  HierarchyId both_;
  Tid old_;
};

TEST_F(Forks, AreToldOfEveryTaskThatWasThereBefore) {
  EXPECT_EQ(first_->known(), 1u);
  Start();
  Fork(old_);
  EXPECT_EQ(second_->known(), 3u);
}

TEST_F(Forks, AreAskedForAndToldInLine) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid parent = StartIn(a);
  first_->said.clear();
  second_->on_fork = [&](Tid child) { EXPECT_THAT(machine_.Describe(child), FailsWith(ESRCH)); };
  second_->on_exit = [&](Tid child) { EXPECT_THAT(machine_.Describe(child), IsOk()); };
  const Tid child = Fork(parent);
  EXPECT_EQ(Told(a, 1), 2);
  Exit(child);
  EXPECT_THAT(first_->said, ElementsAre("can-fork", "fork", "exit"));
}

TEST_F(Forks, TellOfTheRootsTasksAndOfSubsystemsThatAreBoundNowhere) {
  EXPECT_THAT(registry_.Rebind(both_, 0), IsOk());
  const Tid child = Fork(old_);
  EXPECT_EQ(first_->known(), 2u);
  EXPECT_THAT(registry_.Rebind(both_, 3), IsOk());
  EXPECT_EQ(Told(root(), 0), 2);
  Exit(child);
}

TEST_F(Forks, ARefusedBirthLeavesNothing) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid parent = StartIn(a);
  const auto place = machine_.Describe(parent).value();
  const SetCount before = machine_.Count(place.set);
  for (const auto& who : {first_, second_}) {
    for (const auto fault : {Census::Fault::kRefuse, Census::Fault::kThrow}) {
      who->faults["can-fork"] = fault;
      EXPECT_THAT(TryFork(parent, Tid{4000}),
                  FailsWith(fault == Census::Fault::kRefuse ? EXDEV : EIO));
      EXPECT_THAT(machine_.Describe(Tid{4000}), FailsWith(ESRCH));
      EXPECT_EQ(machine_.Count(place.set), before);
      who->faults.clear();
      ExpectRightCounts();
    }
  }
  EXPECT_EQ(std::ranges::count(first_->said, "exit"), 0);
}

TEST_F(Forks, WhoDiesWhenToldIsLoggedAndTheOthersAreTold) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid parent = StartIn(a);
  for (const char* what : {"fork", "exit", "attach"}) {
    first_->faults[what] = Census::Fault::kThrow;
    second_->faults[what] = Census::Fault::kThrow;
    const Tid child = Fork(parent);
    EXPECT_THAT(Attach(root(), child), IsOk());
    EXPECT_EQ(Told(root(), 1), 2);
    Exit(child);
    ExpectRightCounts();
  }
}

TEST_F(Forks, AMoveThatFailsAnywhereLeavesCountsLinksAndReferences) {
  const CgroupId a = Mkdir("/a", both_);
  const CgroupId b = Mkdir("/b", both_);
  const Tid leader = StartIn(a);
  Thread(leader);
  const auto css = registry_.CssOf(b, 0);
  ASSERT_TRUE(css->Get());
  const auto refused = [] { return Result<void>(Fail(EPERM, "the guard says no")); };
  const auto expect_unmoved = [&](Result<void> moved, int error) {
    EXPECT_THAT(moved, FailsWith(error));
    EXPECT_EQ(Tasks(a).size(), 2u);
    EXPECT_THAT(Tasks(b), IsEmpty());
    EXPECT_EQ(css->references(), 1);
    ExpectRightCounts();
  };
  for (const auto& who : {first_, second_}) {
    who->faults["can-attach"] = Census::Fault::kRefuse;
    expect_unmoved(AttachProcess(b, leader), EXDEV);
    who->faults["can-attach"] = Census::Fault::kThrow;
    expect_unmoved(AttachProcess(b, leader), EIO);
    who->faults.clear();
  }
  for (const char* what : {"cancel", "none"}) {
    second_->faults[what] = Census::Fault::kThrow;
    expect_unmoved(registry_.AttachProcess(b, leader, refused), EPERM);
    tracker_.fail_next_moves = {0, ENOSPC};
    expect_unmoved(AttachProcess(b, leader), ENOSPC);
    tracker_.fail_next_moves = {EAGAIN, ESRCH};
    expect_unmoved(Attach(b, leader), ESRCH);
  }
  css->Put();
}

// The death waits for the move; then it is that of a task which was moved.
TEST_F(Forks, ATaskThatDiesInsideItsMoveIsToldOfInOrder) {
  const CgroupId a = Mkdir("/a", both_);
  const CgroupId b = Mkdir("/b", both_);
  const Tid task = StartIn(a);
  first_->said.clear();
  std::thread death;
  tracker_.before_move = [&](Tid) { death = std::thread([&] { Exit(task); }); };
  EXPECT_THAT(Attach(b, task), IsOk());
  death.join();
  tracker_.before_move = nullptr;
  EXPECT_THAT(first_->said, ElementsAre("can-attach", "attach", "exit"));
}

TEST_F(Forks, AChildBornInsideAMoveOfItsProcessIsToldWhereItIs) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid leader = StartIn(a);
  std::thread birth;
  tracker_.before_move = [&](Tid) {
    if (!birth.joinable()) birth = std::thread([&] { (void)TryFork(leader, Tid{4000}); });
  };
  EXPECT_THAT(AttachProcess(root(), leader), IsOk());
  birth.join();
  tracker_.before_move = nullptr;
  EXPECT_EQ(Told(root(), 0), 3);
}

TEST_F(Forks, AMoveInAnotherHierarchyTellsNothingAndLosesNothing) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid task = StartIn(a);
  EXPECT_THAT(first_->said, ::testing::Contains("attach")) << "one in its own does";
  first_->said.clear();
  EXPECT_THAT(Attach(Mkdir("/job"), task), IsOk());
  EXPECT_THAT(first_->said, IsEmpty());
  EXPECT_EQ(Told(a, 0), 1);
  Exit(task);
}

TEST_F(Forks, AnExecByAThreadIsTheEndOfOneTidAndTheBeginningOfAnother) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid leader = StartIn(a);
  const Tid thread = Thread(leader);
  Exit(leader);
  first_->said.clear();
  machine_.Exec(thread, leader);
  EXPECT_THAT(first_->said, ElementsAre("exit", "fork"));
  EXPECT_THAT(Tasks(a), ElementsAre(leader));
  machine_.Exec(leader, leader);
  EXPECT_EQ(first_->said.size(), 2u);
}

TEST_F(Forks, AnExecWhoseOldTidIsTakenIsToldOfOnce) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid leader = StartIn(a);
  const Tid thread = Thread(leader);
  Exit(leader);
  EXPECT_THAT(TryFork(old_, thread), IsOk());  // its tid is free before the exec is told
  machine_.Exec(thread, leader);
  EXPECT_THAT(Tasks(a), ElementsAre(leader));
  ExpectRightCounts();
}

TEST_F(Forks, ACgroupThatGoesTakesNobodysCount) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid task = StartIn(a);
  Exit(task);
  EXPECT_THAT(Rmdir("/a", both_), IsOk());
  StartIn(Mkdir("/a", both_));
}

TEST_F(Forks, ARegistrationThatFailsIsNotHeardOfAgain) {
  EXPECT_THAT(registry_.Register(first_), FailsWith(EEXIST));
  EXPECT_EQ(first_->known(), 1u);
  Registry other(tracker_, [] {});
  tracker_.fail_next_listens = {ENOTSUP};
  EXPECT_THAT(other.Register(std::make_shared<Census>("third")), FailsWith(ENOTSUP));
  EXPECT_THAT(other.SubsystemNames(), IsEmpty());
}

// Births, deaths and execs from many threads, moves and directories from others. Some of it begins
// before anybody wants to be told.
class ForkLoad : public CoreTest {};

TEST_F(ForkLoad, LosesAndInventsNobodyUnderLoad) {
  constexpr std::uint32_t kWorkers = 6;
  constexpr std::uint32_t kRounds = 400;
  for (std::uint32_t i = 0; i < kWorkers; ++i) machine_.Start(Tid{1 + i}, Tgid{1 + i});
  const auto census = std::make_shared<Census>("census");
  census->record = false;
  std::atomic<bool> stop = false;
  std::atomic<std::uint32_t> births = 0;
  std::vector<std::thread> workers;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    workers.emplace_back([&, i] {
      const Tid self{1 + i};
      const std::uint32_t base = 1000 * (1 + i);
      for (std::uint32_t round = 0; round < kRounds && !stop; ++round) {
        const std::uint32_t leader = base + 4 * (round % 200);
        (void)machine_.Birth(self, Tid{leader}, Tgid{leader});
        (void)machine_.Birth(Tid{leader}, Tid{leader + 1}, Tgid{leader});
        (void)machine_.Birth(Tid{leader + 1}, Tid{leader + 2}, Tgid{leader + 2});
        machine_.Death(Tid{leader});
        machine_.Exec(Tid{leader + 1}, Tid{leader});
        births += 3;
        std::this_thread::yield();
        machine_.Death(Tid{leader});
        if (round + 1 != kRounds) machine_.Death(Tid{leader + 2});  // the last one stays
      }
    });
  }
  while (births < 100) std::this_thread::yield();
  ASSERT_THAT(registry_.Register(census), IsOk());
  const HierarchyId h = registry_.CreateHierarchy({.name = "h", .subsystems = 1}).value();
  const std::array<CgroupId, 4> places = {At("/", h), Mkdir("/a", h), Mkdir("/a/b", h),
                                          Mkdir("/c", h)};
  std::array<std::thread, 2> movers;
  for (std::uint32_t i = 0; i < movers.size(); ++i) {
    movers[i] = std::thread([&, i] {
      std::mt19937 random(i);
      while (!stop) {
        const CgroupId to = places[random() % places.size()];
        const Tid worker{1 + static_cast<std::uint32_t>(random() % kWorkers)};
        (void)(random() % 2 ? AttachProcess(to, worker) : Attach(to, worker));
        (void)Attach(to, Tid{static_cast<std::uint32_t>(1000 + random() % 6000)});
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  stop = true;
  for (std::thread& mover : movers) mover.join();

  EXPECT_EQ(census->impossible, 0);
  std::size_t all = 0;
  for (const CgroupId place : places) {
    EXPECT_EQ(Census::TasksOf(*registry_.CssOf(place, 0)), static_cast<int>(Tasks(place).size()));
    all += Tasks(place).size();
  }
  EXPECT_EQ(all, 2 * kWorkers);
  EXPECT_EQ(census->known(), all);
}

}  // namespace
}  // namespace corral
