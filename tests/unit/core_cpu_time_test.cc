// CPU time of cgroups as the core adds it up, from a meter that runs when the test says so.
#include <map>

#include "support/core_fixture.h"
#include "support/still_meter.h"

namespace corral {
namespace {

// Charges at once; what is owed is said by the test.
class FakeMeter final : public StillMeter {
 public:
  void Run(CssSetId set, std::uint64_t ns) { ran_[set] += {.total = ns, .user = ns}; }
  std::map<CssSetId, std::uint64_t> owed;
  int splits = 0;

  void Split(Tgid) override { ++splits; }
  void Split(Tid) override { ++splits; }
  std::unordered_map<CssSetId, CpuTime> Read() override { return ran_; }
  CpuTime Charged(CssSetId set) const override {
    const auto found = ran_.find(set);
    return found == ran_.end() ? CpuTime{} : found->second;
  }
  std::uint64_t Owed(CssSetId set) const override {
    const auto found = owed.find(set);
    return found == owed.end() ? 0 : found->second;
  }
  std::uint64_t Uncharged(CssSetId set) override { return Owed(set); }

 private:
  std::unordered_map<CssSetId, CpuTime> ran_;
};

class CpuTimes : public CoreTest {
 protected:
  CpuTimes() { registry_.UseMeter(&meter_); }

  void Run(Tid task, std::uint64_t ns) { meter_.Run(SetOf(task), ns); }
  CssSetId SetOf(Tid task) { return machine_.Describe(task).value().set; }
  std::uint64_t Own(CgroupId id) { return registry_.CpuTimeOf(id, false).value().total; }
  std::uint64_t All(CgroupId id) { return registry_.CpuTimeOf(id, true).value().total; }

  FakeMeter meter_;
};

TEST_F(CpuTimes, AreThoseOfTheTasksOfACgroupAndOfAllBelowIt) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/a/b");
  Run(StartIn(a), 3);
  Run(StartIn(b), 5);
  Run(Start(), 7);
  EXPECT_EQ(Own(a), 3u);
  EXPECT_EQ(All(a), 8u);
  EXPECT_EQ(Own(At("/")), 7u);
  EXPECT_EQ(All(At("/")), 15u);
}

TEST_F(CpuTimes, StayWhereTheyWereSpentWhenATaskMovesOn) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/b");
  const Tid task = StartIn(a);
  Run(task, 3);
  const int before = meter_.splits;
  EXPECT_THAT(Attach(b, task), IsOk());
  EXPECT_GT(meter_.splits, before);
  Run(task, 5);
  EXPECT_EQ(Own(a), 3u);
  EXPECT_EQ(Own(b), 5u);
}

TEST_F(CpuTimes, OfAGroupThatIsRemovedBelongToWhatItsParentHasBelow) {
  const CgroupId a = Mkdir("/a");
  Mkdir("/a/b");
  const CgroupId c = Mkdir("/a/b/c");
  const Tid task = StartIn(c);
  Run(task, 5);
  Exit(task);
  EXPECT_THAT(Rmdir("/a/b/c"), IsOk());
  EXPECT_EQ(Own(At("/a/b")), 0u);
  EXPECT_EQ(All(At("/a/b")), 5u);
  EXPECT_THAT(Rmdir("/a/b"), IsOk());
  EXPECT_EQ(All(a), 5u);
  Look();  // the set is retired
  EXPECT_EQ(All(a), 5u);
  EXPECT_EQ(Own(a), 0u);
  EXPECT_THAT(Rmdir("/a"), IsOk());
  EXPECT_EQ(All(At("/")), 5u);
  EXPECT_EQ(Own(At("/")), 0u);
}

TEST_F(CpuTimes, OfADeadTaskAreAwaitedBeforeItsSetIsUsedAgain) {
  const CgroupId a = Mkdir("/a");
  const CgroupId b = Mkdir("/a/b");
  const Tid task = StartIn(b);
  const CssSetId set = SetOf(task);
  meter_.owed[set] = 1;
  Exit(task);
  EXPECT_THAT(Rmdir("/a/b"), IsOk());
  Look();
  EXPECT_EQ(registry_.CpuUncharged(a), 1u);
  meter_.Run(set, 5);  // charged late
  EXPECT_EQ(All(a), 5u);
  meter_.owed.clear();
  Look();
  EXPECT_EQ(registry_.CpuUncharged(a), 0u);
  EXPECT_EQ(All(a), 5u);
  // The number goes to others, with its sum.
  const CgroupId other = Mkdir("/other");
  const Tid next = StartIn(other);
  ASSERT_EQ(SetOf(next), set);
  Run(next, 2);
  EXPECT_EQ(Own(other), 2u);
  EXPECT_EQ(All(a), 5u);
}

TEST_F(CpuTimes, OfAHierarchyBeginWithIt) {
  Run(Start(), 7);
  const HierarchyId late = OtherHierarchy("late");
  const CgroupId root = registry_.Root(late).value();
  EXPECT_EQ(All(root), 0u);
  const CgroupId a = Mkdir("/a", late);
  Run(StartIn(a), 2);
  EXPECT_EQ(Own(root), 0u);
  EXPECT_EQ(All(root), 2u);
}

TEST_F(CpuTimes, AreNotKnownWithoutAMeter) {
  registry_.UseMeter(nullptr);
  EXPECT_THAT(registry_.CpuTimeOf(At("/"), true), FailsWith(ENOTSUP));
}

}  // namespace
}  // namespace corral
