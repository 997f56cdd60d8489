// Registry: flags, events, releases, notifications, CPU time.
#include <cerrno>

#include "base/errors.h"
#include "core/operation.h"
#include "core/registry.h"

namespace corral {

// ---- flags; what a verdict depends on is set after one under the old state (I7)

Result<bool> Registry::NotifyOnRelease(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  return TRY(core_->tree.Find(id, ENODEV))->notify_on_release;
}

Result<void> Registry::SetNotifyOnRelease(CgroupId id, bool on) {
  Operation operation(*core_);
  Cgroup& cgroup = *TRY(core_->tree.Find(id, ENODEV));
  core_->releases.Judge(cgroup);
  cgroup.notify_on_release = on;
  cgroup.releasable = false;  // any write (spec 9.3)
  core_->persistence.Mark(cgroup);
  return {};
}

Result<bool> Registry::CloneChildren(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  return TRY(core_->tree.Find(id, ENODEV))->clone_children;
}

Result<void> Registry::SetCloneChildren(CgroupId id, bool on) {
  Operation operation(*core_);
  Cgroup& cgroup = *TRY(core_->tree.Find(id, ENODEV));
  cgroup.clone_children = on;
  core_->persistence.Mark(cgroup);
  return {};
}

Result<bool> Registry::Releasable(CgroupId id) {
  Operation operation(*core_);
  Cgroup& cgroup = *TRY(core_->tree.Find(id, ENODEV));
  core_->releases.Judge(cgroup);
  return cgroup.releasable;
}

// ---- verdicts and settling

void Registry::SetMayBeEmpty(CssSetId set) {
  Operation operation(*core_);
  core_->releases.JudgeSet(set);
}

void Registry::JudgeAll() {
  Operation operation(*core_);
  core_->releases.JudgeAll();
}

namespace {

// The walk over the machine's tasks is done without the tree's lock, and after the decisions.
bool SettleOnce(Core& core) REQUIRES(core.settle_mu) {
  Releases::Batch decided;
  std::vector<LeavingSets::Candidate> unlinked;
  {
    Operation operation(core);
    core.releases.JudgePuts();
    decided = core.releases.TakeBatch();
    unlinked = core.leaving_sets.Candidates();
    if (decided.empty() && unlinked.empty()) {
      core.releases.ClearSettling();
      return !core.leaving_sets.empty();
    }
  }
  const LeaversBySet leavers = BySet(core.tracker.Leavers());

  Operation operation(core);
  core.releases.Settle(decided, leavers);
  core.leaving_sets.Retire(leavers, unlinked);
  return core.releases.settling() || !core.leaving_sets.empty();
}

}  // namespace

bool Registry::Settle() {
  MutexLock walking(core_->settle_mu);
  return SettleOnce(*core_);
}

// Whoever asks looks for himself: after waitpid() nobody is on the way out any more, and that
// must show at once, not when the looker comes round (spec 10.10).
Result<EventsInfo> Registry::Events(CgroupId id) {
  {
    Operation operation(*core_);
    Cgroup& cgroup = *TRY(core_->tree.Find(id, ENODEV));
    if (!core_->releases.JudgePopulated(cgroup)) return ShownOf(cgroup);
  }
  MutexLock walking(core_->settle_mu);
  {
    Operation operation(*core_);
    Cgroup& cgroup = *TRY(core_->tree.Find(id, ENODEV));
    // Somebody else's walk may have told it.
    if (!core_->releases.JudgePopulated(cgroup)) return ShownOf(cgroup);
  }
  SettleOnce(*core_);
  TreeLock lock(core_->tree_mu);
  return ShownOf(*TRY(core_->tree.Find(id, ENODEV)));
}

std::vector<Event> Registry::TakeEvents() { return core_->events.Take(); }

void Registry::TellPaths(bool on) {
  TreeLock lock(core_->tree_mu);
  core_->events.TellPaths(on);
}

// ---- notifications

ReleaseQueue& Registry::queue() { return core_->notifications.queue(); }

std::optional<Notification> Registry::BeginNotification(const Waiting& notification) {
  Operation operation(*core_);
  return core_->notifications.Begin(notification);
}

void Registry::FinishNotification(std::uint64_t number) {
  Operation operation(*core_);
  core_->notifications.Finish(number);
}

bool Registry::StartsAgent(const Waiting& notification) const {
  TreeLock lock(core_->tree_mu);
  return !core_->notifications.FindOrEnded(notification.hierarchy)->release_agent.empty();
}

// ---- CPU time

void Registry::UseMeter(CpuMeter* meter) {
  TreeLock lock(core_->tree_mu);
  core_->cpu_ledger.UseMeter(meter);
}

namespace {

CpuMeter* UsedMeter(Core& core) {
  TreeLock lock(core.tree_mu);
  return core.cpu_ledger.meter();
}

}  // namespace

Result<CpuTimesById> Registry::CpuTimesBelow(CgroupId top) {
  CpuMeter* const meter = UsedMeter(*core_);
  if (!meter) return Fail(ENOTSUP, "this tracker knows nothing of CPU time");
  // A walk over the machine's tasks, before the lock. What is folded meanwhile is in no set that
  // is linked any more, so nothing is counted twice.
  const CpuReading now = meter->Read();
  TreeLock lock(core_->tree_mu);
  return core_->cpu_ledger.TimesOf(*TRY(core_->tree.Find(top, ENODEV)), now);
}

Result<CpuTime> Registry::CpuTimeOf(CgroupId id, bool subtree) {
  const auto times = TRY(CpuTimesBelow(id));
  const CpuTimes& its = times.at(id);
  return subtree ? its.subtree : its.own;
}

std::uint64_t Registry::CpuUncharged(CgroupId id) {
  CpuMeter* const meter = UsedMeter(*core_);
  if (!meter) return 0;
  std::vector<CssSetId> sets;
  {
    TreeLock lock(core_->tree_mu);
    const auto top = core_->tree.Find(id, ENODEV);
    if (top) sets = core_->cpu_ledger.SetsOf(**top);
  }
  std::uint64_t uncharged = 0;
  for (const CssSetId set : sets) {
    if (meter->Owed(set) != 0) uncharged += meter->Uncharged(set);
  }
  return uncharged;
}

}  // namespace corral
