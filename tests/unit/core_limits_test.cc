// What the core tells a tracker that keeps births within limits by itself: the limits of the tree,
// in css_sets, before any task can be where they hold.
#include <corral/subsystem.h>

#include "support/core_fixture.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kNone = Css::kNoTaskLimit;

class Limiting final : public Subsystem {
 public:
  explicit Limiting(std::string name) : name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  Result<void> Start(Groups& given) override {
    groups = &given;
    return {};
  }
  Result<std::unique_ptr<Css>> Create(const NewCss&) override { return std::make_unique<Css>(); }

  Groups* groups = nullptr;

 private:
  const std::string name_;
};

class Limits : public CoreTest {
 protected:
  Limits() {
    tracker_.limits_births = true;
    EXPECT_THAT(registry_.Register(limiting_), IsOk());
    EXPECT_THAT(registry_.Register(other_), IsOk());
    limited_ = registry_.CreateHierarchy({.name = "limited", .subsystems = 1}).value();
  }
  CgroupId Mk(const std::string& path) { return Mkdir(path, limited_); }
  Css& CssAt(const std::string& path) { return *registry_.CssOf(At(path, limited_), 0); }
  Result<void> Set(const std::string& path, std::uint64_t max) {
    return limiting_->groups->LimitTasks(CssAt(path), max);
  }
  Result<std::uint64_t> LetIn(const std::string& path) {
    return limiting_->groups->TasksLetIn(CssAt(path));
  }

  // "MAX(TASKS[, MAX(...)])" of each outermost limit: how many tasks its sets count.
  std::vector<std::string> Told() const {
    std::vector<std::string> outermost;
    for (std::size_t i = 0; i < tracker_.limits.limits.size(); ++i) {
      if (tracker_.limits.limits[i].outer == 0) outermost.push_back(Text(i));
    }
    return outermost;
  }

  std::shared_ptr<Limiting> limiting_ = std::make_shared<Limiting>("limiting");
  std::shared_ptr<Limiting> other_ = std::make_shared<Limiting>("other");
  HierarchyId limited_;

 private:
  std::string Text(std::size_t at) const {
    const TaskLimits& all = tracker_.limits;
    const TaskLimit& limit = all.limits[at];
    std::uint64_t tasks = 0;
    for (std::uint32_t i = limit.first; i < limit.end; ++i) {
      tasks += tracker_.Count(all.sets[i].set).count;
      // Its innermost limit is this one or inside it.
      std::uint32_t up = all.sets[i].innermost;
      while (up != 0 && up != at + 1) up = all.limits[up - 1].outer;
      EXPECT_EQ(up, at + 1);
    }
    std::string text = fmt::format("{}({}", limit.max, tasks);
    for (std::size_t i = at + 1; i < all.limits.size(); ++i) {
      if (all.limits[i].outer == at + 1) text += ", " + Text(i);
    }
    return text + ")";
  }
};

