// Directories and hierarchies as the core sees them (spec 1, 3.11, 5).
#include <sys/resource.h>

#include "support/core_fixture.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class Tree : public CoreTest {};

TEST_F(Tree, RefusesAnExistingName) {
  Mkdir("/a");
  EXPECT_THAT(registry_.Mkdir(At("/"), "a", {}), FailsWith(EEXIST));
}

TEST_F(Tree, NeverUsesACgroupIdAgain) {
  const CgroupId first = Mkdir("/a");
  ASSERT_THAT(Rmdir("/a"), IsOkAndHolds(first));
  const CgroupId second = Mkdir("/a");
  EXPECT_NE(first, second);
  EXPECT_FALSE(registry_.Exists(first));
  EXPECT_THAT(Tasks(second), IsEmpty());
}

TEST_F(Tree, InheritsNotifyOnReleaseAtMkdirAndNeverLater) {
  const CgroupId parent = MkdirNotifying("/a");
  const CgroupId with = Mkdir("/a/with");
  ASSERT_THAT(registry_.SetNotifyOnRelease(parent, false), IsOk());
  const CgroupId without = Mkdir("/a/without");
  EXPECT_THAT(registry_.NotifyOnRelease(with), IsOkAndHolds(true));
  EXPECT_THAT(registry_.NotifyOnRelease(without), IsOkAndHolds(false));
}

// Each step that were recursive would end the process here: a level takes a hundred bytes of a
// stack at least.
TEST_F(Tree, IsListedAndTakenApartDeeperThanAStackIs) {
  constexpr std::size_t kDepth = 20'000;
  rlimit stack{};
  ASSERT_EQ(::getrlimit(RLIMIT_STACK, &stack), 0);
  stack.rlim_cur = 1 << 20;
  ASSERT_EQ(::setrlimit(RLIMIT_STACK, &stack), 0);
  CgroupId at = At("/");
  for (std::size_t i = 0; i < kDepth; ++i) at = registry_.Mkdir(at, "d", {}).value();
  const Tid task = StartIn(at);
  std::vector<TreeTask> tasks;
  const auto nodes = registry_.Subtree(At("/"), {.tasks = &tasks}).value();
  ASSERT_EQ(nodes.size(), kDepth + 1);
  EXPECT_EQ(nodes.back().tasks, 1u);
  EXPECT_TRUE(nodes[1].populated);
  ASSERT_EQ(tasks.back().tid, task);
  EXPECT_EQ(tasks.back().node, kDepth);
  EXPECT_EQ(registry_.SubtreeTasks(nodes[1].id).value().size(), 1u);
  Exit(task);
  Look();
  for (std::size_t i = kDepth; i > kDepth / 2; --i) {
    ASSERT_THAT(registry_.Remove(nodes[i].id), IsOk());
  }
  EXPECT_EQ(registry_.Subtree(At("/")).value().size(), kDepth / 2 + 1);
  EXPECT_THAT(registry_.Rmdir(nodes[kDepth / 2].id, "gone"), FailsWith(ENOENT));
}  // the rest goes with the registry

TEST_F(Tree, AListingEndsWhereItIsToldToAndCountsWhatIsBelow) {
  Mkdir("/a");
  Mkdir("/a/b");
  Mkdir("/a/b/c");
  Mkdir("/z");
  const Tid task = StartIn(At("/a/b"));
  std::vector<TreeTask> tasks;
  const auto nodes = registry_.Subtree(At("/a"), {.depth = 1, .tasks = &tasks}).value();
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[1].children, 1u);
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].tid, task);
  EXPECT_EQ(tasks[0].node, 1u);
  const auto all = registry_.Subtree(At("/")).value();
  std::vector<std::string> names;
  for (const TreeNode& node : all) names.push_back(node.name);
  EXPECT_THAT(names, ElementsAre("", "a", "b", "c", "z")) << "each followed by all below it";
}

TEST_F(Tree, KeepsACgroupWithChildren) {
  Mkdir("/a");
  Mkdir("/a/b");
  EXPECT_THAT(Rmdir("/a"), FailsWith(EBUSY));
  EXPECT_THAT(Rmdir("/a/b"), IsOk());
  EXPECT_THAT(Rmdir("/a"), IsOk());
}

TEST_F(Tree, KeepsACgroupWithTasks) {
  const Tid task = StartIn(Mkdir("/a"));
  EXPECT_THAT(Rmdir("/a"), FailsWith(EBUSY));
  Exit(task);
  EXPECT_THAT(Rmdir("/a"), IsOk());
}

TEST_F(Tree, RemovesACgroupWhoseTasksAreOnlyOnTheirWayOut) {
  const Tid task = StartIn(Mkdir("/a"));
  machine_.BeginDeath(task);
  EXPECT_THAT(Rmdir("/a"), IsOk());
  machine_.EndDeath(task);
}

TEST_F(Tree, SaysWhichDirectoryIsMissing) {
  EXPECT_THAT(Rmdir("/nothing"), FailsWith(ENOENT));
  const CgroupId gone = Mkdir("/a");
  ASSERT_THAT(Rmdir("/a"), IsOk());
  EXPECT_THAT(registry_.Mkdir(gone, "b", {}), FailsWith(ENOENT));
  EXPECT_THAT(registry_.Rmdir(gone, "b"), FailsWith(ENOENT));
  EXPECT_THAT(registry_.Child(gone, "b"), FailsWith(ENOENT));
  EXPECT_THAT(registry_.Children(gone), FailsWith(ENOENT));
}

