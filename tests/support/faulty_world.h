// FaultyWorld: a built-in subsystem between two healthy ones, all three behind FaultySubsystems,
// over simulated tasks and a machine of fakes: made step by step, looked at as a whole, emptied.
//
//   Prepare(Stage::kRunning);
//   const std::string before = Picture();
//   faulty_->Arm("CanAttach", Fault::kRefuse);
//   EXPECT_THAT(MoveProcess(), FailsWith(FaultySubsystem::kRefusal));
//   EXPECT_EQ(Picture(), before);
//   ExpectOrder();
//   ExpectItWorksAndEmpties();
#ifndef CORRAL_TESTS_SUPPORT_FAULTY_WORLD_H_
#define CORRAL_TESTS_SUPPORT_FAULTY_WORLD_H_

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "control/tree.h"
#include "support/core_fixture.h"
#include "support/fake_cpus.h"
#include "support/fake_machine.h"
#include "support/fake_stops.h"
#include "support/fake_usage.h"
#include "support/faulty_subsystem.h"
#include "support/still_meter.h"

namespace corral {

struct CountedMeter final : StillMeter {
  Result<void> Start() override { return ++users, Result<void>(); }
  void Stop() override { --users; }
  std::atomic<int> users = 0;
};

struct Fakes {
  std::shared_ptr<FakeCpus> cpus = std::make_shared<FakeCpus>();
  std::shared_ptr<FakeStops> stops = std::make_shared<FakeStops>();
  std::shared_ptr<FakeUsage> usage = std::make_shared<FakeUsage>();
  CountedMeter meter;
};

struct Setting {
  const char* group;
  const char* file;
  const char* bytes;
};

// A subsystem, and what is written to its files.
struct Kind {
  const char* name;
  std::shared_ptr<Subsystem> (*make)(Fakes&);
  Setting before;   // so that there is something to lose
  Setting written;  // by the case that writes
};

// A healthy one without any work; it wants forks where the one beside it does.
class Neighbour final : public Subsystem {
 public:
  Neighbour(std::string name, bool forks) : name_(std::move(name)), forks_(forks) {}
  std::string_view name() const override { return name_; }
  bool WantsForks() const override { return forks_; }
  Result<std::unique_ptr<Css>> Create(const NewCss&) override { return std::make_unique<Css>(); }

 private:
  const std::string name_;
  const bool forks_;
};

enum class Stage {
  kAlone,       // one neighbour is registered
  kRegistered,  // all three are
  kBound,       // to a hierarchy
  kRunning,     // with files, cgroups and tasks
};

class FaultyWorld : protected Fakes, public CoreTest {
 public:
  explicit FaultyWorld(const Kind& kind) : kind_(kind) {
    registry_.UseMeter(&meter);
    fake_machine_.admins.insert(Tid{1});
    machine_.Start(Tid{1}, Tgid{1});
    caller_ = Start();
    faulty_ = MakeFaulty();
    first_ = MakeNeighbour("first");
    last_ = MakeNeighbour("last");
    EXPECT_THAT(registry_.Register(first_), IsOk());
  }
  ~FaultyWorld() override { registry_.UseMeter(nullptr); }

  // ---- operations
  Result<void> Register() { return registry_.Register(faulty_); }
  Result<void> Bind() {
    auto made = registry_.CreateHierarchy(
        {.name = "h", .subsystems = registry_.AllSubsystems(), .release_agent = "/bin/agent"});
    if (!made) return Fail(made.error());
    h_ = *made;
    return registry_.SetNotifyOnRelease(At("/", h_), true);
  }
  Result<void> Unbind() { return registry_.DestroyHierarchy(h_); }
  Result<void> MakeFiles() {
    tree_ = std::make_unique<Tree>(registry_, fake_machine_);
    return {};
  }
  // Of an instance of its own; the others hear of it, too.
  Result<void> EndInstance() {
    const auto first = MakeNeighbour("first"), last = MakeNeighbour("last");
    {
      InprocTracker nobody;
      Registry other(nobody, [] {});
      for (const auto& each : {first, faulty_, last}) EXPECT_THAT(other.Register(each), IsOk());
    }
    EXPECT_EQ(first->calls("Stop") + last->calls("Stop"), 2);
    return {};
  }
  Result<void> MakeChild() { return Ended(registry_.Mkdir(At("/a", h_), "new", {})); }
  Result<void> Clone() { return Ended(registry_.Clone(h_, caller_)); }
  Result<void> RemoveGroup() { return Ended(Rmdir("/c", h_)); }
  Result<void> MoveProcess() { return AttachProcess(At("/b", h_), leader_); }
  Result<void> MoveRefusedByTheLast() {
    last_->Arm("CanAttach", FaultySubsystem::Fault::kRefuse, 2);
    return MoveProcess();
  }
  Result<void> ForkLeader() { return machine_.Birth(leader_, Tid{4000}, Tgid{4000}); }
  Result<void> End() { return machine_.Death(thread_), Result<void>(); }
  Result<void> ReadFiles() { return Ended(FilesOf("/a")); }
  Result<void> WriteFile() { return Set(kind_.written); }

