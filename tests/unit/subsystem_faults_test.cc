// A fault at every callback of every subsystem: refused, failed before its work or after it, the
// task gone in the middle. Counts, links and references are as before.
//
// Each subsystem that corral brings is registered between two healthy ones, all three behind a
// FaultySubsystem that keeps a book of what the core tells. A case is one subsystem, one row of
// kRows (a callback, and what is done so that it is called) and one fault. What was refused left
// the whole picture as it was; what cannot be refused ends with the picture that it has without a
// fault; and then everything works and empties.
#include <chrono>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "subsystems/beancounter/beancounter.h"
#include "subsystems/cpuacct/cpuacct.h"
#include "subsystems/cpuset/cpuset.h"
#include "subsystems/debug/debug.h"
#include "subsystems/freezer/freezer.h"
#include "subsystems/numtasks/asking.h"
#include "subsystems/numtasks/counting.h"
#include "support/faulty_world.h"

namespace corral {
namespace {

using Fault = FaultySubsystem::Fault;

// ---- the subsystems, and what is in their files: before, and by the case that writes

constexpr auto kNever = std::chrono::hours(1);  // nothing is looked at again by itself

template <typename Real, auto... kArguments>
std::shared_ptr<Subsystem> Make(Fakes&) {
  return std::make_shared<Real>(kArguments...);
}
std::shared_ptr<Subsystem> MakeFakeCpuset(Fakes& m) {
  return std::make_shared<Cpuset>(m.cpus, kNever);
}
std::shared_ptr<Subsystem> MakeFakeFreezer(Fakes& m) {
  return std::make_shared<Freezer>(m.stops, kNever);
}
std::shared_ptr<Subsystem> MakeFakeBeancounter(Fakes& m) {
  return std::make_shared<Beancounter>(m.usage, kNever);
}
std::shared_ptr<Subsystem> MakeCpuAcct(Fakes& m) { return std::make_shared<CpuAcct>(m.meter); }

const Kind kKinds[] = {
    {"cpuset", MakeFakeCpuset, {"/b", "cpuset.cpus", "2"}, {"/a", "cpuset.cpus", "0-1"}},
    {"cpuacct", MakeCpuAcct, {"/b", "cpuacct.usage", "0"}, {"/a", "cpuacct.usage", "0"}},
    {"freezer",
     MakeFakeFreezer,
     {"/b", "freezer.state", "FROZEN"},
     {"/a", "freezer.state", "FROZEN"}},
    {"numtasks", Make<CountingNumtasks>, {"/b", "numtasks.max", "7"}, {"/a", "numtasks.max", "5"}},
    {"numtasks_when_read",
     Make<AskingNumtasks>,
     {"/b", "numtasks.max", "7"},
     {"/a", "numtasks.max", "5"}},
    {"beancounter",
     MakeFakeBeancounter,
     {"/b", "beancounter.usage", "numproc 7 9"},
     {"/a", "beancounter.usage", "numproc 5 6"}},
    {"debug",
     Make<Debug>,
     {"/b", "debug.refuse", "create EPERM"},
     {"/a", "debug.refuse", "can_attach EPERM"}},
    {"debug_forks",
     Make<Debug, Debug::Forks::kCounted>,
     {"/b", "debug.refuse", "create EPERM"},
     {"/a", "debug.refuse", "can_fork EAGAIN"}},
};

// ---- the callbacks

// What the operation answers when the callback fails.
enum class Outcome {
  kFault,        // what the callback did: it was refused
  kGoesOn,       // nothing: there is nobody to refuse
  kGoesWithout,  // nothing, but it is as if the subsystem had none of it
  kRefused,      // what another subsystem said
};

struct Row {
  const char* callback;
  const char* when;  // tells rows of one callback apart
  Stage stage;
  Result<void> (FaultyWorld::*operation)();
  Outcome outcome;
  int nth = 1;
};

struct Case {
  const Kind* kind;
  const Row* row;
  Fault fault;
};

class Faults : public FaultyWorld, public ::testing::WithParamInterface<Case> {
 protected:
  Faults() : FaultyWorld(*GetParam().kind) {}
};

const Row kRows[] = {
    {"Start", "", Stage::kAlone, &FaultyWorld::Register, Outcome::kFault},
    {"Create", "OfTheRoot", Stage::kAlone, &FaultyWorld::Register, Outcome::kFault},
    {"Fork", "OfWhoWasThere", Stage::kAlone, &FaultyWorld::Register, Outcome::kGoesOn},
    {"Stop", "", Stage::kAlone, &FaultyWorld::EndInstance, Outcome::kGoesOn},
    {"Bind", "", Stage::kRegistered, &FaultyWorld::Bind, Outcome::kFault},
    {"Bind", "ToNone", Stage::kBound, &FaultyWorld::Unbind, Outcome::kGoesOn},
    {"Files", "", Stage::kBound, &FaultyWorld::MakeFiles, Outcome::kGoesWithout},
    {"Create", "", Stage::kRunning, &FaultyWorld::MakeChild, Outcome::kFault},
    {"Create", "InAClone", Stage::kRunning, &FaultyWorld::Clone, Outcome::kFault},
    {"PostClone", "", Stage::kRunning, &FaultyWorld::Clone, Outcome::kFault},
    {"Destroy", "", Stage::kRunning, &FaultyWorld::RemoveGroup, Outcome::kGoesOn},
    {"CanAttach", "", Stage::kRunning, &FaultyWorld::MoveProcess, Outcome::kFault},
    {"CanAttach", "OfTheSecond", Stage::kRunning, &FaultyWorld::MoveProcess, Outcome::kFault, 2},
    {"CanAttach", "InAClone", Stage::kRunning, &FaultyWorld::Clone, Outcome::kFault},
    {"Attach", "", Stage::kRunning, &FaultyWorld::MoveProcess, Outcome::kGoesOn},
    {"Attach", "OfTheSecond", Stage::kRunning, &FaultyWorld::MoveProcess, Outcome::kGoesOn, 2},
    {"Cancel", "", Stage::kRunning, &FaultyWorld::MoveRefusedByTheLast, Outcome::kRefused},
    {"Cancel", "OfTheSecond", Stage::kRunning, &FaultyWorld::MoveRefusedByTheLast,
     Outcome::kRefused, 2},
    {"CanFork", "", Stage::kRunning, &FaultyWorld::ForkLeader, Outcome::kFault},
    {"Fork", "", Stage::kRunning, &FaultyWorld::ForkLeader, Outcome::kGoesOn},
    {"Exit", "", Stage::kRunning, &FaultyWorld::End, Outcome::kGoesOn},
    {"open", "", Stage::kRunning, &FaultyWorld::ReadFiles, Outcome::kFault},
    {"read", "", Stage::kRunning, &FaultyWorld::ReadFiles, Outcome::kFault},
    {"number", "", Stage::kRunning, &FaultyWorld::ReadFiles, Outcome::kFault},
    {"write", "", Stage::kRunning, &FaultyWorld::WriteFile, Outcome::kFault},
    {"release", "", Stage::kRunning, &FaultyWorld::ReadFiles, Outcome::kGoesOn},
};

constexpr std::pair<Fault, const char*> kFaults[] = {{Fault::kRefuse, "Refuses"},
                                                     {Fault::kThrowBefore, "ThrowsBefore"},
                                                     {Fault::kThrowAfter, "ThrowsAfter"},
                                                     {Fault::kDie, "Dies"}};

// Virtual functions that say what it is, and do nothing.
const std::set<std::string> kNoCallbacks = {"name", "WantsForks"};

// What cannot occur. An empty set stands for all.
const struct Impossible {
  std::set<std::string> kinds;
  std::set<std::string> callbacks;
  std::set<Fault> faults;
  const char* why;
} kImpossible[] = {
    {{},
     {"Stop", "Files", "Destroy", "PostClone", "Bind", "Attach", "Cancel", "Fork", "Exit",
      "release"},
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
        // Of what can never be called it is seen once that it is not.
        const bool never = !possible && why->faults.empty() && fault == Fault::kDie;
        if (can_occur ? possible : never) cases.push_back({&kind, &row, fault});
      }
    }
  }
  return cases;
}

