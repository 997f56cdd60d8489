// The subsystem freezer on simulated processes.
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "subsystems/freezer/freezer.h"
#include "support/fake_stops.h"
#include "support/subsystem_fixture.h"

namespace corral {
namespace {

class FreezerTest : public SubsystemTest {
 protected:
  FreezerTest() : FreezerTest(std::make_shared<FakeStops>(), std::make_shared<Refuser>()) {}

  void StartIn(std::string_view path, unsigned tid) {
    Start(tid);
    EXPECT_EQ(Enter(path, tid), 0);
  }
  bool Soon(const std::function<bool()>& condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return condition();
  }

  std::shared_ptr<FakeStops> stops_;
  std::shared_ptr<Refuser> other_;

 private:
  FreezerTest(std::shared_ptr<FakeStops> stops, std::shared_ptr<Refuser> other)
      : SubsystemTest(std::make_shared<Freezer>(stops, std::chrono::milliseconds(10)),
                      /*inherits=*/true, other),
        stops_(stops),
        other_(other) {}
};

TEST_F(FreezerTest, TakesTheTwoStatesAndNothingElse) {
  Make("/a");
  for (const char* text : {"x", "FREEZING", "frozen", "FROZENx", "FROZEN\nTHAWED", "1", "\n"}) {
    EXPECT_EQ(Write("/a/freezer.state", text), EINVAL) << text;
  }
  EXPECT_EQ(Read("/a/freezer.state"), "THAWED\n");
  for (const std::string_view text : {"FROZEN", " FROZEN", "FROZEN\n\n", "\tFROZEN "}) {
    EXPECT_EQ(Write("/a/freezer.state", text), 0) << text;
    EXPECT_EQ(Read("/a/freezer.state"), "FROZEN\n");
    EXPECT_EQ(Write("/a/freezer.state", "THAWED\n"), 0);
  }
  EXPECT_EQ(Write("/a/freezer.self_freezing", "1"), EINVAL);
  EXPECT_FALSE(tree_->Lookup(At("/"), "freezer.state"));
}

TEST_F(FreezerTest, StopsTheSubtreeAndLetsItGoOn) {
  Make("/a");
  Make("/a/b");
  Make("/c");
  StartIn("/a", 7);
  StartIn("/a/b", 8);
  StartIn("/c", 9);
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Read("/a/freezer.state"), "FROZEN\n");
  EXPECT_TRUE(stops_->Stopped(7) && stops_->Stopped(8) && !stops_->Stopped(9));
  EXPECT_EQ(Read("/a/b/freezer.state"), "FROZEN\n");
  EXPECT_EQ(Read("/a/b/freezer.self_freezing") + Read("/a/b/freezer.parent_freezing"), "0\n1\n");
  EXPECT_EQ(Write("/a/freezer.state", "THAWED"), 0);
  EXPECT_FALSE(stops_->Stopped(7) || stops_->Stopped(8));
  EXPECT_EQ(Read("/a/b/freezer.state"), "THAWED\n");
}

TEST_F(FreezerTest, AChildsOwnWishOutlastsItsParents) {
  Make("/a");
  Make("/a/b");
  StartIn("/a/b", 8);
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Write("/a/b/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Write("/a/freezer.state", "THAWED"), 0);
  EXPECT_TRUE(stops_->Stopped(8));
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Write("/a/b/freezer.state", "THAWED"), 0);
  EXPECT_EQ(Read("/a/b/freezer.state"), "FROZEN\n");
  EXPECT_EQ(Write("/a/freezer.state", "THAWED"), 0);
  EXPECT_FALSE(stops_->Stopped(8));
}

TEST_F(FreezerTest, ANewChildOfAFrozenCgroupIsFrozen) {
  Make("/a");
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  Make("/a/b");
  EXPECT_EQ(Read("/a/b/freezer.state"), "FROZEN\n");
  StartIn("/a/b", 8);
  EXPECT_TRUE(Soon([&] { return stops_->Stopped(8); }));
}

TEST_F(FreezerTest, WhoComesIsStoppedAndWhoGoesIsContinued) {
  Make("/a");
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  StartIn("/a", 7);
  EXPECT_TRUE(Soon([&] { return stops_->Stopped(7); }));
  EXPECT_EQ(Read("/a/freezer.state"), "FROZEN\n");
  EXPECT_EQ(Enter("/", 7), 0);
  EXPECT_TRUE(Soon([&] { return !stops_->Stopped(7); }));
}

TEST_F(FreezerTest, WhoIsBornMeanwhileIsStoppedToo) {
  Make("/a");
  StartIn("/a", 7);
  stops_->on_stop = [this](Tgid process) {
    if (process.value < 27) Fork(process.value, process.value + 1);
  };
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Read("/a/freezer.state"), "FROZEN\n");
  for (unsigned process = 7; process <= 27; ++process) EXPECT_TRUE(stops_->Stopped(process));
  EXPECT_EQ(Write("/a/freezer.state", "THAWED"), 0);
  for (unsigned process = 7; process <= 27; ++process) EXPECT_FALSE(stops_->Stopped(process));
}

