// What the core's work grows with, by counting what it asks of the tracker: never by time.
#include <map>
#include <set>

#include "support/core_fixture.h"

namespace corral {
namespace {

constexpr std::size_t kGroups = 3000;

class Scale : public CoreTest {
 protected:
  Scale() : CoreTest({.tids = 65536, .sets = 16384, .bells = 16384}) {}

  std::vector<CgroupId> ManyNotifying(std::size_t count, const std::string& parent = "") {
    std::vector<CgroupId> groups;
    for (std::size_t i = 0; i < count; ++i) {
      groups.push_back(MkdirNotifying(parent + "/g" + std::to_string(i)));
    }
    return groups;
  }

  // How often `counter` of the tracker went up while `what` was done.
  template <typename Counter, typename What>
  std::size_t Cost(Counter& counter, What what) {
    const std::size_t before = counter;
    what();
    return counter - before;
  }
};

TEST_F(Scale, ThousandsOfGroupsThatEmptyAtOnceAreEachToldOnceAfterOneWalk) {
  std::map<CgroupId, Tid> members;
  for (const CgroupId group : ManyNotifying(kGroups)) members[group] = StartIn(group);
  Look();
  for (const auto& [group, task] : members) Exit(task);
  std::vector<std::string> told;
  EXPECT_EQ(Cost(tracker_.walks, [&] { told = Told(); }), 1u);
  EXPECT_EQ(told.size(), kGroups);
  EXPECT_EQ(std::set<std::string>(told.begin(), told.end()).size(), kGroups);
  for (const auto& [group, task] : members) EXPECT_EQ(Releases(group), 1u);
}

TEST_F(Scale, ThousandsOfPollersThatAskMakeOneWalk) {
  std::map<CgroupId, Tid> members;
  for (const CgroupId group : ManyNotifying(kGroups)) members[group] = StartIn(group);
  Look();
  for (const auto& [group, task] : members) Exit(task);
  looker_.Judge();
  EXPECT_EQ(Cost(tracker_.walks,
                 [&] {
                   for (const auto& [group, task] : members) {
                     EXPECT_FALSE(registry_.Events(group).value().populated);
                   }
                 }),
            1u);
  EXPECT_EQ(Told().size(), kGroups);
}

TEST_F(Scale, AskingABusyGroupMakesNoWalkWhileOthersWaitForATask) {
  const CgroupId busy = Mkdir("/busy");
  StartIn(busy);
  Mkdir("/busy/below");
  const Tid slow = StartIn(At("/busy/below"));
  machine_.BeginDeath(slow);
  Look();
  EXPECT_EQ(Cost(tracker_.walks, [&] { EXPECT_TRUE(registry_.Events(busy).value().populated); }),
            0u);
  EXPECT_EQ(Cost(tracker_.walks, [&] { EXPECT_TRUE(registry_.Events(At("/")).value().populated); }),
            0u);
  machine_.EndDeath(slow);
}

TEST_F(Scale, GroupsThatWaitForTasksOnTheirWayOutShareEachLook) {
  std::vector<Tid> slow;
  for (const CgroupId group : ManyNotifying(100)) slow.push_back(StartIn(group));
  for (const Tid task : slow) machine_.BeginDeath(task);
  Look();
  EXPECT_EQ(Cost(tracker_.walks, [&] { EXPECT_TRUE(registry_.Settle()); }), 1u);
  for (const Tid task : slow) machine_.EndDeath(task);
  EXPECT_EQ(Told().size(), slow.size());
}

TEST_F(Scale, ASetWithATaskOnItsWayOutIsRetiredByTheLookAfterItsEnd) {
  const Tid slow = StartIn(Mkdir("/job"));
  machine_.BeginDeath(slow);
  Look();
  ASSERT_THAT(Rmdir("/job"), IsOk());
  Look();
  EXPECT_TRUE(registry_.Settle());
  machine_.EndDeath(slow);
  EXPECT_EQ(Cost(tracker_.walks, [&] { Look(); }), 1u);
  EXPECT_FALSE(registry_.Settle());  // retired
}

TEST_F(Scale, ATreeIsListedWithOneWalkAndOnePass) {
  std::vector<Tid> tasks;
  for (const CgroupId group : ManyNotifying(kGroups)) tasks.push_back(StartIn(group));
  machine_.BeginDeath(tasks.front());  // somebody waits all the time
  Exit(tasks.back());
  std::vector<TreeNode> nodes;
  std::size_t walks = 0;
  EXPECT_EQ(Cost(tracker_.passes,
                 [&] {
                   walks =
                       Cost(tracker_.walks, [&] { nodes = registry_.Subtree(At("/")).value(); });
                 }),
            1u);
  EXPECT_EQ(walks, 1u);
  ASSERT_EQ(nodes.size(), kGroups + 1);
  std::size_t counted = 0, populated = 0;
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    EXPECT_EQ(nodes[i].parent, 0u);
    counted += nodes[i].tasks;
    populated += nodes[i].populated;
  }
  EXPECT_EQ(counted, kGroups - 2);
  EXPECT_EQ(populated, kGroups - 1);  // the one on its way out is still waited for
  machine_.EndDeath(tasks.front());
}

TEST_F(Scale, AListingKeepsParentsBeforeChildrenInADeepChain) {
  std::string path;
  for (int i = 0; i < 200; ++i) Mkdir(path += "/d");
  StartIn(At(path));
  const auto nodes = registry_.Subtree(At("/")).value();
  ASSERT_EQ(nodes.size(), 201u);
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    EXPECT_EQ(nodes[i].parent, i - 1);
    EXPECT_EQ(nodes[i].name, "d");
    EXPECT_TRUE(nodes[i].populated);
  }
  EXPECT_EQ(nodes.back().tasks, 1u);
  EXPECT_EQ(nodes.front().tasks, 0u);
}