 protected:
  static Result<void> Ended(const auto& result) {
    return result ? Result<void>() : Fail(result.error());
  }
  std::shared_ptr<FaultySubsystem> MakeNeighbour(const char* name) {
    return std::make_shared<FaultySubsystem>(
        std::make_shared<Neighbour>(name, faulty_->WantsForks()));
  }
  std::shared_ptr<FaultySubsystem> MakeFaulty() {
    auto made = std::make_shared<FaultySubsystem>(kind_.make(*this));
    made->bystander = caller_;
    made->on_die = [this](Tid task) { Die(task); };
    return made;
  }

  // Who is born and who dies waits where somebody is told of it in line: then the task ends as soon
  // as it can. Elsewhere it is gone when this returns.
  void Die(Tid task) {
    if (faulty_->WantsForks()) {
      deaths_.emplace_back([this, task] { machine_.Death(task); });
    } else {
      machine_.Death(task);
    }
  }

  // Does what is missing. After a registration that failed, with a new one of the same kind.
  void Prepare(Stage stage) {
    if (stage >= Stage::kRegistered && registry_.SubsystemNames().size() == 1) {
      if (faulty_->calls("Start") != 0) faulty_ = MakeFaulty();
      ASSERT_THAT(Register(), IsOk());
    }
    if (stage >= Stage::kRegistered && registry_.SubsystemNames().size() == 2) {
      ASSERT_THAT(registry_.Register(last_), IsOk());
    }
    if (stage >= Stage::kBound && !registry_.FindByLabel("h")) {
      ASSERT_THAT(Bind(), IsOk());
    }
    if (stage < Stage::kRunning || held_) return;
    ASSERT_THAT(MakeFiles(), IsOk());
    for (const char* path : {"/a", "/b", "/c"}) Mkdir(path, h_);
    EXPECT_THAT(Set(kind_.before), IsOk());
    leader_ = StartIn(At("/a", h_));
    thread_ = Thread(leader_);
    usage->Set(leader_.value, 10, 3);
    if (!machine_.Describe(caller_)) caller_ = Start();
    EXPECT_THAT(Attach(At("/a", h_), caller_), IsOk());
    faulty_->bystander = caller_;
    held_ = registry_.CssOf(At("/b", h_), 1);
    EXPECT_TRUE(held_->Get());
  }

  // ---- looks
  std::vector<CgroupId> Groups() {
    std::vector<CgroupId> all;
    if (registry_.FindByLabel("h")) all.push_back(At("/", h_));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto children = registry_.Children(all[i]).value();
      for (const auto& [name, child] : children) all.push_back(child);
    }
    return all;
  }
  std::vector<std::string> Paths() {
    std::vector<std::string> paths;
    for (const CgroupId group : Groups()) paths.push_back(registry_.PathOf(group).value());
    return paths;
  }
  std::vector<std::shared_ptr<FaultySubsystem>> Registered() {
    std::vector<std::shared_ptr<FaultySubsystem>> all;
    for (std::size_t i = 0; const auto one = registry_.SubsystemAt(i); ++i) {
      all.push_back(std::static_pointer_cast<FaultySubsystem>(one));
    }
    return all;
  }
  Result<std::string> FilesOf(const std::string& path) {
    std::string text;
    for (const DirEntry& entry : tree_->SubsystemFiles(At(path, h_))) {
      auto file = tree_->Open({.tid = Tid{1}}, Inode{entry.ino}, /*readable=*/true);
      if (!file) return Fail(file.error());
      const auto content = (*file)->Read(Tid{1}, 1 << 16, 0);
      if (!content) return Fail(content.error());
      text += entry.name + ": " + *content;
    }
    return text;
  }
  Result<void> Set(const Setting& setting) {
    const Inode group = Inode::Directory(At(setting.group, h_));
    auto file = tree_->Open({.tid = Tid{1}},
                            Inode{tree_->Lookup(group, setting.file).value().st_ino}, false);
    if (!file) return Fail(file.error());
    return (*file)->Write({.tid = Tid{1}}, setting.bytes);
  }