std::string NameOf(const Case& one) {
  const auto* const fault =
      std::ranges::find_if(kFaults, [&](const auto& named) { return named.first == one.fault; });
  return fmt::format("{}_{}{}_{}", one.kind->name, one.row->callback, one.row->when, fault->second);
}
void PrintTo(const Case& one, std::ostream* out) { *out << NameOf(one); }

// The same world without a fault.
class Twin final : public FaultyWorld {
 public:
  using FaultyWorld::FaultyWorld;
  std::string PictureAfter(const Row& row) {
    Prepare(row.stage);
    (void)Picture();  // peaks are known to those who look
    EXPECT_THAT((this->*row.operation)(), IsOk());
    const std::string picture = Picture();
    ExpectItWorksAndEmpties();
    return picture;
  }

 private:
  void TestBody() override {}
};

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
    EXPECT_TRUE(fault == Fault::kDie && row->operation == &FaultyWorld::Clone);
    EXPECT_EQ(Paths(), paths);
  }
  if (fault != Fault::kDie) {
    // A handler that has written and fails then has written: all of it.
    const bool written = row->operation == &FaultyWorld::WriteFile && fault == Fault::kThrowAfter;
    const bool goes_on = written || row->outcome == Outcome::kGoesOn;
    EXPECT_EQ(Picture(), goes_on ? Twin(*kind).PictureAfter(*row) : before);
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
  std::set<std::string> callbacks;
  std::ifstream in(CORRAL_INTERFACE);
  std::string within;  // the class or struct
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("class ") || line.starts_with("struct ")) within = line;
    const bool is_virtual = within == "class Subsystem {" && line.contains("virtual ");
    const bool is_handler = within == "struct SubsystemFile {" && line.contains("std::function<");
    if ((!is_virtual && !is_handler) || line.contains('~')) continue;
    const std::string before = line.substr(0, line.find(is_virtual ? '(' : ';'));
    callbacks.insert(before.substr(before.find_last_of(' ') + 1));
  }
  std::set<std::string> rows = kNoCallbacks;
  for (const Row& row : kRows) rows.insert(row.callback);
  EXPECT_EQ(callbacks, rows);
}

}  // namespace
}  // namespace corral
