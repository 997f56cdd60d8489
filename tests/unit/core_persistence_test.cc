// What a registry built from the journal of another that died knows: everything, and no release is
// lost or invented, wherever between two steps it died.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "core/looker.h"
#include "core/registry.h"
#include "core/rows.h"
#include "support/census.h"
#include "support/matchers.h"
#include "support/memory_journal.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::size_t kNever = 1'000'000;

// One machine and one journal; one daemon after the other.
class Keeping : public ::testing::Test, private Looker::Owner {
 protected:
  struct Life {
    Life(Tracker& machine, Journal& kept, std::size_t steps)
        : crash(steps), tracker(machine, crash), journal(kept, crash), registry(tracker, [] {}) {}
    CrashPoint crash;
    DyingTracker tracker;
    DyingJournal journal;
    Registry registry;
  };

  Keeping() { Restart(); }
  ~Keeping() override { EXPECT_THAT(machine_.Audit().differences, IsEmpty()); }

  // The daemon dies, if one lives, and another begins that will die before step `steps`.
  void Restart(std::size_t steps = kNever) {
    life_.reset();
    life_ = std::make_unique<Life>(machine_, kept_, kNever);
    BeforeKeep();
    ASSERT_THAT(Reg().Keep(life_->journal, {.name_of = [](const Dialect&) { return ""; },
                                            .find = [](std::string_view) { return nullptr; }}),
                IsOk());
    ASSERT_THAT(Reg().TellOfBirths(), IsOk());
    life_->crash = CrashPoint(steps);
  }
  virtual void BeforeKeep() {}
  Registry& Reg() { return life_->registry; }

  HierarchyId Hierarchy(const std::string& name, ReleaseRules rules = {}) {
    return Reg()
        .CreateHierarchy({.name = name, .release_agent = "/bin/agent", .rules = rules})
        .value();
  }
  CgroupId Mkdir(HierarchyId in, const std::string& name, bool notify = true) {
    const CgroupId made = Reg().Mkdir(Reg().Root(in).value(), name, {}).value();
    EXPECT_THAT(Reg().SetNotifyOnRelease(made, notify), IsOk());
    return made;
  }
  Tid Start() {
    const Tid task{next_tid_++};
    machine_.Start(task, Tgid{task.value});
    return task;
  }
  Tid StartIn(CgroupId cgroup) {
    const Tid task = Start();
    EXPECT_THAT(Reg().Attach(cgroup, task, {}), IsOk());
    return task;
  }
  void Dispatch(const Event& event) override {
    if (event.kind == Event::Kind::kReleased && event.auto_remove) (void)Reg().Remove(event.cgroup);
  }
  // What the daemon's looker and its agent thread do; what is handed over before it dies is told.
  void Look() {
    Looker looker(Reg(), *this);
    looker.Look();
    for (int i = 0; i < 2 && !looker.settled(); ++i) looker.Look();
    while (const auto next = Reg().queue().TryTake()) {
      const auto notification = Reg().BeginNotification(*next);
      if (!notification) continue;
      if (life_->crash.Step()) told_.push_back(notification->path);
      Reg().FinishNotification(notification->number);
    }
  }
  std::vector<std::string> Told() {
    Look();
    return std::exchange(told_, {});
  }

  InprocTracker machine_{{.tids = 8192, .sets = 64}};
  MemoryJournal kept_;
  std::unique_ptr<Life> life_;
  std::vector<std::string> told_;
  std::uint32_t next_tid_ = 100;
};

