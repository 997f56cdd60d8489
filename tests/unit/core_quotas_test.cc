// Quotas for trees (spec 4.6), and processes that stay in the roots.
#include "support/core_fixture.h"

#include <cerrno>

namespace corral {
namespace {

class Quota : public CoreTest {
 protected:
  void Allow(const std::string& path, std::uint64_t Quotas::*which, std::uint64_t most) {
    EXPECT_THAT(registry_.SetQuota(At(path), which, most), IsOk());
  }
  int MkdirError(const std::string& path) {
    const auto slash = path.rfind('/');
    const auto made = registry_.Mkdir(At(path.substr(0, slash)), path.substr(slash + 1), {});
    return made ? 0 : made.error().code;
  }
};

TEST_F(Quota, OfDepthCountsLevelsBelow) {
  Mkdir("/a");
  Allow("/a", &Quotas::depth, 2);
  EXPECT_EQ(MkdirError("/a/1"), 0);
  EXPECT_EQ(MkdirError("/a/1/2"), 0);
  EXPECT_EQ(MkdirError("/a/1/2/3"), EAGAIN);
  EXPECT_EQ(MkdirError("/a/1/other"), 0) << "in breadth there is room";
  Allow("/a", &Quotas::depth, 0);
  EXPECT_EQ(MkdirError("/a/more"), EAGAIN);
  EXPECT_EQ(MkdirError("/b"), 0);
  EXPECT_THAT(registry_.Resolve(jobs_, "/a/1/2"), IsOk()) << "what is there stays";
  Allow("/a", &Quotas::depth, kNoQuota);
  EXPECT_EQ(MkdirError("/a/1/2/3"), 0);
}

TEST_F(Quota, OfDescendantsCountsThoseOnAllLevels) {
  Mkdir("/a");
  Allow("/a", &Quotas::descendants, 3);
  for (const char* path : {"/a/1", "/a/1/2", "/a/3"}) EXPECT_EQ(MkdirError(path), 0) << path;
  EXPECT_EQ(MkdirError("/a/1/2/4"), EAGAIN);
  EXPECT_EQ(MkdirError("/a/1"), EEXIST) << "which is looked at first";
  EXPECT_THAT(registry_.Rename(At("/a"), "3", At("/a"), "4"), IsOk());
  EXPECT_EQ(MkdirError("/a/3"), EAGAIN);
  EXPECT_THAT(Rmdir("/a/1/2"), IsOk());
  EXPECT_EQ(MkdirError("/a/5"), 0);
  EXPECT_EQ(MkdirError("/a/6"), EAGAIN);
  EXPECT_THAT(registry_.Remove(At("/a/5")), IsOk());
  EXPECT_EQ(MkdirError("/a/4/6"), 0);
}

TEST_F(Quota, OfEachOneAboveHolds) {
  Mkdir("/a");
  Mkdir("/a/b");
  Allow("/a", &Quotas::descendants, 2);
  Allow("/a/b", &Quotas::descendants, 100);
  EXPECT_EQ(MkdirError("/a/b/c"), 0);
  const auto over = registry_.Mkdir(At("/a/b"), "d", {});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().message, "/a may have 2 groups below it, and has 2");
}

TEST_F(Quota, HoldsForAClone) {
  Mkdir("/a");
  const Tid task = StartIn(At("/a"));
  Allow("/a", &Quotas::descendants, 1);
  const auto child = registry_.Clone(jobs_, task);
  ASSERT_THAT(child, IsOk());
  EXPECT_THAT(registry_.Attach(At("/a"), task, {}), IsOk());
  EXPECT_THAT(registry_.Clone(jobs_, task), FailsWith(EAGAIN));
  EXPECT_THAT(registry_.Tasks(At("/a")), IsOkAndHolds(testing::ElementsAre(task)));
  EXPECT_THAT(registry_.Remove(*child), IsOk());
  EXPECT_THAT(registry_.Clone(jobs_, task), IsOk());
}

TEST_F(Quota, OfAHierarchyBeginsDirectlyBelowItsRootAndMayBeRaised) {
  const HierarchyId flat =
      *registry_.CreateHierarchy({.name = "flat", .quotas = {.depth = 1, .descendants = 3}});
  const CgroupId one = *registry_.Mkdir(*registry_.Root(flat), "1", {});
  const CgroupId two = *registry_.Mkdir(one, "2", {});
  EXPECT_THAT(registry_.SetQuota(two, &Quotas::depth, kNoQuota), IsOk());
  EXPECT_THAT(registry_.Mkdir(two, "3", {}), FailsWith(EAGAIN)) << "not for who has a part of it";
  EXPECT_THAT(registry_.SetQuota(one, &Quotas::depth, kNoQuota), IsOk());
  EXPECT_THAT(registry_.Mkdir(two, "3", {}), IsOk());
  EXPECT_THAT(registry_.Mkdir(two, "4", {}), FailsWith(EAGAIN)) << "of the whole hierarchy";
}

// Who is asked at a mkdir, and counts, changes with the quotas that are set.
TEST_F(Quota, ThatComesOrGoesCountsWhatIsThere) {
  Mkdir("/a");
  Mkdir("/a/b");
  Mkdir("/a/b/c");
  Allow("/a/b", &Quotas::descendants, 2);
  Allow("/a", &Quotas::descendants, 4);
  Mkdir("/a/b/d");
  EXPECT_THAT(registry_.Mkdir(At("/a/b/c"), "x", {}), FailsWith(EAGAIN)) << "of b";
  Allow("/a/b", &Quotas::descendants, kNoQuota);
  Mkdir("/a/b/c/x");
  EXPECT_THAT(registry_.Mkdir(At("/a/b/c/x"), "y", {}), FailsWith(EAGAIN))
      << "of a, which counted on";
  EXPECT_THAT(Rmdir("/a/b/c/x"), IsOk());
  Allow("/a/b", &Quotas::depth, 2);
  Mkdir("/a/b/c/y");
  EXPECT_THAT(registry_.Mkdir(At("/a/b/c/y"), "z", {}), FailsWith(EAGAIN)) << "of a, through b";
  Allow("/a", &Quotas::descendants, kNoQuota);
  EXPECT_THAT(registry_.Mkdir(At("/a/b/c/y"), "z", {}), FailsWith(EAGAIN)) << "the depth of b";
  Allow("/a/b", &Quotas::descendants, 3);
  EXPECT_THAT(registry_.Mkdir(At("/a/b"), "e", {}), FailsWith(EAGAIN)) << "c, d and c/y";
  EXPECT_EQ(registry_.InfoOf(jobs_)->cgroups, 6u);
}

TEST_F(Quota, OfARemovedCgroupIsNotThere) {
  const CgroupId a = Mkdir("/a");
  EXPECT_THAT(Rmdir("/a"), IsOk());
  EXPECT_THAT(registry_.SetQuota(a, &Quotas::depth, 1), FailsWith(ENODEV));
  EXPECT_THAT(registry_.QuotasOf(a), FailsWith(ENODEV));
}

// Each listing goes on where the last ended, and meets once whoever is there all the time.
TEST_F(Quota, ListingsInPartsMeetEachChildOnce) {
  for (int i = 0; i < 9; ++i) Mkdir("/" + std::to_string(i));
  std::vector<std::string> names;
  CgroupId after{};
  for (int part = 0;; ++part) {
    const auto some = registry_.ChildrenAfter(At("/"), after, 2).value();
    if (some.empty()) break;
    for (const auto& [name, id] : some) names.push_back(name);
    after = some.back().second;
    if (part == 1) {
      EXPECT_THAT(Rmdir("/3"), IsOk());  // listed before
      EXPECT_THAT(registry_.Rename(At("/"), "5", At("/"), "a"), IsOk());
      Mkdir("/x");
    }
  }
  EXPECT_THAT(names, testing::ElementsAre("0", "1", "2", "3", "4", "a", "6", "7", "8", "x"));
}

class KeptInRoots : public CoreTest {};

TEST_F(KeptInRoots, NoTaskOfTheProcessGoesElsewhere) {
  const CgroupId a = Mkdir("/a");
  const Tid own = Start();
  const Tid thread = Thread(own);
  registry_.KeepInRoots({Tgid{own.value}});
  EXPECT_THAT(registry_.Attach(a, own, {}), FailsWith(EPERM));
  EXPECT_THAT(registry_.Attach(a, thread, {}), FailsWith(EPERM));
  EXPECT_THAT(registry_.AttachProcess(a, own, {}), FailsWith(EPERM));
  EXPECT_THAT(registry_.AttachProcess(a, thread, {}), FailsWith(EPERM));
  EXPECT_THAT(registry_.Clone(jobs_, own), FailsWith(EPERM));
  EXPECT_EQ(registry_.View(At("/"))->children, 1u) << "and nothing of a clone stays";
  EXPECT_THAT(registry_.Attach(At("/"), own, {}), IsOk());
  EXPECT_THAT(registry_.Tasks(a), IsOkAndHolds(testing::IsEmpty()));
  EXPECT_THAT(registry_.Attach(a, Start(), {}), IsOk()) << "others do";
}

TEST_F(KeptInRoots, OneThatIsElsewhereCanComeBack) {
  const CgroupId a = Mkdir("/a");
  const Tid own = StartIn(a);
  registry_.KeepInRoots({Tgid{own.value}});
  EXPECT_THAT(registry_.AttachProcess(At("/"), own, {}), IsOk());
  EXPECT_THAT(registry_.AttachProcess(a, own, {}), FailsWith(EPERM));
  registry_.KeepInRoots({});
  EXPECT_THAT(registry_.AttachProcess(a, own, {}), IsOk());
}

}  // namespace
}  // namespace corral
