// The engine (corral/engine.h) as a program sees it, one step after the other.
#include "unit/engine_fixture.h"

#include <sys/resource.h>

#include <thread>

namespace corral {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_F(EngineTest, TellsOfAGroupWhenItsLastTaskEnds) {
  Group build = Make("build");
  Task task = Begin(build);
  Task child = engine().Begin(task).value();
  task.End();
  EXPECT_THAT(Told(), IsEmpty());
  child.End();
  EXPECT_THAT(Told(), ElementsAre("/build"));
}

TEST_F(EngineTest, ToldOncePerEmptying) {
  Group build = Make("build");
  for (int i = 0; i < 3; ++i) Begin(build).End();  // nobody looks in between
  EXPECT_THAT(Told(), ElementsAre("/build", "/build", "/build"));
}

TEST_F(EngineTest, TellsOfAGroupThatWasRemovedAtOnce) {
  {
    Group build = Make("build");
    Begin(build).End();
    EXPECT_THAT(build.Remove(), IsOk());
    EXPECT_FALSE(build);
  }
  EXPECT_THAT(Told(), ElementsAre("/build"));
}

TEST_F(EngineTest, ChildrenAreBornWhereTheirParentIs) {
  Group a = Make("a");
  Group b = Make("b");
  Task task = Begin(a);
  EXPECT_THAT(b.Enter(task), IsOk());
  Task child = engine().Begin(task).value();
  EXPECT_THAT(b.Tasks(), IsOkAndHolds(ElementsAre(task.id(), child.id())));
  EXPECT_THAT(a.Tasks(), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(Told(), ElementsAre("/a"));
}

TEST_F(EngineTest, ARootHasWhoIsInNoGroup) {
  Group a = Make("a");
  Task in = Begin(a);
  Task out = engine().Begin().value();
  EXPECT_THAT(jobs().Tasks(), IsOkAndHolds(ElementsAre(out.id())));
  EXPECT_THAT(jobs().SubtreeTasks(), IsOkAndHolds(UnorderedElementsAre(in.id(), out.id())));
}

TEST_F(EngineTest, HierarchiesAreIndependent) {
  std::vector<std::string> users_told;
  Group users = engine()
                    .CreateHierarchy({.name = "users",
                                      .on_release =
                                          [&](const Release& release) {
                                            users_told.push_back(release.hierarchy + release.path);
                                          }})
                    .value();
  Group anna = users.Create("anna").value();
  Group a = Make("a");
  Task task = Begin(a);
  EXPECT_THAT(anna.Enter(task), IsOk());
  EXPECT_THAT(jobs().Enter(task), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/a"));
  EXPECT_THAT(users_told, IsEmpty());
  task.End();
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_THAT(users_told, ElementsAre("users/anna"));
}

TEST_F(EngineTest, ATaskThatHasEndedIsNobodyAnyMore) {
  Group a = Make("a");
  Task task = engine().Begin().value();
  const TaskId id = task.id();
  task.End();
  EXPECT_FALSE(task);
  EXPECT_THAT(a.Enter(id), FailsWith(ESRCH));
  EXPECT_THAT(engine().Begin(task), FailsWith(ESRCH));
  // Its number comes round again, its id does not.
  std::vector<Task> others;
  while (auto other = engine().Begin()) others.push_back(std::move(*other));
  EXPECT_EQ(others.size(), kTasks);
  EXPECT_THAT(a.Enter(id), FailsWith(ESRCH));
  EXPECT_THAT(engine().Begin(), FailsWith(EAGAIN));
  others.pop_back();
  EXPECT_THAT(engine().Begin(), IsOk());
}

TEST_F(EngineTest, NamesAndStatesAreChecked) {
  Group a = Make("a");
  EXPECT_THAT(jobs().Create("a"), FailsWith(EEXIST));
  for (const char* name : {"", ".", "..", "a/b"}) {
    EXPECT_THAT(jobs().Create(name), FailsWith(EINVAL)) << name;
  }
  EXPECT_THAT(engine().CreateHierarchy({}), FailsWith(EINVAL));
  EXPECT_THAT(engine().CreateHierarchy({.name = "jobs"}), FailsWith(EEXIST));
  EXPECT_THAT(engine().CreateHierarchy({.name = "x", .subsystems = {"none"}}), FailsWith(ENOENT));
  EXPECT_THAT(engine().RegisterBuiltIn("no_such"), FailsWith(ENOENT));
  EXPECT_THAT(Engine::Create({.tasks = 0}), FailsWith(EINVAL));
  EXPECT_THAT(Engine::Create({.tasks = kMostTasks + 1}), FailsWith(EINVAL));
  Group none;
  EXPECT_THAT(none.Create("a"), FailsWith(ENODEV));
  EXPECT_THAT(none.WaitEmpty(), FailsWith(ENODEV));
}

// ---- removal

TEST_F(EngineTest, AGroupWithTasksOrGroupsIsNotRemoved) {
  Group a = Make("a");
  Group b = a.Create("b").value();
  EXPECT_THAT(a.Remove(), FailsWith(EBUSY));
  Task task = Begin(b);
  EXPECT_THAT(b.Remove(), FailsWith(EBUSY));
  task.End();
  EXPECT_THAT(b.Remove(), IsOk());
  EXPECT_THAT(a.Remove(), IsOk());
  EXPECT_THAT(Told(), ElementsAre("/a/b", "/a"));
}

TEST_F(EngineTest, ADroppedGroupGoesWhenItGetsEmpty) {
  Task task;
  {
    Group a = Make("a");
    Group b = a.Create("b").value();
    task = Begin(b);
  }
  EXPECT_THAT(jobs().Create("a"), FailsWith(EEXIST));
  task.End();
  Flush();
  Flush();  // the removal of b released a
  EXPECT_THAT(jobs().Create("a"), IsOk());
}

TEST_F(EngineTest, ADroppedRootTakesItsHierarchyAlongWhenNoGroupIsLeft) {
  const auto make = [&] { return engine().CreateHierarchy({.name = "users"}); };
  std::optional<Group> users = make().value();
  std::optional<Group> anna = users->Create("anna").value();
  users.reset();
  EXPECT_THAT(make(), FailsWith(EEXIST));
  anna.reset();
  Flush();
  EXPECT_THAT(make(), IsOk());
}

// ---- waiting

TEST_F(EngineTest, WaitsUntilNobodyIsBelowEither) {
  Group a = Make("a");
  EXPECT_THAT(a.WaitEmpty(), IsOk());  // it never had any
  Group b = a.Create("b").value();
  Task task = Begin(b);
  EXPECT_THAT(a.WaitEmpty(milliseconds(20)), FailsWith(ETIMEDOUT));
  std::thread ends([&] {
    std::this_thread::sleep_for(milliseconds(20));
    task.End();
  });
  EXPECT_THAT(a.WaitEmpty(), IsOk());
  EXPECT_FALSE(b.Tasks().value().size());
  ends.join();
  EXPECT_THAT(jobs().WaitEmpty(), FailsWith(EINVAL));
}

TEST_F(EngineTest, WaitsOnlyWithADescriptorToBeWokenBy) {
  Group a = Make("a");
  Task task = Begin(a);
  Group empty = Make("empty");
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const auto waited = a.WaitEmpty();
  const auto nothing_to_wait_for = empty.WaitEmpty();
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(waited, FailsWith(EMFILE));
  EXPECT_THAT(nothing_to_wait_for, IsOk());
}

TEST_F(EngineTest, OnReleaseMayCallTheEngineButNotWaitForIt) {
  std::vector<int> errors;
  std::optional<Task> born;
  Group again =
      engine()
          .CreateHierarchy(
              {.name = "again",
               .on_release =
                   [&](const Release&) {
                     Group own = jobs().Create("own").value();
                     if (!born) born = own.Begin().value();
                     errors = {engine().Flush().error().code, own.WaitEmpty().error().code};
                     throw std::runtime_error("logged, no more");
                   }})
          .value();
  Group a = again.Create("a").value();
  Begin(a).End();
  Flush();
  EXPECT_THAT(errors, ElementsAre(EDEADLK, EDEADLK));
  born.reset();
  EXPECT_THAT(Told(), ElementsAre("/own"));
}

// ---- killing

TEST_F(EngineTest, KillMarksWhoIsBelowAndWhatTheyBear) {
  Group a = Make("a");
  Group b = a.Create("b").value();
  Task one = Begin(a);
  Task two = Begin(b);
  Task other = engine().Begin().value();
  std::vector<TaskId> ended;
  const auto end = [&](TaskId id) { ended.push_back(id); };
  EXPECT_THAT(a.Kill(end), IsOkAndHolds(2u));
  EXPECT_THAT(ended, UnorderedElementsAre(one.id(), two.id()));
  EXPECT_TRUE(one.killed() && two.killed());
  EXPECT_FALSE(other.killed());
  Task child = engine().Begin(two).value();
  EXPECT_TRUE(child.killed());
  EXPECT_THAT(a.Kill(end), IsOkAndHolds(0u));
  EXPECT_THAT(jobs().Kill(end), FailsWith(EPERM));
}

// ---- subsystems

TEST_F(EngineTest, FilesOfSubsystemsAreReadAndWritten) {
  Group users = WithTags("users");
  Group anna = users.Create("anna").value();
  EXPECT_THAT(anna.Write("tags.text", "red"), IsOk());
  EXPECT_THAT(anna.Read("tags.text"), IsOkAndHolds("red"));
  EXPECT_THAT(anna.Read("tags.size"), IsOkAndHolds("3\n"));
  EXPECT_THAT(anna.Create("desk").value().Read("tags.text"), IsOkAndHolds("red"));
  EXPECT_THAT(users.Read("tags.text"), IsOkAndHolds(""));
  EXPECT_THAT(anna.Write("tags.text", "long"), FailsWith(ERANGE));
  EXPECT_THAT(anna.Write("tags.size", "1"), FailsWith(EINVAL));
  EXPECT_THAT(anna.Write("tags.text", "!"), AllOf(FailsWith(EIO)));
  EXPECT_THAT(anna.Read("tags.none"), FailsWith(ENOENT));
  EXPECT_THAT(Make("a").Read("tags.text"), FailsWith(ENOENT));  // not of that hierarchy
  EXPECT_NE(anna.StateOf("tags"), nullptr);
  EXPECT_EQ(Make("b").StateOf("tags"), nullptr);
}

TEST_F(EngineTest, ASubsystemRefusesATaskAndTheTaskStays) {
  Group users = WithTags("users");
  Group closed = users.Create("closed").value();
  EXPECT_THAT(closed.Write("tags.text", "no"), IsOk());
  Task task = engine().Begin().value();
  EXPECT_THAT(closed.Enter(task), FailsWith(EACCES));
  EXPECT_THAT(closed.Begin(), FailsWith(EACCES));
  EXPECT_THAT(users.Tasks(), IsOkAndHolds(ElementsAre(task.id())));
}

TEST_F(EngineTest, AReferenceKeepsTheReleaseBack) {
  Group users = WithTags("users");
  Group anna = users.Create("anna").value();
  const std::shared_ptr<Css> state = anna.StateOf("tags");
  ASSERT_TRUE(state->Get());
  Begin(anna).End();
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_THAT(anna.Remove(), FailsWith(EBUSY));
  state->Put();
  EXPECT_THAT(Told(), ElementsAre("/anna"));
}

TEST_F(EngineTest, ALimitRefusesABirthAndNothingIsLeftOfIt) {
  ASSERT_THAT(engine().RegisterBuiltIn("numtasks"), IsOk());
  Group users = engine().CreateHierarchy({.name = "users", .subsystems = {"numtasks"}}).value();
  Group anna = users.Create("anna").value();
  ASSERT_THAT(anna.Write("numtasks.max", "2"), IsOk());
  Task one = Begin(anna);
  Task two = engine().Begin(one).value();
  EXPECT_THAT(engine().Begin(one), FailsWith(EAGAIN));
  EXPECT_THAT(anna.Tasks(), IsOkAndHolds(ElementsAre(one.id(), two.id())));
  EXPECT_THAT(anna.Read("numtasks.current"), IsOkAndHolds("2\n"));
  one.End();
  Task three = engine().Begin(two).value();
  two.End();
  three.End();
  EXPECT_THAT(anna.WaitEmpty(), IsOk());
  // The numbers of those that were refused came back.
  std::vector<Task> all;
  while (auto task = engine().Begin()) all.push_back(std::move(*task));
  EXPECT_EQ(all.size(), kTasks);
}

// Numbers of tasks are not processes: nothing that would signal or pin those.
TEST_F(EngineTest, OffersTheSubsystemsThatLeaveTheMachineAlone) {
  EXPECT_THAT(Engine::BuiltIns(), UnorderedElementsAre("numtasks", "debug"));
  for (const std::string& name : Engine::BuiltIns()) {
    EXPECT_THAT(engine().RegisterBuiltIn(name), IsOk()) << name;
  }
  EXPECT_THAT(engine().RegisterBuiltIn("freezer"), FailsWith(ENOENT));
}

}  // namespace
}  // namespace corral