TEST_F(Keeping, AHierarchyAndItsGroupsAreAsTheyWere) {
  const HierarchyId jobs = Hierarchy("jobs");
  const CgroupId a = Mkdir(jobs, "a");
  const CgroupId b = Reg().Mkdir(a, "b\n/", {.auto_remove = true, .uid = 7, .mode = 0750}).value();
  ASSERT_THAT(Reg().SetCloneChildren(b, true), IsOk());
  ASSERT_THAT(Reg().Rename(Reg().Root(jobs).value(), "a", Reg().Root(jobs).value(), "z"), IsOk());
  ASSERT_THAT(Reg().SetReleaseAgent(jobs, "/bin/other"), IsOk());
  ASSERT_THAT(Reg().SetAgentUser(jobs, "nobody"), IsOk());
  const Tid task = StartIn(b);
  const Tid gone = StartIn(a);
  ASSERT_THAT(Reg().Attach(Reg().Root(jobs).value(), gone, {}), IsOk());  // a is releasable
  const HierarchyInfo before = Reg().InfoOf(jobs).value();

  Restart();
  const HierarchyInfo after = Reg().InfoOf(jobs).value();
  EXPECT_EQ(after.name, "jobs");
  EXPECT_EQ(after.root, before.root);
  EXPECT_EQ(after.release_agent, "/bin/other");
  EXPECT_EQ(after.agent_user, "nobody");
  EXPECT_EQ(after.cgroups, 3u);
  EXPECT_THAT(Reg().Resolve(jobs, "/z"), IsOkAndHolds(a));
  EXPECT_THAT(Reg().Child(a, "b\n/"), IsOkAndHolds(b));
  EXPECT_THAT(Reg().NotifyOnRelease(a), IsOkAndHolds(true));
  EXPECT_THAT(Reg().NotifyOnRelease(b), IsOkAndHolds(true));
  EXPECT_THAT(Reg().CloneChildren(b), IsOkAndHolds(true));
  EXPECT_THAT(Reg().Releasable(a), IsOkAndHolds(true));
  EXPECT_THAT(Reg().Releasable(b), IsOkAndHolds(false));
  EXPECT_TRUE(Reg().Info(b)->auto_remove);
  EXPECT_THAT(Reg().Tasks(b), IsOkAndHolds(ElementsAre(task)));
  EXPECT_TRUE(Reg().Events(a)->populated);
  EXPECT_EQ(Reg().View(b)->attributes.uid, 7u);
  EXPECT_EQ(Reg().View(b)->attributes.Of(Attributes::kDirectory).mode, 0750u);
  EXPECT_THAT(Told(), IsEmpty());
}

std::pair<time_t, long> In(const timespec& time) { return {time.tv_sec, time.tv_nsec}; }

TEST_F(Keeping, OwnersModesAndTimesAreAsTheyWere) {
  const HierarchyId jobs = Reg().CreateHierarchy({.name = "jobs"}).value();
  const CgroupId root = Reg().Root(jobs).value();
  const CgroupId a = Reg().Mkdir(root, "a", {.uid = 5, .gid = 6, .mode = 01750}).value();
  ASSERT_THAT(Reg().SetAttributes(a, 3, {.mode = 0600, .mtime = timespec{-5, 6}}), IsOk());
  ASSERT_THAT(Reg().SetAttributes(a, 3, {.gid = 9}), IsOk());
  ASSERT_THAT(Reg().SetAttributes(root, Attributes::kDirectory, {.uid = 1}), IsOk());
  const Attributes before = Reg().View(a)->attributes;
  const Attributes top = Reg().View(root)->attributes;
  ASSERT_EQ(In(before.Of(3).mtime), In({-5, 6}));
  ASSERT_EQ(before.Of(3).uid, 5u);

  Restart();
  const auto view = Reg().View(a).value();
  for (const unsigned slot : {Attributes::kDirectory, 1u, 3u}) {
    const NodeAttr was = before.Of(slot), is = view.attributes.Of(slot);
    EXPECT_EQ(is.mode, was.mode) << slot;
    EXPECT_EQ(is.uid, was.uid) << slot;
    EXPECT_EQ(is.gid, was.gid) << slot;
    EXPECT_EQ(In(is.atime), In(was.atime)) << slot;
    EXPECT_EQ(In(is.mtime), In(was.mtime)) << slot;
    EXPECT_EQ(In(is.ctime), In(was.ctime)) << slot;
  }
  EXPECT_EQ(view.attributes.Of(1).mode, std::nullopt) << "as it was made";
  EXPECT_EQ(view.attributes.ChangesOf(3)->uid, std::nullopt) << "what was not changed is not fixed";
  EXPECT_EQ(view.above.uid, 1u);
  EXPECT_EQ(In(Reg().View(root)->attributes.made), In(top.made));
  ASSERT_THAT(Reg().Remove(a), IsOk());
  const auto rows =
      std::ranges::count_if(kept_.rows, [](const auto& row) { return row.first.starts_with('g'); });
  EXPECT_EQ(rows, 1) << "the top's";
}