TEST_F(Limits, AreToldWithAllThatIsBelow) {
  StartIn(Mk("/free"));
  Mk("/a");
  Mk("/a/b");
  StartIn(Mk("/a/b/c"));
  StartIn(At("/a/b/c", limited_));
  StartIn(At("/a", limited_));
  ASSERT_THAT(Set("/a", 7), IsOk());
  ASSERT_THAT(Set("/a/b/c", 3), IsOk());
  EXPECT_THAT(Told(), ElementsAre("7(3, 3(2))"));
  ASSERT_THAT(Set("/a", kNone), IsOk());
  EXPECT_THAT(Told(), ElementsAre("3(2)"));
  ASSERT_THAT(Set("/a/b/c", kNone), IsOk());
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(Limits, HoldForASetBeforeATaskIsInIt) {
  ASSERT_THAT((Mk("/a"), Set("/a", 2)), IsOk());
  EXPECT_THAT(Told(), IsEmpty()) << "nobody can meet it yet";
  std::size_t limited = 0;
  tracker_.before_move = [&](Tid) { limited = tracker_.limits.sets.size(); };
  const Tid task = StartIn(At("/a", limited_));
  EXPECT_EQ(limited, 1u) << "its set was limited before it was there";
  // Another hierarchy's move gives it another set.
  ASSERT_THAT(Attach(Mkdir("/job"), task), IsOk());
  EXPECT_EQ(limited, 2u);
  EXPECT_THAT(Told(), ElementsAre("2(1)"));
}

TEST_F(Limits, ThatTheTrackerRefusesRefuseTheMove) {
  ASSERT_THAT((Mk("/a"), Set("/a", 2)), IsOk());
  const Tid task = Start();
  tracker_.fail_next_limits = {ENOSPC};
  EXPECT_THAT(Attach(At("/a", limited_), task), FailsWith(ENOSPC));
  EXPECT_EQ(Where(task, limited_), At("/", limited_));
  const std::size_t sets = registry_.css_sets();
  EXPECT_THAT(Attach(At("/a", limited_), task), IsOk());
  EXPECT_EQ(registry_.css_sets(), sets + 1) << "nothing was left of the moves before";
  EXPECT_THAT(Told(), ElementsAre("2(1)"));
}

TEST_F(Limits, ThatTheTrackerRefusesAreWhatTheyWere) {
  ASSERT_THAT((Mk("/a"), Set("/a", 2)), IsOk());
  StartIn(At("/a", limited_));
  tracker_.fail_next_limits = {ENOSPC};
  EXPECT_THAT(Set("/a", 3), FailsWith(ENOSPC));
  EXPECT_EQ(CssAt("/a").task_limit(), 2u);
  EXPECT_THAT(Told(), ElementsAre("2(1)"));
}

TEST_F(Limits, AreOfOneSubsystemAtATime) {
  const HierarchyId others = registry_.CreateHierarchy({.name = "others", .subsystems = 2}).value();
  Css& elsewhere = *registry_.CssOf(Mkdir("/b", others), 1);
  ASSERT_THAT((Mk("/a"), Set("/a", 2)), IsOk());
  StartIn(At("/a", limited_));
  EXPECT_THAT(other_->groups->LimitTasks(elsewhere, 1), FailsWith(EBUSY));
  EXPECT_EQ(elsewhere.task_limit(), kNone);
  EXPECT_THAT(Told(), ElementsAre("2(1)"));
  ASSERT_THAT(Set("/a", kNone), IsOk());
  EXPECT_THAT(other_->groups->LimitTasks(elsewhere, 1), IsOk()) << "nobody else limits any more";
}

TEST_F(Limits, AreNotOfARootAndNotOfWhatIsGone) {
  EXPECT_THAT(Set("/", 2), FailsWith(EINVAL));
  Mk("/a");
  const auto css = registry_.CssOf(At("/a", limited_), 0);
  ASSERT_THAT(Rmdir("/a", limited_), IsOk());
  EXPECT_THAT(limiting_->groups->LimitTasks(*css, 2), FailsWith(ENODEV));
  const auto unbound = registry_.CssOf(At("/", limited_), 0);
  ASSERT_THAT(registry_.DestroyHierarchy(limited_), IsOk());
  EXPECT_THAT(limiting_->groups->LimitTasks(*unbound, 2), FailsWith(ENODEV));
}

TEST_F(Limits, AreInheritedByAChild) {
  ASSERT_THAT((Mk("/a"), Set("/a", 2)), IsOk());
  EXPECT_EQ((Mk("/a/b"), CssAt("/a/b").task_limit()), 2u);
  StartIn(At("/a/b", limited_));
  EXPECT_THAT(Told(), ElementsAre("2(1, 2(1))"));
}

TEST_F(Limits, CostNothingWhereTheTrackerKeepsNone) {
  tracker_.limits_births = false;
  EXPECT_THAT((Mk("/a"), Set("/a", 2)), FailsWith(ENOTSUP));
  EXPECT_EQ(CssAt("/a").task_limit(), 2u) << "kept to be read";
  tracker_.fail_next_limits = {EIO};  // nobody asks
  StartIn(At("/a", limited_));
  EXPECT_EQ(tracker_.fail_next_limits.size(), 1u);
}

TEST_F(Limits, AreToldOnlyWhereATaskCanMeetThem) {
  ASSERT_THAT((Mk("/a"), Set("/a", 2)), IsOk());
  for (int i = 0; i < 100; ++i) {  // more than there are numbers
    const std::string path = "/a/" + std::to_string(i);
    ASSERT_THAT((Mk(path), Set(path, 1)), IsOk());
  }
  const Tid task = StartIn(At("/a/7", limited_));
  EXPECT_THAT(Told(), ElementsAre("2(1, 1(1))"));
  tracker_.fail_next_limits = {EIO};
  StartIn(Mkdir("/job"));  // nowhere near a limit: nothing is told
  EXPECT_EQ(tracker_.fail_next_limits.size(), 1u);
  tracker_.fail_next_limits.clear();
  Exit(task);
  Look();
  ASSERT_THAT(Rmdir("/a/7", limited_), IsOk());
  for (int i = 0; i < 100; ++i) (void)Rmdir("/a/" + std::to_string(i), limited_);
  ASSERT_THAT(Rmdir("/a", limited_), IsOk());
  EXPECT_THAT(Told(), IsEmpty()) << "births pay nothing any more";
}

TEST_F(Limits, CountWhatEachHasStoppedAlsoUnderAUsedNumber) {
  const auto begin = [&] {
    ASSERT_THAT((Mk("/a"), Set("/a", 2)), IsOk());
    Exit(StartIn(At("/a", limited_)));
    Look();
  };
  begin();
  const auto refused = [&] { return limiting_->groups->RefusedBirths(CssAt("/a")); };
  const std::uint32_t number = tracker_.limits.limits.at(0).number;
  EXPECT_EQ(refused(), 0u);
  tracker_.refused_births[number] = 5;
  EXPECT_EQ(refused(), 5u);
  ASSERT_THAT(Rmdir("/a", limited_), IsOk());
  begin();
  ASSERT_EQ(tracker_.limits.limits.at(0).number, number);
  EXPECT_EQ(refused(), 0u);
  tracker_.refused_births[number] = 6;
  EXPECT_EQ(refused(), 1u);
}

TEST_F(Limits, GoWithTheBinding) {
  StartIn((Mk("/a"), At("/a", limited_)));
  ASSERT_THAT(Set("/a", 2), IsOk());
  Exit(Tasks(At("/a", limited_)).at(0));
  Look();
  ASSERT_THAT(Rmdir("/a", limited_), IsOk());
  ASSERT_THAT(registry_.DestroyHierarchy(limited_), IsOk());
  StartIn(Mkdir("/job"));  // a set made, perhaps under the old one's number
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(Limits, DoNotCountNewbornsThatTheyStopped) {
  Mk("/a");
  const CgroupId b = Mk("/a/b");
  const Tid parent = StartIn(b);
  const Tid stopped = Fork(parent);
  const Tid child = Fork(parent);
  EXPECT_THAT(LetIn("/a"), IsOkAndHolds(3u));
  tracker_.not_let_in = {stopped};
  EXPECT_THAT(LetIn("/a"), IsOkAndHolds(2u));
  ASSERT_THAT(Set("/a/b", 1), IsOk());
  EXPECT_THAT(LetIn("/a/b"), IsOkAndHolds(2u)) << "who is in is in";
  EXPECT_EQ(Tasks(b).size(), 3u) << "it is there until it is gone";
  Exit(stopped);
  tracker_.not_let_in.clear();
  EXPECT_THAT(LetIn("/a"), IsOkAndHolds(2u));
  Exit(child);
  EXPECT_THAT(LetIn("/a"), IsOkAndHolds(1u));
}

// One ends while they are listed, and another is born in its place.
TEST_F(Limits, AreNotExceededByAListOfTwoMoments) {
  const CgroupId a = Mk("/a");
  const Tid ended = StartIn(a);
  const Tid parent = StartIn(a);
  Fork(parent);
  ASSERT_THAT(Set("/a", 2), IsOk());
  EXPECT_THAT(LetIn("/a"), IsOkAndHolds(3u)) << "all of them are there";
  const std::size_t first = tracker_.passes + 1;
  tracker_.before_pass = [&](std::size_t pass) {
    if (pass == first + 1) Exit(ended);
  };
  EXPECT_THAT(LetIn("/a"), IsOkAndHolds(2u));
}

}  // namespace
}  // namespace corral
