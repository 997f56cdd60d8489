// InprocTracker: the two tables in this process's memory.
//
// For grouping any kind of task (fibres, jobs, requests), for tests and for simulation: the
// program says when a task is born, execs and dies, and the code of bpf/task_hooks.h does
// the rest, exactly as in the kernel. Births, execs and deaths may come from any thread at
// once, without a lock (with a TaskListener: one at a time), under the same rules as the kernel's:
// a task is born by its parent while that lives, and dies once.
//
//   InprocTracker tracker({.tids = 4096, .sets = 1024});
//   tracker.Start(Tid{1}, Tgid{1});              // there from the beginning, initial set
//   tracker.Birth(Tid{1}, Tid{2}, Tgid{2});      // inherits the place of task 1
//   tracker.Death(Tid{2});
//   tracker.Drain(registry_listener);            // hints: what may be empty now
#ifndef CORRAL_TRACKERS_INPROC_INPROC_TRACKER_H_
#define CORRAL_TRACKERS_INPROC_INPROC_TRACKER_H_

#include <corral/tracker.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/mutex.h"
#include "trackers/table_tracker.h"

namespace corral {

struct PlainTables;

struct InprocOptions {
  std::uint32_t tids = 65536;  // tids are below this; rounded up to a multiple of 64
  std::uint32_t sets = 4096;
  std::size_t bells = 4096;  // doorbell capacity; a full one loses nothing
  // The program's own list of live tasks, for Audit() and Resync(); without it they check
  // counters only. The tracker itself takes no lock and keeps no list at a birth or death, and
  // the list need not change at the same moment: what differs is looked at again for 120 ms. A
  // thread inside exec is listed as its leader, as in /proc.
  std::function<std::map<Tid, Tgid>()> machine_tasks;
  // Called when Drain() has got something to say, by whoever bears, ends or moves a task, with
  // whatever locks they hold: must not block and not call back.
  std::function<void()> rang;
};

class InprocTracker final : public TableTracker {
 public:
  explicit InprocTracker(InprocOptions options = {});
  ~InprocTracker() override;

  // ---- what the program tells
  void Start(Tid tid, Tgid tgid);  // exists already, initial set
  // The error of the TaskListener, if there is one: then the child was not born. A birth that is
  // good here and fails in the program is taken back by Death(child).
  Result<void> Birth(Tid parent, Tid child, Tgid child_tgid);
  void Exec(Tid old_tid, Tid tid);  // tid is the process, old_tid who called
  void Death(Tid tid);              // and is through at once
  void BeginDeath(Tid tid);         // left, but still holds something
  void EndDeath(Tid tid);           // through (spec 10.10)

  // ---- Tracker
  std::string_view name() const override { return "inproc"; }
  Result<void> Listen(TaskListener* listener) override;
  std::unique_ptr<Standstill> HoldTasks() override;
  std::vector<Leaver> Leavers() override;
  int bell_fd() const override { return -1; }  // InprocOptions::rang
  AuditReport Resync() override;
  MissCounts misses() const override { return MissesOf(tables_); }

 private:
  class Held;

  Tgid ProcessOf(Tid tid) const;
  void Bear(Tid parent, Tid child, Tgid child_tgid);
  void Die(Tid tid, bool leaving);
  void End(Tid tid, bool leaving);
  void TellState(Tid tid, TaskListener& listener) REQUIRES(feed_mu_);
  void TellExisting() REQUIRES(feed_mu_);
  void CatchUp();

  // TableTracker
  int MoveWord(Tid tid, std::uint64_t word, CssSetId to) override;
  int BuryWord(Tid tid, std::uint64_t word) override;
  std::vector<corral_bell> TakeBells() override;
  bool KnowsTasks() const override { return machine_tasks_ != nullptr; }
  std::vector<corral_task_record> ListTasks() const override;
  bool IsGone(Tid tid, Tgid tgid) const override;
  std::uint64_t AdoptUnknown(const TaskAudit& audit) override;

  const std::unique_ptr<PlainTables> storage_;
  const std::function<std::map<Tid, Tgid>()> machine_tasks_;

  // Changed under feed_mu_, which births, deaths, execs and moves take when it is set; read
  // without it to see whether it is.
  std::atomic<TaskListener*> listener_ = nullptr;
  Mutex feed_mu_;  // after the core's tree lock, before all others

  mutable Mutex leaving_mu_;  // before the bells' lock; only for deaths in two steps
  std::set<Tid> leaving_ GUARDED_BY(leaving_mu_);
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_INPROC_INPROC_TRACKER_H_
