// BpfTracker: the two tables as mapped BPF arrays, kept by the kernel's own hooks.
//
// Create() loads bpf/tracker.bpf.c and attaches its hooks (tracker_programs.h), and gives the tasks
// that are alive already their place (machine_tasks.h). One per instance; several instances run
// side by side. Without pins, destroying it takes hooks and tables away.
//
// With pins they outlive the process: the next tracker takes over what is there, which counted on
// meanwhile, if it fits (taken_over()), and begins anew if not. A new one is worth taking over
// from CommitPins() on; EndPins() before the end in order.
//
// Errors of Create name what is missing: not root (EPERM), a kernel without BTF (ENOTSUP),
// a pid namespace that is not the host's (ENOTSUP), no memory for the tables (ENOMEM).
#ifndef CORRAL_TRACKERS_BPF_BPF_TRACKER_H_
#define CORRAL_TRACKERS_BPF_BPF_TRACKER_H_

#include <corral/tracker.h>

#include <memory>
#include <optional>

#include "base/mapping.h"
#include "base/mutex.h"
#include "trackers/bpf/doorbell.h"
#include "trackers/bpf/machine_tasks.h"
#include "trackers/bpf/tracker_programs.h"
#include "trackers/table_tracker.h"

namespace corral {

class TaskFeed;
class TaskLimiter;

struct BpfOptions {
  std::uint32_t sets = 262144;
  std::uint32_t feed_bytes = 1 << 22;  // of births and deaths not told yet; a power of 2, in pages
  std::uint32_t tids = 0;  // tids are below this; 0: what kernel.pid_max says, or what is there
  std::vector<Tgid> also_hidden;  // are taken for hidden, whatever the iterator shows; for tests
};

class BpfTracker final : public TableTracker {
 public:
  static Result<std::unique_ptr<BpfTracker>> Create(BpfOptions options = {},
                                                    std::optional<Pins> pins = std::nullopt);
  ~BpfTracker() override;

  std::string_view name() const override { return "bpf"; }
  // Processes that the kernel keeps from the task iterator. It may keep their births and deaths
  // from the hooks as well: then a child of theirs is known from its exec or first fork on, in
  // the root of every hierarchy (docs/concurrency.md, 6.5). As of the start.
  const std::vector<Tgid>& hidden_processes() const { return tasks_.hidden(); }

  // ---- what outlives the process (tracker_programs.h)
  bool pinned() const { return programs_->pinned(); }
  bool taken_over() const { return programs_->taken_over(); }
  const std::string& given_up() const { return programs_->given_up(); }
  std::string pins_trouble() const { return programs_->PinsTrouble(); }
  std::uint64_t generation() const { return programs_->generation(); }
  // Whether a set that was taken over has tasks.
  bool HasPlacedTasks() const;
  Result<void> CommitPins() { return programs_->CommitPins(); }
  void EndPins() { programs_->EndPins(); }

  // What becomes of births beyond a limit: "refused", "killed", "allowed"; empty before the first
  // LimitTasks(). And how many were let through all the same; never seen.
  std::string_view births_beyond_limits() const;
  std::uint64_t births_let_through() const;

  int words_fd() const;  // the table of words, for BPF programs that share it

  // ---- Tracker
  // What is guaranteed, and from which thread: task_feed.h.
  Result<void> Listen(TaskListener* listener) override;
  std::unique_ptr<Standstill> HoldTasks() override;
  Result<void> LimitTasks(const TaskLimits& limits) override;
  std::uint64_t RefusedBirths(std::uint32_t number) const override;
  Result<std::vector<Tid>> BirthsNotLetIn() const override;
  std::vector<Leaver> Leavers() override;
  int bell_fd() const override { return doorbell_.fd(); }
  AuditReport Resync() override;
  MissCounts misses() const override;

 private:
  BpfTracker(std::unique_ptr<TrackerPrograms> programs, BpfOptions options);
  Result<void> MapTables();
  Result<void> Begin();
  MissCounts AllMisses() const;  // since the tables were made
  std::shared_ptr<TaskFeed> Feed() const;
  std::shared_ptr<TaskLimiter> Limiter() const;

  // TableTracker
  int MoveWord(Tid tid, std::uint64_t word, CssSetId to) override;
  int BuryWord(Tid tid, std::uint64_t word) override;
  std::vector<corral_bell> TakeBells() override;
  bool TellMisses(const MissCounts& before, const MissCounts& now) override;
  std::vector<corral_task_record> ListTasks() const override { return tasks_.List(); }
  bool IsGone(Tid tid, Tgid tgid) const override;
  std::vector<Tgid> Unheard() const override { return tasks_.hidden(); }
  std::uint64_t AdoptUnknown(const TaskAudit& audit) override;

  // Constant once it is made.
  const std::unique_ptr<TrackerPrograms> programs_;
  const std::uint32_t feed_bytes_;
  Mapping<const std::uint64_t> words_;
  Mapping<const std::uint64_t> live_;
  Mapping<const std::uint64_t> counters_;
  Mapping<corral_set_entry> sets_;
  MachineTasks tasks_;

  // By the thread that drains.
  Doorbell doorbell_;
  bool seed_incomplete_ = false;  // a task was inside exec all the time: look again

  mutable Mutex parts_mu_;                                      // a leaf
  std::shared_ptr<TaskFeed> feed_ GUARDED_BY(parts_mu_);        // null: nobody wants to be told
  std::shared_ptr<TaskLimiter> limiter_ GUARDED_BY(parts_mu_);  // null: there was no limit yet
  bool cannot_limit_ GUARDED_BY(parts_mu_) = false;
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_BPF_TRACKER_H_