TEST_F(Tree, SaysNoSuchDeviceForTheFilesOfARemovedCgroup) {
  const CgroupId gone = Mkdir("/a");
  const Tid task = Start();
  ASSERT_THAT(Rmdir("/a"), IsOk());
  EXPECT_THAT(Attach(gone, task), FailsWith(ENODEV));
  EXPECT_THAT(Attach(gone, Tid{4000}), FailsWith(ENODEV));  // before ESRCH (spec 6.5)
  EXPECT_THAT(AttachProcess(gone, task), FailsWith(ENODEV));
  EXPECT_THAT(registry_.Tasks(gone), FailsWith(ENODEV));
  EXPECT_THAT(registry_.Processes(gone), FailsWith(ENODEV));
  EXPECT_THAT(registry_.SubtreeTasks(gone), FailsWith(ENODEV));
  EXPECT_THAT(registry_.NotifyOnRelease(gone), FailsWith(ENODEV));
  EXPECT_THAT(registry_.SetNotifyOnRelease(gone, true), FailsWith(ENODEV));
  EXPECT_THAT(registry_.Releasable(gone), FailsWith(ENODEV));
  EXPECT_THAT(registry_.Events(gone), FailsWith(ENODEV));
}

// ---- rename (spec 5.5)

TEST_F(Tree, RenamesAPopulatedCgroupAndItsPathsFollow) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/a/b");
  const Tid task = StartIn(b);
  ASSERT_THAT(registry_.Rename(At("/"), "a", At("/"), "z"), IsOk());
  EXPECT_THAT(registry_.PathOf(b), IsOkAndHolds("/z/b"));
  EXPECT_EQ(At("/z"), a);
  EXPECT_THAT(Tasks(b), ElementsAre(task));
  EXPECT_THAT(registry_.Resolve(jobs_, "/a"), FailsWith(ENOENT));
}

TEST_F(Tree, ChecksTheTargetNameBeforeTheTargetDirectory) {
  Mkdir("/a");
  const CgroupId other = Mkdir("/other");
  Mkdir("/other/taken");
  EXPECT_THAT(registry_.Rename(At("/"), "a", other, "taken"), FailsWith(EEXIST));
  EXPECT_THAT(registry_.Rename(At("/"), "a", other, "free"), FailsWith(EIO));
  EXPECT_THAT(registry_.Rename(At("/"), "missing", At("/"), "x"), FailsWith(ENOENT));
  EXPECT_THAT(registry_.PathOf(At("/a")), IsOkAndHolds("/a"));
}

// ---- size (spec 5.7)

TEST_F(Tree, IsTwoHundredLevelsDeep) {
  std::string path;
  for (int i = 0; i < 200; ++i) Mkdir(path += "/d");
  const Tid task = StartIn(At(path));
  EXPECT_TRUE(Populated(At("/d")));
  Exit(task);
  EXPECT_FALSE(Populated(At("/d")));
  EXPECT_THAT(registry_.PathOf(At(path)), IsOkAndHolds(path));
}

TEST_F(Tree, HoldsAHundredThousandSiblings) {
  for (int i = 0; i < 100000; ++i) {
    ASSERT_THAT(registry_.Mkdir(At("/"), std::to_string(i), {}), IsOk());
  }
  EXPECT_EQ(registry_.View(At("/"))->children, 100000u);
  for (int i = 0; i < 100000; ++i) ASSERT_THAT(registry_.Rmdir(At("/"), std::to_string(i)), IsOk());
}

TEST_F(Tree, ListsChildrenByName) {
  const CgroupId b = Mkdir("/b");
  const CgroupId a = Mkdir("/a");
  EXPECT_THAT(registry_.Children(At("/")), IsOkAndHolds(ElementsAre(Pair("a", a), Pair("b", b))));
}

// ---- hierarchies

TEST_F(Tree, KeepsHierarchyNamesApart) {
  EXPECT_THAT(registry_.CreateHierarchy({.name = "jobs"}), FailsWith(EEXIST));
}

TEST_F(Tree, KeepsAHierarchyWithChildrenAndABuiltInOne) {
  Mkdir("/a");
  EXPECT_THAT(registry_.DestroyHierarchy(jobs_), FailsWith(EBUSY));
  const HierarchyId built_in = registry_.CreateHierarchy({.name = "c", .built_in = true}).value();
  EXPECT_THAT(registry_.DestroyHierarchy(built_in), FailsWith(EBUSY));
}

TEST_F(Tree, DestroysAHierarchyAndItsTasksAreElsewhereAsBefore) {
  const HierarchyId other = OtherHierarchy("other");
  const CgroupId a = Mkdir("/a");
  const CgroupId x = Mkdir("/x", other);
  const Tid task = StartIn(a);
  ASSERT_THAT(Attach(x, task), IsOk());
  ASSERT_THAT(Attach(At("/", other), task), IsOk());
  ASSERT_THAT(Rmdir("/x", other), IsOk());
  EXPECT_THAT(registry_.DestroyHierarchy(other), IsOk());
  EXPECT_EQ(Where(task), a);
  EXPECT_THAT(registry_.CgroupOf(task, other), FailsWith(ENOENT));
  EXPECT_NE(registry_.CreateHierarchy({.name = "other"}).value(), other);
}

}  // namespace
}  // namespace corral
