// TableTracker: what both trackers do alike, because it only asks the tables.
//
// The base of BpfTracker and InprocTracker. It says where tasks are and how many a css_set has,
// passes bells on, and compares the tables with the machine's tasks. What differs is private and
// virtual: how a word is changed, where bells come from, which tasks the machine has.
//
// Threads: as Tracker says. Nothing here takes a lock.
#ifndef CORRAL_TRACKERS_TABLE_TRACKER_H_
#define CORRAL_TRACKERS_TABLE_TRACKER_H_

#include <corral/tracker.h>

#include <atomic>
#include <vector>

#include "trackers/tables.h"
#include "trackers/task_audit.h"

namespace corral {

class TableTracker : public Tracker {
 public:
  std::uint32_t tid_capacity() const { return tables_.tid_capacity; }
  CssSetId highest_set() const { return CssSetId{highest_set_}; }  // of CreateSet() in this process

  std::uint32_t set_capacity() const final { return tables_.set_capacity; }
  Result<Place> Describe(Tid tid) const final { return DescribeTask(tables_, tid); }
  Result<SetCount> CreateSet(CssSetId set) final;
  Result<void> Move(Tid tid, Place expected, CssSetId to) final;
  SetCount Count(CssSetId set) const final { return CountOf(tables_, set); }
  void ForEachTask(const std::function<void(Tid, Place)>& fn) const final;
  void RetireSet(CssSetId set) final { TakePending(tables_, set); }
  void Drain(Listener& listener) final;
  AuditReport Audit() final;
  AuditReport Resync() override;

 protected:
  // What misses() says now was told to somebody before: no reason to resync.
  void ForgetMisses() { seen_ = misses(); }

  Tables tables_;  // constant once the tracker is made

 private:
  // ---- If the word of `tid` is still `word`: moves it to `to`; clears it, with a leave. 0, or a
  // negative errno.
  virtual int MoveWord(Tid tid, std::uint64_t word, CssSetId to) = 0;
  virtual int BuryWord(Tid tid, std::uint64_t word) = 0;

  // ---- bells, by the thread that drains
  virtual std::vector<corral_bell> TakeBells() = 0;
  // Whether what the hooks missed since the last Drain() calls for a resync; may log it.
  virtual bool TellMisses(const MissCounts& before, const MissCounts& now) { return now != before; }

  // ---- the machine's tasks
  virtual bool KnowsTasks() const { return true; }  // false: only counters can be compared
  virtual std::vector<corral_task_record> ListTasks() const = 0;
  virtual bool IsGone(Tid tid, Tgid tgid) const = 0;
  // Processes whose tasks' ends no hook is told of: Audit() tolerates their words, Resync() clears
  // them.
  virtual std::vector<Tgid> Unheard() const { return {}; }
  // Gives live tasks that have no place the initial one; how many of those that `audit` found,
  // or that sit on the tid of a phantom, have one now.
  virtual std::uint64_t AdoptUnknown(const TaskAudit& audit) = 0;

  std::atomic<std::uint32_t> highest_set_ = CORRAL_SET_INITIAL;
  MissCounts seen_;  // by Drain()
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_TABLE_TRACKER_H_
