// The subsystem interface (spec 13) as the core calls it, over simulated tasks.
#include <corral/subsystem.h>

#include <map>
#include <stdexcept>
#include <thread>

#include "support/core_fixture.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Writes down what it is told; fails when the test says so.
class Recorder final : public Subsystem {
 public:
  enum class Fault { kNone, kRefuse, kThrow };

  explicit Recorder(std::string name) : name_(std::move(name)) {}

  std::string_view name() const override { return name_; }
  Result<void> Start(Groups& given) override {
    groups = &given;
    return Do("start");
  }
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override {
    if (auto done = Do(of.parent ? "create" : "create-root"); !done) return Fail(done.error());
    ++alive;
    return std::make_unique<Css>();
  }
  void Destroy(Css&) override {
    --alive;
    (void)Do("destroy");
  }
  void PostClone(Css&) override { (void)Do("post-clone"); }
  void Bind(Css&, HierarchyId hierarchy) override { (void)Do(hierarchy.value ? "bind" : "unbind"); }
  Result<void> CanAttach(Css& to, Css& from, Tid task) override {
    EXPECT_NE(&to, &from);
    if (auto done = Do("can-attach"); !done) return done;
    ++open[task];
    return {};
  }
  void Attach(Css&, Css&, Tid task) override {
    --open[task];
    ++attached;
    (void)Do("attach");
  }
  void Cancel(Css&, Css&, Tid task) override {
    --open[task];
    ++cancelled;
    (void)Do("cancel");
  }

  // Everybody who was asked was told what came of it.
  bool Settled() const {
    return std::ranges::all_of(open, [](const auto& one) { return one.second == 0; });
  }

  Groups* groups = nullptr;
  std::map<std::string, Fault> faults;
  int skip = 0;  // so many calls before the fault strikes
  std::vector<std::string> said;
  std::map<Tid, int> open;
  int alive = 0;
  int attached = 0;
  int cancelled = 0;

 private:
  Result<void> Do(const std::string& what) {
    said.push_back(what);
    const auto fault = faults.find(what);
    if (fault == faults.end() || fault->second == Fault::kNone || skip-- > 0) return {};
    if (fault->second == Fault::kThrow) throw std::runtime_error("it died in " + what);
    return Fail(EXDEV, "it refused {}", what);
  }

  const std::string name_;
};

class Subsystems : public CoreTest {
 protected:
  Subsystems() {
    EXPECT_THAT(registry_.Register(first_), IsOk());
    EXPECT_THAT(registry_.Register(second_), IsOk());
    both_ = registry_.CreateHierarchy({.name = "both", .subsystems = 3}).value();
  }
  ~Subsystems() override {
    EXPECT_TRUE(first_->Settled() && second_->Settled());
    EXPECT_EQ(first_->alive, second_->alive);
  }

  std::shared_ptr<Recorder> first_ = std::make_shared<Recorder>("first");
  std::shared_ptr<Recorder> second_ = std::make_shared<Recorder>("second");
  HierarchyId both_;
};

TEST_F(Subsystems, AreRegisteredOnceUnderAPlainName) {
  EXPECT_THAT(registry_.Register(std::make_shared<Recorder>("first")), FailsWith(EEXIST));
  EXPECT_THAT(registry_.Register(std::make_shared<Recorder>("")), FailsWith(EINVAL));
  EXPECT_THAT(registry_.Register(std::make_shared<Recorder>("a b")), FailsWith(EINVAL));
  EXPECT_THAT(registry_.SubsystemNames(), ElementsAre("first", "second"));
}

TEST_F(Subsystems, AreBoundToOneHierarchyAtATime) {
  EXPECT_THAT(registry_.CreateHierarchy({.name = "", .subsystems = 2}), FailsWith(EBUSY));
  EXPECT_THAT(registry_.Rebind(both_, 1), IsOk());
  const auto other = registry_.CreateHierarchy({.name = "", .subsystems = 2});
  ASSERT_THAT(other, IsOk());
  EXPECT_THAT(registry_.Rebind(both_, 3), FailsWith(EBUSY));
  EXPECT_EQ(registry_.FindByLabel("second"), *other);
  EXPECT_THAT(registry_.DestroyHierarchy(*other), IsOk());
  EXPECT_THAT(registry_.Rebind(both_, 3), IsOk());
}

TEST_F(Subsystems, AreNotTakenFromAHierarchyWithCgroups) {
  Mkdir("/a", both_);
  EXPECT_THAT(registry_.Rebind(both_, 1), FailsWith(EBUSY));
  EXPECT_THAT(Rmdir("/a", both_), IsOk());
  EXPECT_THAT(registry_.Rebind(both_, 0), IsOk());
}

TEST_F(Subsystems, ABindThatFailsChangesNothing) {
  EXPECT_THAT(registry_.Rebind(both_, 0), IsOk());
  second_->faults["bind"] = Recorder::Fault::kThrow;
  EXPECT_THAT(registry_.CreateHierarchy({.name = "again", .subsystems = 3}), FailsWith(EIO));
  EXPECT_FALSE(registry_.FindByLabel("again"));
  for (const SubsystemInfo& info : registry_.Subsystems()) EXPECT_EQ(info.hierarchy.value, 0u);
  EXPECT_EQ(first_->said.back(), "unbind");
}