// One group of one hierarchy whose tasks have been everywhere in another.
class Crossed : public Scale {
 protected:
  Crossed() {
    group_ = MkdirNotifying("/group");
    task_ = StartIn(group_);
    for (std::size_t i = 0; i < kGroups; ++i) {
      EXPECT_THAT(Attach(Mkdir("/v" + std::to_string(i), other_), task_), IsOk());
      if (i % 100 == 0) Look();
    }
    Look();
  }
  const HierarchyId other_ = OtherHierarchy("other");
  CgroupId group_;
  Tid task_;
};

TEST_F(Crossed, AVerdictReadsTheCountersOfSetsInUseOnly) {
  EXPECT_GE(registry_.css_sets(), kGroups);
  EXPECT_LE(Cost(tracker_.counts_read, [&] { EXPECT_TRUE(Populated(group_)); }), 4u);
  Exit(task_);
  std::vector<std::string> told;
  EXPECT_LE(Cost(tracker_.counts_read, [&] { told = Told(); }), 16u);
  EXPECT_THAT(told, ::testing::ElementsAre("/group"));
}

TEST_F(Crossed, AGroupThatEmptiesAndFillsThroughAnOldSetIsToldEachTime) {
  Exit(task_);
  EXPECT_THAT(Told(), ::testing::ElementsAre("/group"));
  for (int i = 0; i < 3; ++i) {
    const Tid task = StartIn(At("/v5", other_));
    ASSERT_THAT(Attach(group_, task), IsOk());  // the set of the fifth visit, idle since
    const Tid child = Fork(task);
    Exit(task);
    EXPECT_THAT(Told(), ::testing::IsEmpty());
    Exit(child);
    EXPECT_THAT(Told(), ::testing::ElementsAre("/group"));
  }
}

TEST_F(Crossed, RemovingWhatWasVisitedReadsAFewCountersForEach) {
  ASSERT_THAT(registry_.Attach(At("/", other_), task_, {}), IsOk());
  Look();
  EXPECT_LE(Cost(tracker_.counts_read,
                 [&] {
                   for (std::size_t i = 0; i < kGroups; ++i) {
                     ASSERT_THAT(Rmdir("/v" + std::to_string(i), other_), IsOk());
                   }
                   EXPECT_LE(Cost(tracker_.walks, [&] { Look(); }), 2u);
                 }),
            16 * kGroups);
  EXPECT_LE(registry_.css_sets(), 3u);
  Exit(task_);
  EXPECT_THAT(Told(), ::testing::ElementsAre("/group"));
}

TEST_F(Crossed, ListsOfRootAndGroupAreRight) {
  const Tid elsewhere = Start();
  EXPECT_THAT(Tasks(group_), ::testing::ElementsAre(task_));
  EXPECT_THAT(Tasks(At("/")), ::testing::ElementsAre(elsewhere));
  EXPECT_THAT(Tasks(At("/", other_)), ::testing::ElementsAre(elsewhere));
  EXPECT_THAT(Tasks(At("/v" + std::to_string(kGroups - 1), other_)), ::testing::ElementsAre(task_));
  EXPECT_THAT(Tasks(At("/v0", other_)), ::testing::IsEmpty());
}

}  // namespace
}  // namespace corral