TEST_F(Keeping, QuotasAndWhatTheyCountAreAsTheyWere) {
  const HierarchyId jobs = Reg().CreateHierarchy({.name = "jobs", .quotas = {.depth = 3}}).value();
  const CgroupId a = Mkdir(jobs, "a");
  const CgroupId b = Reg().Mkdir(a, "b", {}).value();
  ASSERT_EQ(Reg().QuotasOf(a)->depth, 3u);
  ASSERT_THAT(Reg().SetQuota(a, &Quotas::depth, 2), IsOk());
  ASSERT_THAT(Reg().SetQuota(a, &Quotas::descendants, 2), IsOk());
  ASSERT_THAT(Reg().SetQuota(b, &Quotas::depth, 7), IsOk());
  Restart();
  EXPECT_EQ(Reg().QuotasOf(a)->descendants, 2u);
  EXPECT_EQ(Reg().QuotasOf(a)->depth, 2u);
  EXPECT_EQ(Reg().QuotasOf(b)->depth, 7u);
  const auto c = Reg().Mkdir(b, "c", {});
  ASSERT_THAT(c, IsOk());
  EXPECT_THAT(Reg().Mkdir(a, "d", {}), FailsWith(EAGAIN));
  EXPECT_EQ(Reg().InfoOf(jobs)->cgroups, 4u);
  ASSERT_THAT(Reg().SetQuota(a, &Quotas::descendants, kNoQuota), IsOk());
  EXPECT_THAT(Reg().Mkdir(*c, "e", {}), FailsWith(EAGAIN)) << "the depth of a";
  EXPECT_EQ(Reg().QuotasOf(Mkdir(jobs, "f"))->depth, 3u) << "what the hierarchy gives";
  ASSERT_THAT(Reg().Remove(*c), IsOk());
  EXPECT_THAT(Reg().ChildrenAfter(a, {}, 9), IsOkAndHolds(ElementsAre(testing::Pair("b", b))));
}

TEST_F(Keeping, IdsAreNeverUsedAgain) {
  const HierarchyId jobs = Hierarchy("jobs");
  const CgroupId a = Mkdir(jobs, "a");
  ASSERT_THAT(Reg().Remove(a), IsOk());
  const HierarchyId ended = Hierarchy("ended");
  ASSERT_THAT(Reg().DestroyHierarchy(ended), IsOk());
  Restart();
  EXPECT_GT(Mkdir(jobs, "a"), a);
  EXPECT_GT(Hierarchy("ended"), ended);
}

TEST_F(Keeping, WhatEmptiedWhileNobodyLookedIsToldOnce) {
  const HierarchyId jobs = Hierarchy("jobs");
  const CgroupId a = Mkdir(jobs, "a");
  const CgroupId stays = Mkdir(jobs, "stays");
  Mkdir(jobs, "unused");
  const Tid task = StartIn(a);
  StartIn(stays);
  life_.reset();
  machine_.Death(task);
  Restart();
  EXPECT_THAT(Told(), ElementsAre("/a"));
  EXPECT_EQ(Reg().Events(a)->releases, 1u);
  EXPECT_FALSE(Reg().Events(a)->populated);
  Restart();
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(Reg().Events(a)->releases, 1u);
}

TEST_F(Keeping, WhatWasDecidedAndNotToldWaitsForTheSameTasks) {
  const HierarchyId jobs = Hierarchy("jobs");
  const CgroupId a = Mkdir(jobs, "a");
  const Tid task = StartIn(a);
  machine_.BeginDeath(task);
  EXPECT_THAT(Told(), IsEmpty());
  ASSERT_THAT(Reg().SetNotifyOnRelease(a, false), IsOk());  // does not recall it
  Restart();
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_TRUE(Reg().Events(a)->populated);
  machine_.EndDeath(task);
  EXPECT_THAT(Told(), ElementsAre("/a"));
}

TEST_F(Keeping, TheParentOfARemovedGroupStillWaitsForItsLeavers) {
  const HierarchyId jobs = Hierarchy("jobs");
  const CgroupId a = Mkdir(jobs, "a");
  const CgroupId child = Reg().Mkdir(a, "child", {}).value();
  ASSERT_THAT(Reg().SetNotifyOnRelease(child, false), IsOk());
  const Tid task = StartIn(child);
  machine_.BeginDeath(task);
  ASSERT_THAT(Reg().Remove(child), IsOk());
  Restart();
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_TRUE(Reg().Events(a)->populated);
  machine_.EndDeath(task);
  EXPECT_THAT(Told(), ElementsAre("/a"));
  EXPECT_EQ(Reg().css_sets(), 1u) << "the set of the child is retired";
}

