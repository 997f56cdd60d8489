// CpuLedger: CPU time of cgroups: the sums of their css_sets, kept when a set or a cgroup goes.
//
// A css_set's sum only grows. A cgroup has what its sets have run since they were linked to it,
// and `spent`, what sets that are retired had. A set is retired when no dead task owes to it any
// more; until then it pays to those it was unlinked from, and when such a one is removed, to what
// its parent has spent below. Owns Cgroup::cpu.
//
//   ledger.SetMade(set);  ledger.Unlinked(set, cgroup);  ledger.SetRetired(set);
//   const CpuReading now = meter->Read();   // without the tree
//   ledger.TimesOf(top, now);
#ifndef CORRAL_CORE_CPU_LEDGER_H_
#define CORRAL_CORE_CPU_LEDGER_H_

#include <corral/cpu_meter.h>

#include <unordered_map>
#include <vector>

#include "core/cgroup.h"
#include "core/tree_lock.h"
#include "core/types.h"

namespace corral {

class CgroupTree;
class Persistence;
struct Core;

using CpuReading = std::unordered_map<CssSetId, CpuTime>;

// Who has the CPU time of an unlinked set: as its own, or as that of removed children.
struct Payee {
  CgroupId cgroup;
  bool below = false;
};

class CpuLedger {
 public:
  explicit CpuLedger(Core& core);

  void UseMeter(CpuMeter* meter) REQUIRES(the_tree) { meter_ = meter; }
  CpuMeter* meter() const REQUIRES(the_tree) { return meter_; }  // null: there is none

  // ---- moves: what they have run up to here is charged to where they are
  void Split(Tid task) const REQUIRES(the_tree);
  void Split(Tgid process) const REQUIRES(the_tree);

  // ---- sets and cgroups that come and go
  void SetMade(CssSetId set) REQUIRES(the_tree);
  void Unlinked(CssSetId set, const Cgroup& from) REQUIRES(the_tree);
  // Nobody who died owes to it any more.
  bool IsPaid(CssSetId set) const REQUIRES(the_tree);
  void SetRetired(CssSetId set) REQUIRES(the_tree);
  void HandUp(const Cgroup& removed) REQUIRES(the_tree);

  // ---- reading
  CpuTime OfMachine() const REQUIRES(the_tree);
  // Of `top` and all below it.
  CpuTimesById TimesOf(const Cgroup& top, const CpuReading& now) const REQUIRES(the_tree);
  // The sets that pay to `top` or to what is below it.
  std::vector<CssSetId> SetsOf(const Cgroup& top) const REQUIRES(the_tree);

  // ---- what is kept of a set
  CpuTime BaseOf(CssSetId set) const REQUIRES(the_tree);
  std::vector<Payee> PayeesOf(CssSetId set) const REQUIRES(the_tree);
  void TakeOver(CssSetId set, const CpuTime& base, std::vector<Payee> payees) REQUIRES(the_tree);

 private:
  CpuTime RanIn(CssSetId set, const CpuReading& now) const REQUIRES(the_tree);
  CpuTime OwnOf(const Cgroup& cgroup, const CpuReading& now) const REQUIRES(the_tree);

  CgroupTree& tree_;
  Persistence& persistence_;

  CpuMeter* meter_ GUARDED_BY(the_tree) = nullptr;
  CpuReading base_ GUARDED_BY(the_tree);  // of each set, when it was made
  std::unordered_map<CssSetId, std::vector<Payee>> payees_
      GUARDED_BY(the_tree);  // of unlinked sets
};

// A meter may have begun anew with the process: then its sums begin below what was kept.
CpuTime Earlier(const CpuTime& kept, const CpuTime& now);

}  // namespace corral

#endif  // CORRAL_CORE_CPU_LEDGER_H_