  // All that there is to be seen: the tree, tasks, css_sets with their counters and links,
  // references, releases, the subsystem's files, and what it did to the machine. When it has come
  // to rest: the freezer stops newcomers in a thread of its own.
  std::string Picture() {
    faulty_->PayDebts();
    std::string picture = Snapshot();
    for (std::string next; (next = Snapshot()) != picture;) picture = std::move(next);
    return picture;
  }
  std::string Snapshot() {
    Look();
    std::string all =
        fmt::format("{} css_sets, meter {}\n", registry_.css_sets(), meter.users.load());
    for (const SubsystemInfo& info : registry_.Subsystems()) {
      all += fmt::format("{}: {} cgroups, bound {}\n", info.name, info.cgroups,
                         info.hierarchy.value != 0);
    }
    for (const CgroupId group : Groups()) {
      const std::string path = registry_.PathOf(group).value();
      const auto css = registry_.CssOf(group, 1);
      all +=
          fmt::format("{}: {} references, {} releases\n", path, css->references(), Releases(group));
      all += first_->groups()->Describe(*registry_.CssOf(group, 0));
      for (const Tid task : Tasks(group)) {
        all += fmt::format("task {} on {}{}\n", task.value, cpus->Of(task.value),
                           stops->Stopped(task.value) ? ", stopped" : "");
      }
      if (tree_) all += FilesOf(path).value();
    }
    return all;
  }

  // What must be so whatever happened.
  void ExpectOrder() {
    const std::vector<CgroupId> groups = Groups();
    for (std::size_t i = 0; const auto& one : Registered()) {
      EXPECT_EQ(one->Disorder(), "") << one->name();
      EXPECT_EQ(one->alive(), std::max<std::size_t>(groups.size(), 1)) << one->name();
      for (const CgroupId group : groups) {
        const auto css = registry_.CssOf(group, i);
        EXPECT_EQ(css->references(), css == held_ ? 1 : 0);
        if (!one->WantsForks()) continue;
        EXPECT_EQ(one->TasksOf(*css), Tasks(group).size()) << one->name();
      }
      ++i;
    }
    for (const CgroupId group : tree_ ? groups : std::vector<CgroupId>()) {
      const std::string files = FilesOf(registry_.PathOf(group).value()).value();
      const auto tasks = registry_.SubtreeTasks(group).value().size();
      if (!files.contains("numtasks.current")) continue;
      EXPECT_THAT(files, ::testing::HasSubstr(fmt::format("numtasks.current: {}\n", tasks)));
    }
    EXPECT_THAT(machine_.Audit().differences, ::testing::IsEmpty());
  }

  // Everything works: a cgroup is made, used, and released once. Then all of it goes.
  void ExpectItWorksAndEmpties() {
    for (const auto& each : {faulty_, last_}) each->Arm("", {});
    Prepare(Stage::kRunning);
    const CgroupId after = Mkdir("/after", h_);
    const Tid one = StartIn(after);
    const Tid two = Fork(one);
    EXPECT_THAT(Tasks(after), ::testing::ElementsAre(one, two));
    ExpectOrder();
    EXPECT_THAT(Attach(At("/", h_), two), IsOk());
    Exit(one);
    EXPECT_EQ(Releases(after), 1u);
    ExpectOrder();

    std::vector<Tid> rest;
    machine_.ForEachTask([&](Tid task, Place) { rest.push_back(task); });
    for (const Tid task : rest) Exit(task);
    std::exchange(held_, nullptr)->Put();
    std::vector<std::string> told = Told();
    std::vector<std::string> paths = Paths();
    for (; paths.size() > 1; paths.pop_back()) {
      EXPECT_THAT(Rmdir(paths.back(), h_), IsOk()) << paths.back();
      for (std::string& path : Told()) told.push_back(std::move(path));
    }
    for (const char* path : {"/after", "/a", "/b"}) {
      EXPECT_THAT(told, ::testing::Contains(path).Times(1));
    }
    ExpectOrder();
    EXPECT_EQ(registry_.css_sets(), 1u);  // the initial one
    EXPECT_THAT(Unbind(), IsOk());
    EXPECT_EQ(meter.users, 0);
  }

  const Kind& kind_;
  std::shared_ptr<FaultySubsystem> first_, faulty_, last_;
  HierarchyId h_;
  FakeMachine fake_machine_;
  std::unique_ptr<Tree> tree_;
  Tid caller_;                 // whoever asked for the operation; a task of /a
  Tid leader_, thread_;        // a process of /a
  std::shared_ptr<Css> held_;  // by a reference: /b's
  std::vector<std::thread> deaths_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_FAULTY_WORLD_H_
