// cpuacct over simulated tasks and a meter that runs when the test says so.
#include "subsystems/cpuacct/cpuacct.h"

#include <atomic>

#include "support/core_fixture.h"
#include "support/still_meter.h"

namespace corral {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

class FakeMeter final : public StillMeter {
 public:
  Result<void> Start() override {
    if (broken) return Fail(EPERM, "no hooks here");
    ++users;
    return {};
  }
  void Stop() override { --users; }
  bool IsOn() const override { return users > 0; }
  void Run(CssSetId set, CpuTime time) {
    MutexLock lock(mu_);
    ran_[set] += time;
  }
  std::unordered_map<CssSetId, CpuTime> Read() override {
    MutexLock lock(mu_);
    return ran_;
  }
  CpuTime Charged(CssSetId set) const override {
    MutexLock lock(mu_);
    const auto found = ran_.find(set);
    return found == ran_.end() ? CpuTime{} : found->second;
  }

  std::atomic<int> users = 0;
  bool broken = false;

 private:
  mutable Mutex mu_;  // the sampler reads, too
  std::unordered_map<CssSetId, CpuTime> ran_ GUARDED_BY(mu_);
};

class CpuAcctTest : public ::testing::Test {
 protected:
  CpuAcctTest() : tracker_({.tids = 1024, .sets = 64}), registry_(tracker_, [] {}) {
    registry_.UseMeter(&meter_);
    subsystem_ = std::make_shared<CpuAcct>(meter_);
    EXPECT_THAT(registry_.Register(subsystem_), IsOk());
  }

  void Bind() {
    hierarchy_ = registry_.CreateHierarchy({.name = "h", .subsystems = 1}).value();
    top_ = registry_.Root(hierarchy_).value();
  }
  CgroupId Mkdir(CgroupId parent, const std::string& name) {
    return registry_.Mkdir(parent, name, {}).value();
  }
  Tid StartIn(CgroupId cgroup) {
    const Tid task{next_tid_++};
    tracker_.Start(task, Tgid{task.value});
    EXPECT_THAT(registry_.Attach(cgroup, task, {}), IsOk());
    return task;
  }
  void Run(Tid task, CpuTime time) { meter_.Run(tracker_.Describe(task).value().set, time); }

  FileUse Use(CgroupId cgroup) { return {registry_.CssOf(cgroup, 0), {}}; }
  Result<std::string> Read(CgroupId cgroup, const std::string& name) {
    FileUse use = Use(cgroup);
    for (const SubsystemFile& file : subsystem_->Files()) {
      if (file.name != name) continue;
      if (file.read) return file.read(use);
      auto number = file.number(use);
      if (!number) return Fail(number.error());
      return std::to_string(*number);
    }
    return Fail(ENOENT, "no file {}", name);
  }
  Result<void> WriteUsage(CgroupId cgroup, std::string_view bytes) {
    FileUse use = Use(cgroup);
    return subsystem_->Files()[0].write(use, bytes);
  }