TEST_F(Subsystems, HaveAStateForEachCgroup) {
  const CgroupId a = Mkdir("/a", both_);
  const CgroupId b = Mkdir("/a/b", both_);
  const auto css = registry_.CssOf(b, 1);
  ASSERT_TRUE(css);
  EXPECT_EQ(css->cgroup(), b);
  EXPECT_EQ(css->parent(), registry_.CssOf(a, 1).get());
  EXPECT_TRUE(IsDescendant(*css, *registry_.CssOf(a, 1)));
  EXPECT_TRUE(IsDescendant(*css, *css));
  EXPECT_FALSE(IsDescendant(*registry_.CssOf(a, 1), *css));
  EXPECT_THAT(Rmdir("/a/b", both_), IsOk());
  EXPECT_TRUE(css->removed());
  EXPECT_EQ(first_->alive, 2);  // the root's and a's
}

TEST_F(Subsystems, ARefusedMkdirLeavesNothing) {
  second_->faults["create"] = Recorder::Fault::kRefuse;
  const CgroupId root = registry_.Root(both_).value();
  EXPECT_THAT(registry_.Mkdir(root, "a", {}), FailsWith(EXDEV));
  EXPECT_THAT(registry_.Child(root, "a"), FailsWith(ENOENT));
  EXPECT_EQ(first_->said.back(), "destroy");
  second_->faults["create"] = Recorder::Fault::kThrow;
  const auto thrown = registry_.Mkdir(root, "a", {});
  ASSERT_THAT(thrown, FailsWith(EIO));
  EXPECT_THAT(thrown.error().message, HasSubstr("it died in create"));
}

TEST_F(Subsystems, AMoveAsksAllOfThemThenTellsAllOfThem) {
  const CgroupId a = Mkdir("/a", both_);
  first_->said.clear();
  StartIn(a);
  EXPECT_THAT(first_->said, ElementsAre("can-attach", "attach"));
  EXPECT_EQ(second_->attached, 1);
}

TEST_F(Subsystems, AMoveToWhereItIsAsksNobody) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid task = StartIn(a);
  EXPECT_THAT(first_->said, ::testing::Contains("can-attach")) << "a move from elsewhere does";
  first_->said.clear();
  EXPECT_THAT(Attach(a, task), IsOk());
  EXPECT_THAT(first_->said, IsEmpty());
}

TEST_F(Subsystems, AMoveInAnotherHierarchyAsksNobody) {
  const CgroupId job = Mkdir("/job");
  first_->said.clear();
  const Tid task = StartIn(job);
  EXPECT_THAT(first_->said, IsEmpty());
  EXPECT_THAT(Attach(Mkdir("/a", both_), task), IsOk());
  EXPECT_THAT(first_->said, ::testing::Contains("can-attach")) << "in its own it does";
}

TEST_F(Subsystems, ARefusedMoveIsCalledOffByThoseWhoHadAgreed) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid task = Start();
  for (const auto fault : {Recorder::Fault::kRefuse, Recorder::Fault::kThrow}) {
    second_->faults["can-attach"] = fault;
    EXPECT_FALSE(Attach(a, task));
    EXPECT_EQ(Where(task, both_), registry_.Root(both_).value());
  }
  EXPECT_EQ(first_->cancelled, 2);
  EXPECT_EQ(first_->attached, 0);
  EXPECT_THAT(Tasks(a), IsEmpty());
}

TEST_F(Subsystems, OneThreadThatIsRefusedKeepsTheWholeProcessBack) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid leader = Start();
  Thread(leader);
  Thread(leader);
  second_->faults["can-attach"] = Recorder::Fault::kRefuse;
  second_->skip = 2;
  EXPECT_THAT(AttachProcess(a, leader), FailsWith(EXDEV));
  EXPECT_THAT(Tasks(a), IsEmpty());
  EXPECT_EQ(first_->cancelled, 3);
}

TEST_F(Subsystems, AMoveThatFailsBelowIsCalledOff) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid task = Start();
  tracker_.fail_next_moves = {EAGAIN, ESRCH};
  EXPECT_THAT(Attach(a, task), FailsWith(ESRCH));
  EXPECT_EQ(first_->cancelled, 1);
}

TEST_F(Subsystems, AMoveThatTheGuardUndoesIsCalledOff) {
  const CgroupId a = Mkdir("/a", both_);
  const Tid leader = Start();
  Thread(leader);
  const AttachGuard guard = [] { return Result<void>(Fail(ESRCH, "another task")); };
  EXPECT_THAT(registry_.AttachProcess(a, leader, guard), FailsWith(ESRCH));
  EXPECT_EQ(first_->cancelled, 2);
  EXPECT_EQ(first_->attached, 0);
}