TEST_F(Keeping, OneThatWaitedIsToldInItsOrder) {
  const HierarchyId jobs = Hierarchy("jobs");
  for (const char* name : {"c", "a", "b"}) {
    machine_.Death(StartIn(Mkdir(jobs, name)));
    Reg().JudgeAll();
    Reg().Settle();
  }
  Restart();
  EXPECT_THAT(Told(), ElementsAre("/c", "/a", "/b"));
  Restart();
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(Keeping, OneThatWasBeingStartedIsToldAgainAsOneWithTheNext) {
  const HierarchyId jobs = Hierarchy("jobs");
  const CgroupId a = Mkdir(jobs, "a");
  machine_.Death(StartIn(a));
  Reg().JudgeAll();
  Reg().Settle();
  ASSERT_TRUE(Reg().BeginNotification(*Reg().queue().TryTake()));
  machine_.Death(StartIn(a));
  Reg().JudgeAll();
  Reg().Settle();
  Restart();
  EXPECT_THAT(Told(), ElementsAre("/a"));
}

TEST_F(Keeping, ANotificationOutlivesItsGroupAndItsHierarchy) {
  const HierarchyId h = Hierarchy("linux", {.outlives_removal = true});
  const CgroupId queued = Mkdir(h, "queued");
  const CgroupId leaving = Mkdir(h, "leaving");
  machine_.Death(StartIn(queued));
  Reg().JudgeAll();
  Reg().Settle();
  const Tid slow = StartIn(leaving);
  machine_.BeginDeath(slow);
  Reg().JudgeAll();
  Reg().Settle();
  ASSERT_THAT(Reg().Remove(queued), IsOk());
  ASSERT_THAT(Reg().Remove(leaving), IsOk());
  ASSERT_THAT(Reg().DestroyHierarchy(h), IsOk());
  Restart();
  EXPECT_THAT(Told(), ElementsAre("/queued"));
  Restart();
  machine_.EndDeath(slow);
  EXPECT_THAT(Told(), ElementsAre("/leaving"));
  Restart();
  EXPECT_THAT(Told(), IsEmpty());
  ASSERT_THAT(Reg().Mkdir(Reg().Root(Hierarchy("other")).value(), "x", {}), IsOk());
  for (const auto& [key, value] : kept_.rows) EXPECT_EQ(value.find("linux"), std::string::npos);
}

// Its only notification was begun: nothing of it waits any more.
class KeepingOneThatEnded : public Keeping {
 protected:
  void EndWhileStarting(ReleaseRules rules) {
    const HierarchyId h = Hierarchy("linux", rules);
    const CgroupId group = Mkdir(h, "group");
    machine_.Death(StartIn(group));
    Reg().JudgeAll();
    Reg().Settle();
    const auto begun = Reg().BeginNotification(*Reg().queue().TryTake());
    ASSERT_TRUE(begun);
    begun_ = begun->number;
    ASSERT_THAT(Reg().Remove(group), IsOk());
    ASSERT_THAT(Reg().DestroyHierarchy(h), IsOk());
    while (Reg().Settle()) continue;  // the group's css_set is retired
  }
  void ExpectNoRowOfIt() {
    for (const auto& [key, value] : kept_.rows) EXPECT_EQ(value.find("linux"), std::string::npos);
  }
  std::uint64_t begun_ = 0;
};

TEST_F(KeepingOneThatEnded, IsNotLiveAgainAndWhatWasBeingStartedIsToldAgain) {
  EndWhileStarting({.outlives_removal = true});
  Restart();
  EXPECT_THAT(Reg().Hierarchies(), IsEmpty());
  EXPECT_THAT(Told(), ElementsAre("/group"));
  ExpectNoRowOfIt();
  Restart();
  EXPECT_THAT(Reg().Hierarchies(), IsEmpty());
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(KeepingOneThatEnded, IsNotLiveAgainWhereARemovedGroupIsNotTold) {
  EndWhileStarting({});
  Restart();
  EXPECT_THAT(Reg().Hierarchies(), IsEmpty());
  EXPECT_THAT(Told(), IsEmpty());
  ExpectNoRowOfIt();
}

TEST_F(KeepingOneThatEnded, IsForgottenByTheNextDaemonIfNothingIsOwedToItAnyMore) {
  EndWhileStarting({.outlives_removal = true});
  std::erase_if(kept_.rows, [](const auto& row) {
    return row.first.front() == static_cast<char>(RowKind::kNotification);
  });
  Restart();
  Hierarchy("other");
  ExpectNoRowOfIt();
}

TEST_F(KeepingOneThatEnded, IsForgottenOnceThatIsThrough) {
  EndWhileStarting({.outlives_removal = true});
  const std::size_t commits = kept_.commits;
  Reg().JudgeAll();
  EXPECT_EQ(kept_.commits, commits) << "an operation that changes nothing writes nothing";
  Reg().FinishNotification(begun_);
  ExpectNoRowOfIt();
  Restart();
  EXPECT_THAT(Reg().Hierarchies(), IsEmpty());
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(Keeping, ARunsGroupThatWasToldAndNotRemovedIsRemoved) {
  const HierarchyId jobs = Hierarchy("jobs");
  const CgroupId run = Reg().Mkdir(Reg().Root(jobs).value(), "run", {.auto_remove = true}).value();
  machine_.Death(StartIn(run));
  Reg().JudgeAll();
  Reg().Settle();  // told; and here it dies
  Restart();
  Look();
  EXPECT_FALSE(Reg().Exists(run));
}

TEST_F(Keeping, AFullJournalRefusesWhatIsNewAndKeepsTheRestForLater) {
  const HierarchyId jobs = Hierarchy("jobs");
  const CgroupId root = Reg().Root(jobs).value();
  const CgroupId a = Mkdir(jobs, "a");
  const Tid task = Start();
  kept_.fail = ENOSPC;
  EXPECT_THAT(Reg().Mkdir(root, "b", {}), FailsWith(ENOSPC));
  EXPECT_THAT(Reg().Child(root, "b"), FailsWith(ENOENT));
  EXPECT_THAT(Reg().CreateHierarchy({.name = "more"}), FailsWith(ENOSPC));
  EXPECT_THAT(Reg().Attach(a, task, {}), FailsWith(ENOSPC));
  EXPECT_THAT(Reg().Tasks(a), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(Reg().Rename(root, "a", root, "z"), IsOk());
  kept_.fail = 0;
  EXPECT_THAT(Reg().Mkdir(root, "b", {}), IsOk());
  Restart();
  EXPECT_THAT(Reg().Resolve(jobs, "/z"), IsOkAndHolds(a));
  EXPECT_THAT(Reg().Attach(a, task, {}), IsOk());
}

// Takes a reference to each css that is cloned, before anybody knows whether it can be kept.
struct Holder final : Subsystem {
  std::string_view name() const override { return "holder"; }
  Result<std::unique_ptr<Css>> Create(const NewCss&) override {
    struct Plain final : Css {};
    return std::make_unique<Plain>();
  }
  void PostClone(Css& css) override { (void)css.Get(); }
};

TEST(KeepingReferences, DoNotKeepWhatCouldNotBeKept) {
  InprocTracker machine({.tids = 1024, .sets = 64});
  MemoryJournal journal;
  Registry registry(machine, [] {});
  ASSERT_THAT(registry.Register(std::make_shared<Holder>(), Registry::Births::kToldLater), IsOk());
  ASSERT_THAT(registry.Keep(journal, {[](const Dialect&) { return std::string(); },
                                      [](std::string_view) -> const Dialect* { return nullptr; }}),
              IsOk());
  const auto jobs =
      registry.CreateHierarchy({.name = "jobs", .subsystems = 1, .clone_children = true});
  const CgroupId root = registry.Root(jobs.value()).value();
  journal.fail = ENOSPC;
  EXPECT_THAT(registry.Mkdir(root, "a", {}), FailsWith(ENOSPC));
  EXPECT_THAT(registry.Child(root, "a"), FailsWith(ENOENT));
  journal.fail = 0;
  EXPECT_THAT(registry.Mkdir(root, "a", {}), IsOk());
}

TEST_F(Keeping, RowsOfAnotherFormatAreRefusedByName) {
  Mkdir(Hierarchy("jobs"), "a");
  life_.reset();
  RowWriter row;
  MetaRow other{.format = kRowFormat + 1, .cgroup = 7, .hierarchy = 7};
  MetaFields(row, other);
  kept_.rows[RowKey(RowKind::kMeta, 0)] = row.Take();
  Registry registry(machine_, [] {});
  const auto kept = registry.Keep(kept_, {});
  EXPECT_THAT(kept, FailsWith(EBADMSG));
  EXPECT_THAT(kept.error().message, HasSubstr(fmt::format("format {}", kRowFormat + 1)));
}

TEST_F(Keeping, ADamagedRowIsAnErrorThatNamesIt) {
  Mkdir(Hierarchy("jobs"), "a");
  life_.reset();
  const auto good = kept_.rows;
  for (const auto& [key, value] : good) {
    for (const std::size_t size : {std::size_t{0}, value.size() / 2}) {
      if (key.front() == 'f' || key.front() == 'g') continue;
      kept_.rows = good;
      kept_.rows[key].resize(size);
      Registry registry(machine_, [] {});
      EXPECT_THAT(registry.Keep(kept_, {}), FailsWith(EBADMSG)) << key;
    }
  }
  kept_.rows = good;
  Restart();
}

// ---- subsystems that want forks (spec 13.3)

class KeepingForks : public Keeping {
 protected:
  KeepingForks() { Restart(); }  // with the subsystems
  ~KeepingForks() override { ExpectRightCounts(); }

  void BeforeKeep() override {
    all_.clear();
    for (const std::string& name : names_) {
      all_.push_back(std::make_shared<Census>(name));
      ASSERT_THAT(Reg().Register(all_.back(), Registry::Births::kToldLater), IsOk());
    }
  }
  HierarchyId Bound(const std::string& name, SubsystemSet subsystems) {
    return Reg().CreateHierarchy({.name = name, .subsystems = subsystems}).value();
  }
  // What each was told of every cgroup is what is there; nobody heard of a task twice.
  void ExpectRightCounts() {
    for (const HierarchyInfo& info : Reg().Hierarchies()) {
      const std::vector<TreeNode> nodes = Reg().Subtree(info.root).value();
      for (const TreeNode& node : nodes) {
        for (std::size_t i = 0; i < all_.size(); ++i) {
          const auto css = Reg().CssOf(node.id, i);
          if (!css) continue;
          EXPECT_EQ(Census::TasksOf(*css), static_cast<int>(Reg().Tasks(node.id)->size()))
              << names_[i] << " in " << Reg().PathOf(node.id).value();
        }
      }
    }
    for (const auto& census : all_) EXPECT_EQ(census->impossible, 0);
  }
  void Birth(Tid parent) {
    const Tid child{next_tid_++};
    EXPECT_THAT(machine_.Birth(parent, child, Tgid{child.value}), IsOk());
  }
  int Told(CgroupId cgroup, std::size_t number) {
    return Census::TasksOf(*Reg().CssOf(cgroup, number));
  }

  std::vector<std::string> names_ = {"one", "other"};
  std::vector<std::shared_ptr<Census>> all_;
};

TEST_F(KeepingForks, HearOfEachTaskOnceAndWhereItIs) {
  const HierarchyId h = Bound("h", 1);
  const HierarchyId g = Bound("g", 2);
  const CgroupId a = Mkdir(h, "a");
  const CgroupId b = Reg().Mkdir(a, "b", {}).value();
  const CgroupId x = Mkdir(g, "x");
  const Tid in_a = StartIn(a);
  const Tid in_b = StartIn(b);
  const Tid elsewhere = Start();
  ASSERT_THAT(Reg().Attach(x, in_b, {}), IsOk());

  Restart();
  for (const auto& census : all_) {  // its css, one for each cgroup, before the first task
    EXPECT_EQ(std::ranges::count(census->said, "fork"), 3);
    EXPECT_EQ(
        census->said.size() - static_cast<std::size_t>(std::ranges::count(census->said, "create")),
        3u);
    EXPECT_TRUE(std::ranges::is_sorted(census->said)) << "create, then fork";
  }
  EXPECT_EQ(Told(a, 0), 1);
  EXPECT_EQ(Told(b, 0), 1);
  EXPECT_EQ(Told(x, 1), 1);
  ExpectRightCounts();
  Birth(in_a);
  Birth(in_b);
  Birth(elsewhere);
  EXPECT_EQ(Told(a, 0), 2);
  EXPECT_EQ(Told(x, 1), 2);
  ExpectRightCounts();
  machine_.Death(in_b);
  EXPECT_EQ(Told(b, 0), 1);
  ExpectRightCounts();
  ASSERT_THAT(Reg().Attach(b, in_a, {}), IsOk());
  ExpectRightCounts();
}

TEST_F(KeepingForks, OneThatIsNewIsToldOfTheRootUntilItIsBound) {
  const HierarchyId h = Bound("h", 1);
  const CgroupId a = Mkdir(h, "a");
  const Tid task = StartIn(a);
  names_.push_back("new");
  Restart();
  EXPECT_EQ(all_[2]->known(), 1u);
  const HierarchyId g = Bound("g", 4);
  const CgroupId x = Mkdir(g, "x");
  ASSERT_THAT(Reg().Attach(x, task, {}), IsOk());
  EXPECT_EQ(Told(x, 2), 1);
  Birth(task);
  ExpectRightCounts();
  Restart();
  EXPECT_EQ(Told(x, 2), 2);
  EXPECT_EQ(Told(a, 0), 2);
}

TEST_F(KeepingForks, OneThatIsGoneIsNamed) {
  Mkdir(Bound("h", 2), "a");
  life_.reset();
  Registry registry(machine_, [] {});
  ASSERT_THAT(registry.Register(std::make_shared<Census>("one")), IsOk()) << "told at once";
  Registry later(machine_, [] {});
  ASSERT_THAT(later.Register(std::make_shared<Census>("one"), Registry::Births::kToldLater),
              IsOk());
  const auto kept = later.Keep(kept_, {});
  ASSERT_THAT(kept, FailsWith(ENODEV));
  EXPECT_NE(kept.error().message.find("'other'"), std::string::npos) << kept.error().message;
  Restart();
}

// In another order: the numbers are not those of before.
TEST_F(KeepingForks, AreFoundByNameAndNotByNumber) {
  const HierarchyId h = Bound("h", 1);
  const CgroupId a = Mkdir(h, "a");
  const Tid task = StartIn(a);
  names_ = {"before", "other", "one"};
  Restart();
  EXPECT_EQ(Told(a, 2), 1);
  Birth(task);
  EXPECT_EQ(Told(a, 2), 2);
}

TEST_F(KeepingForks, ASetThatIsToBeRetiredMayNameACgroupThatIsGone) {
  const HierarchyId h = Bound("h", 1);
  const HierarchyId g = Bound("g", 2);
  const CgroupId a = Mkdir(h, "a");
  const CgroupId x = Mkdir(g, "x");
  const Tid slow = StartIn(a);
  ASSERT_THAT(Reg().Attach(x, slow, {}), IsOk());
  machine_.BeginDeath(slow);
  ASSERT_THAT(Reg().Remove(a), IsOk());
  const Tid task = StartIn(x);
  Restart();
  EXPECT_EQ(Told(x, 1), 1);
  ExpectRightCounts();
  ASSERT_THAT(Reg().Rebind(h, 0), IsOk());  // a remount
  ASSERT_THAT(Reg().Rebind(h, 1), IsOk());
  const CgroupId again = Mkdir(h, "a");
  ASSERT_THAT(Reg().Attach(again, task, {}), IsOk());
  EXPECT_EQ(Told(again, 0), 1);
  machine_.EndDeath(slow);
  Look();
  ExpectRightCounts();
}

TEST_F(KeepingForks, CountRightAfterACrashAtAnyStepOfAMove) {
  const HierarchyId h = Bound("h", 1);
  const CgroupId a = Mkdir(h, "a");
  const CgroupId b = Mkdir(h, "b");
  const Tid task = StartIn(a);
  Birth(task);
  for (std::size_t step = 0; step < 8; ++step) {
    SCOPED_TRACE(step);
    Restart(step);
    (void)Reg().Attach(step % 2 ? a : b, task, {});
    Restart();
    EXPECT_EQ(Told(a, 0) + Told(b, 0), 2);
    ExpectRightCounts();
  }
}

// ---- it dies between any two steps: commits, moves, drains, hand-overs

class Crash : public Keeping {
 protected:
  // Runs `story` from the same beginning with a crash before each of its steps, until it comes
  // through; then `check` on the successor, with whether the story was cut short.
  void EachStep(const std::function<void()>& begin, const std::function<void()>& story,
                const std::function<void()>& check) {
    for (std::size_t step = 0; step < 100; ++step) {
      SCOPED_TRACE("crash before step " + std::to_string(step));
      begin();
      Restart(step);
      told_.clear();
      story();
      const bool through = !life_->crash.dead();
      Restart();
      check();
      EXPECT_THAT(machine_.Audit().differences, IsEmpty());
      if (through) return;
    }
    FAIL() << "it never came through";
  }
  CgroupId Fresh() { return Mkdir(jobs_, "g" + std::to_string(serial_++)); }
  std::string PathOf(CgroupId id) { return Reg().PathOf(id).value_or("?"); }

  HierarchyId jobs_ = Hierarchy("jobs");
  int serial_ = 0;
};

TEST_F(Crash, InAttachLeavesTheTaskInOneOfTheTwoAndInventsNoRelease) {
  CgroupId from, to;
  Tid task;
  EachStep(
      [&] {
        from = Fresh();
        to = Fresh();
        task = StartIn(from);
        Look();
      },
      [&] { (void)Reg().Attach(to, task, {}); },
      [&] {
        const bool moved = Reg().CgroupOf(task, jobs_).value() == to;
        EXPECT_TRUE(moved || Reg().CgroupOf(task, jobs_).value() == from);
        const auto told = Told();
        EXPECT_EQ(told, moved ? std::vector{PathOf(from)} : std::vector<std::string>());
        machine_.Death(task);
        EXPECT_THAT(Told(), ElementsAre(PathOf(moved ? to : from)));
      });
}

TEST_F(Crash, InAWholeProcessAttachLosesNobodyAndInventsNoRelease) {
  CgroupId from, to;
  std::vector<Tid> threads;
  EachStep(
      [&] {
        from = Fresh();
        to = Fresh();
        threads = {StartIn(from)};
        for (int i = 0; i < 3; ++i) {
          threads.push_back(Tid{next_tid_++});
          machine_.Birth(threads[0], threads.back(), Tgid{threads[0].value});
        }
        Look();
      },
      [&] { (void)Reg().AttachProcess(to, threads[0], {}); },
      [&] {
        const std::size_t stayed = Reg().Tasks(from)->size();
        EXPECT_EQ(stayed + Reg().Tasks(to)->size(), threads.size());
        EXPECT_EQ(Told().size(), stayed == 0 ? 1u : 0u);
        ASSERT_THAT(Reg().AttachProcess(to, threads[0], {}), IsOk());  // asked again, it is whole
        EXPECT_EQ(Reg().Tasks(to)->size(), threads.size());
        EXPECT_EQ(Told().size(), stayed == 0 ? 0u : 1u);
        for (const Tid thread : threads) machine_.Death(thread);
        EXPECT_THAT(Told(), ElementsAre(PathOf(to)));
      });
}

TEST_F(Crash, InAVerdictOrANotificationTellsOnceOrTwice) {
  CgroupId group;
  Tid task;
  EachStep(
      [&] {
        group = Fresh();
        task = StartIn(group);
      },
      [&] {
        machine_.Death(task);
        Look();
      },
      [&] {
        Look();
        EXPECT_THAT(told_.size(), ::testing::AnyOf(1u, 2u));
        for (const std::string& path : told_) EXPECT_EQ(path, PathOf(group));
        EXPECT_EQ(Reg().Events(group)->releases, 1u);
        told_.clear();
        EXPECT_THAT(Told(), IsEmpty());
      });
}

TEST_F(Crash, InMkdirRenameAndRmdirLeavesAllOrNothing) {
  CgroupId parent;
  EachStep([&] { parent = Fresh(); },
           [&] {
             (void)Reg().Mkdir(parent, "a", {.uid = 7});
             (void)Reg().Rename(parent, "a", parent, "b");
             (void)Reg().Rmdir(parent, "b");
             Look();
           },
           [&] {
             const auto children = Reg().Children(parent).value();
             ASSERT_LE(children.size(), 1u);
             const bool removed = Reg().Releasable(parent).value();
             if (!children.empty()) {
               EXPECT_FALSE(removed);
             }
             Look();
             EXPECT_EQ(told_.empty(), !removed);
             if (!children.empty()) {
               EXPECT_EQ(Reg().View(children[0].second)->attributes.uid, 7u);
               EXPECT_THAT(Reg().Remove(children[0].second), IsOk());
               EXPECT_THAT(Told(), ElementsAre(PathOf(parent)));
             }
           });
}

TEST_F(Crash, AmongSetsThatAreRetiredAndReusedMixesNothingUp) {
  const HierarchyId other = Hierarchy("other");
  const CgroupId room = Mkdir(other, "room");
  CgroupId group;
  Tid task;
  EachStep(
      [&] {
        group = Fresh();
        task = StartIn(group);
        ASSERT_THAT(Reg().Attach(room, task, {}), IsOk());
        Told();
      },
      [&] {
        (void)Reg().Attach(Reg().Root(jobs_).value(), task, {});
        Look();
        (void)Reg().Remove(group);
        Look();
        const auto next =
            Reg().Mkdir(Reg().Root(jobs_).value(), "next" + std::to_string(serial_), {});
        if (next) (void)Reg().Attach(*next, task, {});
        Look();
      },
      [&] {
        EXPECT_THAT(Reg().Tasks(room), IsOkAndHolds(ElementsAre(task)));
        Told();
        machine_.Death(task);
        EXPECT_THAT(Told(), ::testing::Contains("/room"));
        ++serial_;
      });
}

}  // namespace
}  // namespace corral
