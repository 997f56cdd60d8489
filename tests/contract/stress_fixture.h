// The fixture of the stress: the machine, the registry above it, two hierarchies, and the eight
// threads' roles. stress_test.cc says what must hold.
//
//   jobs:   /home0 /home1   two families live there and never leave ("settled")
//           /free /free/jN  two families are moved about here; jN come and go
//           /trip           one round after the other: in, out, released exactly once
//   other:  /dN             come and go; everybody is moved about here, so that css_sets are
//                           made, unlinked, retired and reused all the time
#ifndef CORRAL_TESTS_CONTRACT_STRESS_FIXTURE_H_
#define CORRAL_TESTS_CONTRACT_STRESS_FIXTURE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "contract/stress_family.h"
#include "contract/stress_ledger.h"
#include "contract/stress_machine.h"
#include "core/looker.h"
#include "core/registry.h"

namespace corral {

// CORRAL_STRESS_OPS for each test; CORRAL_STRESS_SEED or one that is new each time.
std::uint64_t StressOps();
std::uint32_t StressSeed();

struct StressMix {
  bool moves = true;        // and directories that come and go, and /trip
  bool execs_fail = false;  // after the exchange of tids
};

class Stress : public ::testing::Test, private Looker::Owner {
 protected:
  static constexpr std::size_t kFamilies = 4;  // 0 and 1 settled, 2 and 3 free

  Stress();
  // Runs the threads until the operations are spent, then checks I1 and I2 with the tasks
  // that are left.
  void Run(StressMix mix);
  // Everybody dies; afterwards there must be nothing left anywhere.
  void End();

  StressFamily& family(std::size_t n) { return *families_.at(n); }
  std::uint64_t Sum(std::uint64_t (StressFamily::*what)() const) const;
  std::uint64_t LeavesOfAllSets();
  InprocTracker& tracker() { return machine_.tracker(); }

  const std::uint32_t seed_;
  StressMachine machine_{{.sets = 48, .bells = 64}};
  Registry registry_{machine_.tracker(), [] {}};
  Looker looker_{registry_, *this};
  StressLedger ledger_;
  HierarchyId jobs_;
  HierarchyId other_;
  std::vector<CgroupId> homes_;
  CgroupId free_;
  CgroupId trip_;
  std::uint64_t rounds_ = 0;   // of /trip
  std::uint64_t removed_ = 0;  // directories
  std::uint64_t moves_ = 0;
  std::uint64_t full_ = 0;              // moves that found the css_set table full
  std::atomic<std::uint64_t> ops_ = 0;  // of all but the families

 private:
  using Random = std::mt19937;
  void MoveSomebody(Random& random);
  void ChangeDirectories(Random& random);
  void List(Random& random);
  void MakeTrip(Random& random);
  void Look();
  bool Resync(Registry& registry) override;
  void Dispatch(const Event& event) override;
  void LookAtAnchor(const StressFamily& family);
  CgroupId RandomPlace(HierarchyId hierarchy, Random& random);
  std::uint64_t AllOps() const;
  void Report(double seconds);

  StressMix mix_;
  std::vector<std::unique_ptr<StressFamily>> families_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> resync_wanted_ = false;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CONTRACT_STRESS_FIXTURE_H_