TEST_F(Subsystems, WhoDiesWhenToldIsLoggedAndTheMoveStands) {
  const CgroupId a = Mkdir("/a", both_);
  first_->faults["attach"] = Recorder::Fault::kThrow;
  const Tid task = StartIn(a);
  EXPECT_EQ(Where(task, both_), a);
  EXPECT_EQ(second_->attached, 1);
}

TEST_F(Subsystems, AReferenceKeepsTheCgroupAndItsReleaseBack) {
  const CgroupId a = Mkdir("/a", both_);
  EXPECT_THAT(registry_.SetNotifyOnRelease(a, true), IsOk());
  const auto css = registry_.CssOf(a, 0);
  ASSERT_TRUE(css->Get());
  Exit(StartIn(a));
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_THAT(Rmdir("/a", both_), FailsWith(EBUSY));
  css->Put();
  EXPECT_TRUE(Releasable(a));
  Look();
  EXPECT_EQ(Releases(a), 1u);
  EXPECT_THAT(Rmdir("/a", both_), IsOk());
  EXPECT_FALSE(css->Get());
}

TEST_F(Subsystems, TheLastPutReleasesACgroupThatNeverHadATask) {
  const CgroupId a = Mkdir("/a", both_);
  const auto css = registry_.CssOf(a, 1);
  ASSERT_TRUE(css->Get() && css->Get());
  css->Put();
  EXPECT_EQ(Releases(a), 0u);
  css->Put();
  EXPECT_EQ(Releases(a), 1u);
}

TEST_F(Subsystems, AReferenceThatIsRefusedInOneLeavesTheOthersOpen) {
  const CgroupId a = Mkdir("/a", both_);
  ASSERT_TRUE(registry_.CssOf(a, 1)->Get());
  EXPECT_THAT(Rmdir("/a", both_), FailsWith(EBUSY));
  EXPECT_TRUE(registry_.CssOf(a, 0)->Get());
  registry_.CssOf(a, 0)->Put();
  registry_.CssOf(a, 1)->Put();
}

TEST_F(Subsystems, ARootsReferencesAreNotCounted) {
  const auto css = registry_.CssOf(registry_.Root(both_).value(), 0);
  EXPECT_TRUE(css->Get());
  EXPECT_EQ(css->references(), 0);
  css->Put();
  EXPECT_THAT(registry_.DestroyHierarchy(both_), IsOk());
}

TEST_F(Subsystems, ReferencesAndRmdirHaveOneWinner) {
  constexpr int kRounds = 2000;
  for (int i = 0; i < kRounds; ++i) {
    const CgroupId a = Mkdir("/a", both_);
    const auto css = registry_.CssOf(a, 0);
    bool got = false;
    std::thread taker([&] { got = css->Get(); });
    const bool removed = Rmdir("/a", both_).has_value();
    taker.join();
    ASSERT_NE(got, removed);
    if (got) css->Put();
    if (!removed) {
      ASSERT_THAT(Rmdir("/a", both_), IsOk());
    }
  }
}

TEST_F(Subsystems, CloneMakesAChildWithTheTaskInItOrNothing) {
  const CgroupId a = Mkdir("/a", both_);
  EXPECT_THAT(registry_.SetNotifyOnRelease(a, true), IsOk());
  const Tid task = StartIn(a);
  const auto child = first_->groups->Clone(*first_, task);
  ASSERT_THAT(child, IsOk());
  EXPECT_EQ(Where(task, both_), *child);
  EXPECT_THAT(first_->said, ::testing::Contains("post-clone"));

  const Tid other = StartIn(a);
  second_->faults["can-attach"] = Recorder::Fault::kRefuse;
  EXPECT_THAT(registry_.Clone(both_, other), FailsWith(EXDEV));
  EXPECT_EQ(registry_.View(a)->children, 1u);
  EXPECT_EQ(Where(other, both_), a);
  second_->faults.clear();
  const std::uint64_t releases = Releases(a);
  EXPECT_EQ(releases, 0u);
}

TEST_F(Subsystems, CloneChildrenIsToldAtMkdir) {
  const CgroupId a = Mkdir("/a", both_);
  EXPECT_THAT(registry_.SetCloneChildren(a, true), IsOk());
  Mkdir("/a/b", both_);
  EXPECT_EQ(first_->said.back(), "post-clone");
}

TEST_F(Subsystems, TheTreeIsHeldStillWhileForksGoOn) {
  const CgroupId a = Mkdir("/a", both_);
  const CgroupId root = registry_.Root(both_).value();
  const auto css = registry_.CssOf(a, 0);
  const Tid task = StartIn(a);
  std::thread mover;
  {
    const auto hold = first_->groups->HoldTree();
    mover = std::thread([&] { EXPECT_THAT(registry_.Attach(root, task, {}), IsOk()); });
    const Tid child = Fork(task);
    EXPECT_THAT(hold->Tasks(*css), ElementsAre(task, child));
  }
  mover.join();
  EXPECT_EQ(Where(task, both_), root);
}

}  // namespace
}  // namespace corral
