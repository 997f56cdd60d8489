// BpfTracker: the two tables as mapped BPF arrays, kept by the kernel's own hooks.
//
// Create() loads bpf/tracker.bpf.c, attaches its hooks and seeds the tasks that are alive
// already. One per instance; several instances run side by side. Without pins, destroying it takes
// hooks and tables away.
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

#include <array>
#include <atomic>
#include <memory>
#include <optional>

#include "base/fd.h"
#include "base/mutex.h"
#include "trackers/bpf/bpf_object.h"
#include "trackers/bpf/pins.h"
#include "trackers/tables.h"

struct tracker_bpf;

namespace corral {

class TaskFeed;
class TaskLimiter;

struct BpfOptions {
  std::uint32_t sets = 262144;
  std::uint32_t feed_bytes = 1 << 22;  // of births and deaths not told yet; a power of 2, in pages
  std::uint32_t tids = 0;  // tids are below this; 0: what kernel.pid_max says, or what is there
  std::vector<Tgid> also_hidden;  // are taken for hidden, whatever the iterator shows; for tests
};

class BpfTracker final : public Tracker {
 public:
  static Result<std::unique_ptr<BpfTracker>> Create(BpfOptions options = {},
                                                    std::optional<Pins> pins = std::nullopt);
  ~BpfTracker() override;

  std::string_view name() const override { return "bpf"; }
  std::uint32_t set_capacity() const override { return tables_.set_capacity; }
  std::uint32_t tid_capacity() const { return tables_.tid_capacity; }
  // Processes that the kernel keeps from the task iterator. It may keep their births and deaths
  // from the hooks as well: then a child of theirs is known from its exec or first fork on, in
  // the root of every hierarchy (docs/concurrency.md, 6.5). As of the start.
  const std::vector<Tgid>& hidden_processes() const { return hidden_; }

  bool pinned() const { return pins_.has_value(); }
  bool taken_over() const { return taken_over_; }
  // Why what an earlier daemon left was given up; empty: it was not, or nothing was left.
  const std::string& given_up() const { return given_up_; }
  // Empty, or a sentence: what is pinned was removed meanwhile.
  std::string pins_trouble() const { return pins_ ? pins_->Trouble() : ""; }
  std::uint64_t generation() const { return stamp_.generation; }
  // Whether a set that was taken over has tasks.
  bool HasPlacedTasks() const;
  Result<void> CommitPins();
  void EndPins();

  CssSetId highest_set() const { return CssSetId{highest_set_}; }  // that was ever created
  // What becomes of births beyond a limit: "refused", "killed", "allowed"; empty before the first
  // LimitTasks(). And how many were let through all the same; never seen.
  std::string_view births_beyond_limits() const;
  std::uint64_t births_let_through() const;

  int words_fd() const;  // the table of words, for BPF programs that share it
  Result<Place> Describe(Tid tid) const override;
  Result<SetCount> CreateSet(CssSetId set) override;
  Result<void> Move(Tid tid, Place expected, CssSetId to) override;
  SetCount Count(CssSetId set) const override;
  void ForEachTask(const std::function<void(Tid, Place)>& fn) const override;
  // What is guaranteed, and from which thread: task_feed.h.
  Result<void> Listen(TaskListener* listener) override;
  std::unique_ptr<Standstill> HoldTasks() override;
  Result<void> LimitTasks(const TaskLimits& limits) override;
  std::uint64_t RefusedBirths(std::uint32_t number) const override;
  Result<std::vector<Tid>> BirthsNotLetIn() const override;
  void RetireSet(CssSetId set) override;
  std::vector<Leaver> Leavers() override;
  int bell_fd() const override;
  void Drain(Listener& listener) override;
  AuditReport Audit() override;
  AuditReport Resync() override;
  MissCounts misses() const override;

 private:
  BpfTracker();
  Result<void> Load(const BpfOptions& options);
  Result<void> LoadPinned();
  Result<void> ListenToDoorbell();
  Result<void> PinAll();
  std::array<std::pair<const char*, bpf_map*>, 6> Maps() const;
  Result<void> MapTables();
  Result<void> Seed();
  int Request(corral_op op, Tid tid, std::uint64_t expected, std::uint32_t to) const;
  std::vector<corral_task_record> Walk(int link_fd) const;
  // The machine's tasks, each with its word: the walk, and what it hides.
  std::vector<corral_task_record> MachineTasks() const;
  Result<void> TellHooksOfHidden();
  MissCounts AllMisses() const;  // since the tables were made
  // Gives every live task that has no place the initial one.
  void AdoptUnknown();
  AuditReport Compare(bool repair);
  std::shared_ptr<TaskFeed> Feed() const;
  std::shared_ptr<TaskLimiter> Limiter() const;

  std::optional<Pins> pins_;
  bool taken_over_ = false;
  std::string given_up_;
  Stamp stamp_;
  std::vector<Fd> hook_links_;     // those taken over
  std::vector<Fd> hook_programs_;  // whoever loaded them
  Skeleton<tracker_bpf> skeleton_;
  std::vector<corral_unknown_bell> bells_;  // filled by the ring's callback, within Drain()
  Ring doorbell_;
  Mapping<const std::uint64_t> words_;
  Mapping<const std::uint64_t> live_;
  Mapping<const std::uint64_t> counters_;
  Mapping<corral_set_entry> sets_;
  Tables tables_;
  std::atomic<std::uint32_t> highest_set_ = CORRAL_SET_INITIAL;
  bool walk_hides_tasks_ = true;  // until Seed() has found that it does not
  std::vector<Tgid> also_hidden_;
  std::vector<Tgid> hidden_;
  bool seed_incomplete_ = false;  // a task was inside exec all the time: look again
  bool told_out_of_table_ = false;
  MissCounts seen_;  // by Drain()

  std::uint32_t feed_bytes_ = 0;
  mutable Mutex parts_mu_;                                      // a leaf
  std::shared_ptr<TaskFeed> feed_ GUARDED_BY(parts_mu_);        // null: nobody wants to be told
  std::shared_ptr<TaskLimiter> limiter_ GUARDED_BY(parts_mu_);  // null: there was no limit yet
  bool cannot_limit_ GUARDED_BY(parts_mu_) = false;
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_BPF_TRACKER_H_
