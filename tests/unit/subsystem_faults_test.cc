// A fault at every callback of every subsystem: refused, failed before its work or after it, the
// task gone in the middle. Counts, links and references are as before.
//
// Each subsystem that corral brings is registered between two healthy ones, all three behind a
// FaultySubsystem that keeps a book of what the core tells. A case is one subsystem, one row of
// kRows (a callback, and what is done so that it is called) and one fault. What was refused left
// the whole picture as it was; what cannot be refused went on; and then everything works and empties.
#include <fstream>
#include <regex>
#include <set>
#include <thread>

#include "control/tree.h"
#include "subsystems/beancounter/beancounter.h"
#include "subsystems/cpuacct/cpuacct.h"
#include "subsystems/cpuset/cpuset.h"
#include "subsystems/debug/debug.h"
#include "subsystems/freezer/freezer.h"
#include "subsystems/numtasks/numtasks.h"
#include "support/core_fixture.h"
#include "support/fake_cpus.h"
#include "support/fake_host.h"
#include "support/fake_stops.h"
#include "support/fake_usage.h"
#include "support/faulty_subsystem.h"
#include "support/still_meter.h"

namespace corral {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Fault = FaultySubsystem::Fault;

// ---- the subsystems, and the machine they find

struct CountedMeter final : StillMeter {
  Result<void> Start() override { return ++users, Result<void>(); }
  void Stop() override { --users; }
  std::atomic<int> users = 0;
};

struct Machine {
  std::shared_ptr<FakeCpus> cpus = std::make_shared<FakeCpus>();
  std::shared_ptr<FakeStops> stops = std::make_shared<FakeStops>();
  std::shared_ptr<FakeUsage> usage = std::make_shared<FakeUsage>();
  CountedMeter meter;
};

constexpr auto kNever = std::chrono::hours(1);  // nothing is looked at again by itself

struct Setting {
  const char* group;
  const char* file;
  const char* bytes;
};

struct Kind {
  const char* name;
  std::shared_ptr<Subsystem> (*make)(Machine&);
  Setting before;   // so that there is something to lose
  Setting written;  // by the case that writes
};

const Kind kKinds[] = {
    {"cpuset",
     [](Machine& m) -> std::shared_ptr<Subsystem> {
       return std::make_shared<Cpuset>(m.cpus, kNever);
     },
     {"/b", "cpuset.cpus", "2"},
     {"/a", "cpuset.cpus", "0-1"}},
    {"cpuacct",
     [](Machine& m) -> std::shared_ptr<Subsystem> { return std::make_shared<CpuAcct>(m.meter); },
     {"/b", "cpuacct.usage", "0"},
     {"/a", "cpuacct.usage", "0"}},
    {"freezer",
     [](Machine& m) -> std::shared_ptr<Subsystem> {
       return std::make_shared<Freezer>(m.stops, kNever);
     },
     {"/b", "freezer.state", "FROZEN"},
     {"/a", "freezer.state", "FROZEN"}},
    {"numtasks",
     [](Machine&) -> std::shared_ptr<Subsystem> {
       return std::make_shared<Numtasks>(Numtasks::Counting::kInLine);
     },
     {"/b", "numtasks.max", "7"},
     {"/a", "numtasks.max", "5"}},
    {"numtasks_when_read",
     [](Machine&) -> std::shared_ptr<Subsystem> {
       return std::make_shared<Numtasks>(Numtasks::Counting::kWhenRead);
     },
     {"/b", "numtasks.max", "7"},
     {"/a", "numtasks.max", "5"}},
    {"beancounter",
     [](Machine& m) -> std::shared_ptr<Subsystem> {
       return std::make_shared<Beancounter>(m.usage, kNever);
     },
     {"/b", "beancounter.usage", "numproc 7 9"},
     {"/a", "beancounter.usage", "numproc 5 6"}},
    {"debug",
     [](Machine&) -> std::shared_ptr<Subsystem> { return std::make_shared<Debug>(); },
     {"/b", "debug.refuse", "create EPERM"},
     {"/a", "debug.refuse", "can_attach EPERM"}},
    {"debug_forks",
     [](Machine&) -> std::shared_ptr<Subsystem> {
       return std::make_shared<Debug>(Debug::Forks::kCounted);
     },
     {"/b", "debug.refuse", "create EPERM"},
     {"/a", "debug.refuse", "can_fork EAGAIN"}},
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

// ---- the callbacks

class Faults;

enum class Stage {
  kAlone,       // one neighbour is registered
  kRegistered,  // all three are
  kBound,       // to a hierarchy
  kRunning,     // with files, cgroups and tasks
};

// What the operation answers when the callback fails.
enum class Outcome {
  kFault,    // what the callback did: it was refused
  kGoesOn,   // nothing: there is nobody to refuse
  kRefused,  // what another subsystem said
};

struct Row {
  const char* callback;
  const char* when;  // tells rows of one callback apart
  Stage stage;
  Result<void> (Faults::*operation)();
  Outcome outcome;
  int nth = 1;
};

struct Case {
  const Kind* kind;
  const Row* row;
  Fault fault;
};

class Faults : protected Machine, public CoreTest, public ::testing::WithParamInterface<Case> {
 public:
  // ---- operations
  Result<void> Register() { return registry_.Register(faulty_); }
  Result<void> Bind() {
    auto made = registry_.CreateHierarchy({.name = "h",
                                           .subsystems = registry_.AllSubsystems(),
                                           .release_agent = "/bin/agent"});
    if (!made) return Fail(made.error());
    h_ = *made;
    return registry_.SetNotifyOnRelease(At("/", h_), true);
  }
  Result<void> Unbind() { return registry_.DestroyHierarchy(h_); }
  Result<void> MakeFiles() {
    tree_ = std::make_unique<Tree>(registry_, host_);
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
    last_->Arm("CanAttach", Fault::kRefuse, 2);
    return MoveProcess();
  }
  Result<void> Bear() { return machine_.Birth(leader_, Tid{4000}, Tgid{4000}); }
  Result<void> End() { return machine_.Death(thread_), Result<void>(); }
  Result<void> ReadFiles() { return Ended(FilesOf("/a")); }
  Result<void> WriteFile() { return Set(GetParam().kind->written); }

 protected:
  Faults() {
    registry_.UseMeter(&meter);
    host_.admins.insert(Tid{1});
    machine_.Start(Tid{1}, Tgid{1});
    caller_ = Start();
    faulty_ = MakeFaulty();
    first_ = MakeNeighbour("first");
    last_ = MakeNeighbour("last");
    EXPECT_THAT(registry_.Register(first_), IsOk());
  }
  ~Faults() override { registry_.UseMeter(nullptr); }

  static Result<void> Ended(const auto& result) {
    return result ? Result<void>() : Fail(result.error());
  }
  std::shared_ptr<FaultySubsystem> MakeNeighbour(const char* name) {
    return std::make_shared<FaultySubsystem>(
        std::make_shared<Neighbour>(name, faulty_->WantsForks()));
  }
  std::shared_ptr<FaultySubsystem> MakeFaulty() {
    auto made = std::make_shared<FaultySubsystem>(GetParam().kind->make(*this));
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
    EXPECT_THAT(Set(GetParam().kind->before), IsOk());
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
  // references, releases, the subsystem's files, and what it did to the machine.
  std::string Picture() {
    Pump();
    std::string all = fmt::format("{} css_sets, meter {}\n", registry_.css_sets(), meter.users.load());
    for (const SubsystemInfo& info : registry_.Subsystems()) {
      all += fmt::format("{}: {} cgroups, bound {}\n", info.name, info.cgroups, info.hierarchy.value != 0);
    }
    for (const CgroupId group : Groups()) {
      const std::string path = registry_.PathOf(group).value();
      const auto css = registry_.CssOf(group, 1);
      all += fmt::format("{}: {} references, {} releases\n", path, css->references(), Releases(group));
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
    EXPECT_THAT(machine_.Audit().differences, IsEmpty());
  }

  // Everything works: a cgroup is made, used, and released once. Then all of it goes.
  void ExpectItWorksAndEmpties() {
    for (const auto& each : {faulty_, last_}) each->Arm("", {});
    Prepare(Stage::kRunning);
    const CgroupId after = Mkdir("/after", h_);
    const Tid one = StartIn(after);
    const Tid two = Fork(one);
    EXPECT_THAT(Tasks(after), ElementsAre(one, two));
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
    for (const char* path : {"/after", "/a", "/b"}) EXPECT_THAT(told, Contains(path).Times(1));
    ExpectOrder();
    EXPECT_EQ(registry_.css_sets(), 1u);  // the initial one
    EXPECT_THAT(Unbind(), IsOk());
    EXPECT_EQ(meter.users, 0);
  }

  std::shared_ptr<FaultySubsystem> first_, faulty_, last_;
  HierarchyId h_;
  FakeHost host_;
  std::unique_ptr<Tree> tree_;
  Tid caller_;           // whoever asked for the operation; a task of /a
  Tid leader_, thread_;  // a process of /a
  std::shared_ptr<Css> held_;  // by a reference: /b's
  std::vector<std::thread> deaths_;
};

const Row kRows[] = {
    {"Start", "", Stage::kAlone, &Faults::Register, Outcome::kFault},
    {"Create", "OfTheRoot", Stage::kAlone, &Faults::Register, Outcome::kFault},
    {"Fork", "OfWhoWasThere", Stage::kAlone, &Faults::Register, Outcome::kGoesOn},
    {"Stop", "", Stage::kAlone, &Faults::EndInstance, Outcome::kGoesOn},
    {"Bind", "", Stage::kRegistered, &Faults::Bind, Outcome::kFault},
    {"Bind", "ToNone", Stage::kBound, &Faults::Unbind, Outcome::kGoesOn},
    {"Files", "", Stage::kBound, &Faults::MakeFiles, Outcome::kGoesOn},
    {"Create", "", Stage::kRunning, &Faults::MakeChild, Outcome::kFault},
    {"Create", "InAClone", Stage::kRunning, &Faults::Clone, Outcome::kFault},
    {"PostClone", "", Stage::kRunning, &Faults::Clone, Outcome::kFault},
    {"Destroy", "", Stage::kRunning, &Faults::RemoveGroup, Outcome::kGoesOn},
    {"CanAttach", "", Stage::kRunning, &Faults::MoveProcess, Outcome::kFault},
    {"CanAttach", "OfTheSecond", Stage::kRunning, &Faults::MoveProcess, Outcome::kFault, 2},
    {"CanAttach", "InAClone", Stage::kRunning, &Faults::Clone, Outcome::kFault},
    {"Attach", "", Stage::kRunning, &Faults::MoveProcess, Outcome::kGoesOn},
    {"Attach", "OfTheSecond", Stage::kRunning, &Faults::MoveProcess, Outcome::kGoesOn, 2},
    {"Cancel", "", Stage::kRunning, &Faults::MoveRefusedByTheLast, Outcome::kRefused},
    {"Cancel", "OfTheSecond", Stage::kRunning, &Faults::MoveRefusedByTheLast, Outcome::kRefused, 2},
    {"CanFork", "", Stage::kRunning, &Faults::Bear, Outcome::kFault},
    {"Fork", "", Stage::kRunning, &Faults::Bear, Outcome::kGoesOn},
    {"Exit", "", Stage::kRunning, &Faults::End, Outcome::kGoesOn},
    {"open", "", Stage::kRunning, &Faults::ReadFiles, Outcome::kFault},
    {"read", "", Stage::kRunning, &Faults::ReadFiles, Outcome::kFault},
    {"number", "", Stage::kRunning, &Faults::ReadFiles, Outcome::kFault},
    {"write", "", Stage::kRunning, &Faults::WriteFile, Outcome::kFault},
    {"release", "", Stage::kRunning, &Faults::ReadFiles, Outcome::kGoesOn},
};

constexpr std::pair<Fault, const char*> kFaults[] = {{Fault::kRefuse, "Refuses"},
                                                     {Fault::kThrowBefore, "ThrowsBefore"},
                                                     {Fault::kThrowAfter, "ThrowsAfter"},
                                                     {Fault::kDie, "Dies"}};

// Virtual functions that are no callbacks: they say what it is, and do nothing.
const std::set<std::string> kNoCallbacks = {"name", "WantsForks"};

// What cannot occur. An empty set stands for all.
const struct Impossible {
  std::set<std::string> kinds;
  std::set<std::string> callbacks;
  std::set<Fault> faults;
  const char* why;
} kImpossible[] = {
    {{},
     {"Stop", "Files", "Destroy", "PostClone", "Bind", "Attach", "Cancel", "Fork", "Exit", "release"},
     {Fault::kRefuse},
     "it answers nothing"},
    {{},
     {"Stop"},
     {Fault::kThrowBefore},
     "they stop their thread first, which cannot fail; one that goes on asks what is gone"},
    {{"cpuset", "cpuacct", "freezer", "numtasks_when_read", "beancounter", "debug"},
     {"CanFork", "Fork", "Exit"},
     {},
     "it does not want forks"},
    {{"beancounter"}, {"number"}, {}, "its one file is a table"},
};

std::vector<Case> Cases(bool can_occur) {
  std::vector<Case> cases;
  for (const Kind& kind : kKinds) {
    for (const Row& row : kRows) {
      for (const auto& [fault, name] : kFaults) {
        const auto fits = [](const auto& set, const auto& one) {
          return set.empty() || set.contains(one);
        };
        const auto* const why = std::ranges::find_if(kImpossible, [&](const Impossible& one) {
          return fits(one.kinds, kind.name) && fits(one.callbacks, row.callback) &&
                 fits(one.faults, fault);
        });
        const bool possible = why == std::end(kImpossible);
        // Of what can never be called it is seen that it is not.
        if (possible ? can_occur : !can_occur && why->faults.empty()) {
          cases.push_back({&kind, &row, fault});
        }
      }
    }
  }
  return cases;
}

std::string NameOf(const Case& one) {
  const auto* const fault = std::ranges::find(kFaults, one.fault, &std::pair<Fault, const char*>::first);
  return fmt::format("{}_{}{}_{}", one.kind->name, one.row->callback, one.row->when, fault->second);
}
void PrintTo(const Case& one, std::ostream* out) { *out << NameOf(one); }

TEST_P(Faults, LeaveCountsLinksAndReferences) {
  const auto& [kind, row, fault] = GetParam();
  Prepare(row->stage);
  const std::vector<std::string> paths = Paths();
  const std::string before = Picture();
  faulty_->Arm(row->callback, fault, row->nth);
  const Result<void> done = (this->*row->operation)();
  for (std::thread& death : std::exchange(deaths_, {})) death.join();
  ASSERT_TRUE(faulty_->struck());

  const bool faulted = row->outcome == Outcome::kFault && fault != Fault::kDie;
  if (faulted || row->outcome == Outcome::kRefused) {
    const bool thrown = faulted && fault != Fault::kRefuse;
    EXPECT_THAT(done, FailsWith(thrown ? EIO : FaultySubsystem::kRefusal));
    EXPECT_EQ(Paths(), paths);
  } else if (!done) {  // there was nobody to be moved any more
    EXPECT_THAT(done, FailsWith(ESRCH));
    EXPECT_TRUE(fault == Fault::kDie && row->operation == &Faults::Clone);
    EXPECT_EQ(Paths(), paths);
  }
  if (!done && fault != Fault::kDie) {
    // A handler that has written and fails then has written: all of it.
    const bool written = row->operation == &Faults::WriteFile && fault == Fault::kThrowAfter;
    const std::string after = Picture();
    EXPECT_THAT(written ? WriteFile() : Result<void>(), IsOk());
    EXPECT_EQ(Picture(), written ? after : before);
  }
  ExpectOrder();
  ExpectItWorksAndEmpties();
}
INSTANTIATE_TEST_SUITE_P(Each, Faults, ::testing::ValuesIn(Cases(/*can_occur=*/true)),
                         [](const auto& one) { return NameOf(one.param); });

class UnreachedFaults : public Faults {};

TEST_P(UnreachedFaults, DoNotStrike) {
  const auto& [kind, row, fault] = GetParam();
  Prepare(row->stage);
  faulty_->Arm(row->callback, fault, row->nth);
  EXPECT_THAT((this->*row->operation)(), IsOk());
  EXPECT_FALSE(faulty_->struck());
  ExpectOrder();
  ExpectItWorksAndEmpties();
}
INSTANTIATE_TEST_SUITE_P(Each, UnreachedFaults, ::testing::ValuesIn(Cases(/*can_occur=*/false)),
                         [](const auto& one) { return NameOf(one.param); });

// Who adds a callback to the interface adds its row.
TEST(FaultRows, AreAllCallbacksOfTheInterface) {
  std::ifstream in(CORRAL_INTERFACE);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto named = [&](const char* from, const char* to, const std::regex& each) {
    const std::size_t begin = text.find(from);
    const std::string part = text.substr(begin, text.find(to, begin) - begin);
    std::set<std::string> names;
    for (std::sregex_iterator at(part.begin(), part.end(), each), end; at != end; ++at) {
      names.insert((*at)[1]);
    }
    return names;
  };
  std::set<std::string> callbacks =
      named("\nclass Subsystem {", "\n};", std::regex(R"(virtual [^~(]*?(\w+)\()"));
  callbacks.merge(named("\nstruct SubsystemFile {", "\n};", std::regex(R"(std::function<.*> (\w+);)")));
  std::set<std::string> rows = kNoCallbacks;
  for (const Row& row : kRows) rows.insert(row.callback);
  EXPECT_EQ(callbacks, rows);
}

}  // namespace
}  // namespace corral