TEST_F(FreezerTest, IsFreezingWhileOneRuns) {
  Make("/a");
  StartIn("/a", 7);
  stops_->unstoppable.insert(Tgid{7});
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Read("/a/freezer.state"), "FREEZING\n");
  {
    const std::lock_guard lock(stops_->mu);
    stops_->unstoppable.clear();
  }
  EXPECT_TRUE(Soon([&] { return stops_->Stopped(7); }));
  EXPECT_EQ(Read("/a/freezer.state"), "FROZEN\n");
}

TEST_F(FreezerTest, WhoWasStoppedByOthersStaysSo) {
  Make("/a");
  StartIn("/a", 7);
  stops_->Set(7, true);
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Read("/a/freezer.state"), "FROZEN\n");
  EXPECT_EQ(Write("/a/freezer.state", "THAWED"), 0);
  EXPECT_TRUE(stops_->Stopped(7));
  EXPECT_EQ(stops_->Stops(7), 0);
}

TEST_F(FreezerTest, WhoIsContinuedByOthersIsStoppedAgain) {
  Make("/a");
  StartIn("/a", 7);
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  stops_->Set(7, false);
  EXPECT_TRUE(Soon([&] { return stops_->Stopped(7); }));
}

TEST_F(FreezerTest, AProcessWithThreadsInTwoGoesOnWhenItIsInNeither) {
  Make("/a");
  Make("/b");
  Start(7);
  Thread(7, 8);
  stops_->threads[Tid{8}] = Tgid{7};
  EXPECT_EQ(Enter("/a", 7), 0);
  EXPECT_EQ(Enter("/b", 8), 0);
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Write("/b/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Write("/a/freezer.state", "THAWED"), 0);
  EXPECT_TRUE(stops_->Stopped(7));
  EXPECT_EQ(Write("/b/freezer.state", "THAWED"), 0);
  EXPECT_FALSE(stops_->Stopped(7));
}

TEST_F(FreezerTest, AStrangerWithTheNumberOfAMemberIsLeftAlone) {
  Make("/a");
  StartIn("/a", 7);
  // The member ends between the look and the handle; its number is a stranger's by then.
  stops_->on_open = [this](Tgid process) {
    if (!tracker_.Describe(Tid{7})) return;
    tracker_.Death(Tid{7});
    ++stops_->lives[process];
  };
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(stops_->Stops(7), 0);
  EXPECT_EQ(Read("/a/freezer.state"), "FROZEN\n");
}

TEST_F(FreezerTest, AStrangerWithTheNumberOfOneThatWasStoppedIsNotContinued) {
  Make("/a");
  StartIn("/a", 7);
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  tracker_.Death(Tid{7});
  {
    const std::lock_guard lock(stops_->mu);
    ++stops_->lives[Tgid{7}];  // it is stopped, for reasons of its own
  }
  EXPECT_EQ(Write("/a/freezer.state", "THAWED"), 0);
  EXPECT_TRUE(stops_->Stopped(7));
}

TEST_F(FreezerTest, TheDaemonDoesNotStopItself) {
  Make("/a");
  StartIn("/a", 4242);
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Read("/a/freezer.state"), "FREEZING\n");
  EXPECT_EQ(stops_->Stops(4242), 0);
}

TEST_F(FreezerTest, WithoutDescriptorsItGoesOnTrying) {
  Make("/a");
  StartIn("/a", 7);
  {
    const std::lock_guard lock(stops_->mu);
    stops_->no_descriptors = true;
  }
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  EXPECT_EQ(Read("/a/freezer.state"), "FREEZING\n");
  {
    const std::lock_guard lock(stops_->mu);
    stops_->no_descriptors = false;
  }
  EXPECT_TRUE(Soon([&] { return stops_->Stopped(7); }));
}

TEST_F(FreezerTest, WhatAnotherSubsystemRefusesLeavesNoTrace) {
  Make("/a");
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  Start(7);
  other_->refuse = true;
  EXPECT_EQ(Enter("/a", 7), EXDEV);
  EXPECT_EQ(Make("/a/b"), EXDEV);
  EXPECT_EQ(Read("/a/freezer.state"), "FROZEN\n");
  EXPECT_EQ(stops_->Stops(7), 0);
}

TEST_F(FreezerTest, ARemovedCgroupIsNotFrozen) {
  Make("/a");
  const auto file = Open("/a/freezer.state", true);
  EXPECT_EQ(Remove("/a"), 0);
  EXPECT_EQ(Errno(file->Write({.tid = Tid{1}}, "FROZEN")), ENODEV);
}

TEST_F(FreezerTest, TheEndOfTheInstanceThawsEverybody) {
  Make("/a");
  StartIn("/a", 7);
  EXPECT_EQ(Write("/a/freezer.state", "FROZEN"), 0);
  ASSERT_TRUE(stops_->Stopped(7));
  tree_.reset();
  registry_.reset();
  EXPECT_FALSE(stops_->Stopped(7));
}

}  // namespace
}  // namespace corral
