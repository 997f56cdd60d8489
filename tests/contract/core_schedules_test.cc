// Schedules over the registry, one by one: directories, verdicts and reused ids exactly between
// two steps of a birth.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/looker.h"
#include "core/registry.h"
#include "support/interleave.h"
#include "support/matchers.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Tid kParent{10};
constexpr Tid kChild{20};
constexpr Tid kOther{30};
constexpr int kMostSteps = 20;  // of a birth that was moved once

struct Machine {
  Machine() {
    for (const Tid tid : {kParent, kOther}) tracker.Start(tid, Tgid{tid.value});
  }
  CgroupId Mkdir(CgroupId parent, const char* name) {
    return registry.Mkdir(parent, name, {}).value();
  }
  bool Attach(CgroupId to, Tid task) { return registry.Attach(to, task, {}).has_value(); }
  void Fork() { tracker.Birth(kParent, kChild, Tgid{kChild.value}); }
  void Look() { Looker(registry).Look(); }
  std::uint64_t Releases(CgroupId id) { return registry.Info(id).value().releases; }

  InprocTracker tracker{{.tids = 64, .sets = 16}};
  Registry registry{tracker, [] {}};
  CgroupId root = registry.Root(registry.CreateHierarchy({.name = "jobs"}).value()).value();
  CgroupId other = registry.Root(registry.CreateHierarchy({.name = "other"}).value()).value();
};

// Calls `test` for every two steps of a birth; how often it says that it met its case.
template <typename Test>
int AtAnyTwoSteps(Test test) {
  int met = 0;
  for (int first = 1; first <= kMostSteps; ++first) {
    for (int second = first + 1; second <= kMostSteps; ++second) {
      SCOPED_TRACE(first * 100 + second);
      if (test(first, second)) ++met;
    }
  }
  return met;
}

// A birth's raise hides from the announcement that a group is idle, and comes to nothing
// afterwards: that is no leave, and still `populated` must not stay.
TEST(CoreSchedules, PopulatedDoesNotStayBecauseOfARaiseThatCameToNothing) {
  const int met = AtAnyTwoSteps([](int first, int second) {
    Machine m;
    const CgroupId job = m.Mkdir(m.root, "job");
    EXPECT_TRUE(m.Attach(job, kParent));
    bool left = false;
    bool hidden = false;
    {
      AtSteps script({{first, [&] { left = m.Attach(m.root, kParent); }},
                      {second, [&] {
                         m.registry.Settle();
                         hidden = m.registry.Info(job)->populated;
                       }}});
      m.Fork();
    }
    m.Look();
    if (!left) return false;
    EXPECT_FALSE(m.registry.Info(job)->populated);
    EXPECT_EQ(m.Releases(job), 1u);
    return hidden;
  });
  EXPECT_GE(met, 1);
}

// 4.2: a set that a birth has read is retired, and its id stands for another group, before the
// birth raises it. The newborn is not in that group, and the group is told when it empties.
TEST(CoreSchedules, ABirthDoesNotEnterTheGroupThatGotTheIdOfItsSet) {
  const int met = AtAnyTwoSteps([](int first, int second) {
    Machine m;
    const CgroupId job = m.Mkdir(m.root, "job");
    EXPECT_TRUE(m.Attach(job, kParent));
    const CssSetId set = m.tracker.Describe(kParent)->set;
    CgroupId next;
    {
      AtSteps script({{first,
                       [&] {
                         if (m.Attach(m.root, kParent)) m.Look();
                         if (m.tracker.Count(set).count != 0) return;
                         EXPECT_THAT(m.registry.Rmdir(m.root, "job"), IsOk());
                         m.Look();  // the id is free
                       }},
                      {second, [&] {
                         if (m.registry.Exists(job)) return;
                         next = m.Mkdir(m.root, "next");
                         EXPECT_TRUE(m.Attach(next, kOther));
                       }}});
      m.Fork();
    }
    if (next.value == 0 || m.tracker.Describe(kOther)->set != set) return false;
    EXPECT_THAT(m.registry.Tasks(next).value(), ElementsAre(kOther));
    EXPECT_THAT(m.registry.Tasks(m.root).value(), ElementsAre(kParent, kChild));
    EXPECT_EQ(m.tracker.Count(set).count, 1u);
    m.Look();
    EXPECT_EQ(m.Releases(next), 0u);
    m.tracker.Death(kOther);
    m.Look();
    EXPECT_EQ(m.Releases(next), 1u);
    EXPECT_THAT(m.tracker.Audit().differences, IsEmpty());
    return true;
  });
  EXPECT_GE(met, 1);
}

// 8.5: a raise that comes to nothing hides an emptying through another css_set, and that set
// goes before anybody could judge it. What it had left is folded, and told all the same.
TEST(CoreSchedules, ASetThatGoesWhileARaiseHidesItsEmptyingIsStillTold) {
  const int met = AtAnyTwoSteps([](int first, int second) {
    Machine m;
    const CgroupId job = m.Mkdir(m.root, "job");
    const CgroupId x = m.Mkdir(m.other, "x");
    EXPECT_TRUE(m.Attach(job, kParent));
    const CssSetId set = m.tracker.Describe(kParent)->set;
    bool left = false;
    bool emptied = false;
    bool hidden = false;
    {
      AtSteps script({{first,
                       [&] {
                         const bool moved = m.Attach(m.root, kParent);
                         m.Look();
                         left = moved && m.Releases(job) == 1;  // the child is not in it
                       }},
                      {second, [&] {
                         hidden = left && m.tracker.Count(set).count != 0;
                         emptied = m.Attach(x, kOther) && m.Attach(job, kOther) &&
                                   m.Attach(m.root, kOther) && m.Attach(m.other, kOther);
                         EXPECT_THAT(m.registry.Remove(x), IsOk());
                       }}});
      m.Fork();
    }
    m.Look();
    if (!left || !emptied) return false;
    EXPECT_EQ(m.Releases(job), 2u);
    EXPECT_FALSE(m.registry.Info(job)->populated);
    return hidden;
  });
  EXPECT_GE(met, 1);
}

// 8.2: the raise of a birth that will take it back counts, and is no task: rmdir looks again.
TEST(CoreSchedules, RmdirWaitsForARaiseThatComesToNothing) {
  int met = 0;
  for (int halt = 1; halt <= kMostSteps; ++halt) {
    SCOPED_TRACE(halt);
    Machine m;
    const CgroupId job = m.Mkdir(m.root, "job");
    EXPECT_TRUE(m.Attach(job, kParent));
    const CssSetId set = m.tracker.Describe(kParent)->set;
    Halted birth(halt, [&] { m.Fork(); });
    EXPECT_TRUE(m.Attach(m.root, kParent));
    if (m.tracker.Describe(kChild)) continue;  // too late: it is in
    if (m.tracker.Count(set).count != 0) ++met;
    AtSteps script({{8, [&] { birth.Finish(); }}});
    EXPECT_THAT(m.registry.Remove(job), IsOk());
  }
  EXPECT_GE(met, 1);
}

}  // namespace
}  // namespace corral