  FakeMeter meter_;
  InprocTracker tracker_;
  Registry registry_;
  std::shared_ptr<CpuAcct> subsystem_;
  HierarchyId hierarchy_;
  CgroupId top_;
  std::uint32_t next_tid_ = 100;
};

TEST_F(CpuAcctTest, MetersOnlyWhileItIsBound) {
  EXPECT_FALSE(meter_.IsOn());
  Bind();
  EXPECT_TRUE(meter_.IsOn());
  EXPECT_THAT(registry_.DestroyHierarchy(hierarchy_), IsOk());
  EXPECT_FALSE(meter_.IsOn());
}

TEST_F(CpuAcctTest, ShowsWhatTheCgroupAndThoseBelowHaveRun) {
  Bind();
  const CgroupId a = Mkdir(top_, "a");
  const CgroupId b = Mkdir(a, "b");
  Run(StartIn(a), {.total = 3 * kSecond, .user = 2 * kSecond, .system = kSecond});
  Run(StartIn(b), {.total = 5 * kSecond, .user = 5 * kSecond});
  EXPECT_THAT(Read(a, "usage"), IsOkAndHolds("3000000000"));
  EXPECT_THAT(Read(a, "usage_user"), IsOkAndHolds("2000000000"));
  EXPECT_THAT(Read(a, "usage_sys"), IsOkAndHolds("1000000000"));
  EXPECT_THAT(Read(a, "usage_subtree"), IsOkAndHolds("8000000000"));
  EXPECT_THAT(Read(a, "stat"), IsOkAndHolds("user 200\nsystem 100\n"));
  EXPECT_THAT(Read(top_, "usage_subtree"), IsOkAndHolds("8000000000"));
  EXPECT_THAT(Read(top_, "usage"), IsOkAndHolds("0"));
}

TEST_F(CpuAcctTest, CountsAnewAfterAZero) {
  Bind();
  const CgroupId a = Mkdir(top_, "a");
  const Tid task = StartIn(a);
  Run(task, {.total = 3, .user = 2, .system = 1});
  EXPECT_THAT(WriteUsage(a, "0\n"), IsOk());
  EXPECT_THAT(Read(a, "usage"), IsOkAndHolds("0"));
  Run(task, {.total = 4, .user = 4});
  EXPECT_THAT(Read(a, "usage"), IsOkAndHolds("4"));
  EXPECT_THAT(Read(a, "usage_sys"), IsOkAndHolds("0"));
  EXPECT_THAT(Read(a, "usage_subtree"), IsOkAndHolds("4"));
  EXPECT_THAT(Read(top_, "usage_subtree"), IsOkAndHolds("7")) << "of nobody else";
}

TEST_F(CpuAcctTest, TakesNothingButAZero) {
  Bind();
  const CgroupId a = Mkdir(top_, "a");
  Run(StartIn(a), {.total = 3});
  for (const char* bytes : {"1", "00", "-0", "0x0", "", "\n", "0 0", "zero"}) {
    EXPECT_THAT(WriteUsage(a, bytes), FailsWith(EINVAL)) << bytes;
  }
  EXPECT_THAT(Read(a, "usage"), IsOkAndHolds("3"));
}

TEST_F(CpuAcctTest, ShowsTheLoadOfTheSamplesOfEachCgroup) {
  Bind();
  const CgroupId a = Mkdir(top_, "a");
  const Tid task = StartIn(a);
  // Later than any sample that the subsystem takes by itself meanwhile.
  std::uint64_t now = 1ull << 62;
  subsystem_->TakeSample(now);
  for (int i = 0; i < 20; ++i) {
    Run(task, {.total = i < 8 ? 2 * kSecond : kSecond / 2});
    subsystem_->TakeSample(now += kSecond);
  }
  EXPECT_THAT(Read(a, "load"), IsOkAndHolds("50"));
  EXPECT_THAT(Read(top_, "load"), IsOkAndHolds("0"));
}

TEST_F(CpuAcctTest, SaysWhyItCountsNothing) {
  meter_.broken = true;
  Bind();
  EXPECT_THAT(Read(top_, "usage"), FailsWith(EPERM));
}

TEST(LoadWindow, IsThatOfTheLastTenSeconds) {
  LoadWindow load;
  EXPECT_EQ(load.Percent(), 0u);
  load.Add(0, 0);
  EXPECT_EQ(load.Percent(), 0u);
  load.Add(kSecond, kSecond / 4);
  EXPECT_EQ(load.Percent(), 25u) << "of a window that has just begun";
  std::uint64_t ran = kSecond / 4;
  for (std::uint64_t s = 2; s <= 12; ++s) load.Add(s * kSecond, ran += 2 * kSecond);
  EXPECT_EQ(load.Percent(), 200u);
  for (std::uint64_t s = 13; s <= 17; ++s) load.Add(s * kSecond, ran);
  EXPECT_EQ(load.Percent(), 100u);
}

}  // namespace
}  // namespace corral
