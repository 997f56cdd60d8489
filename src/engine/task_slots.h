// TaskSlots: which tasks an engine has, by number, and whether they are marked as killed.
//
// A slot is one word: { uses:40 | killed:1 | live:1 }, at index tid. A TaskId is { uses:40 |
// tid:24 }, so it never means a later task of the same tid. Free numbers are used again in the
// order in which they came back. Owned by EngineCore; any thread.
#ifndef CORRAL_ENGINE_TASK_SLOTS_H_
#define CORRAL_ENGINE_TASK_SLOTS_H_

#include <corral/engine.h>

#include <atomic>
#include <map>
#include <optional>
#include <vector>

#include "base/mutex.h"

namespace corral {

class TaskSlots {
 public:
  // Tids from `first` on.
  TaskSlots(Tid first, std::uint32_t tasks)
      : slots_(first.value + tasks), free_(tasks), available_(tasks) {
    for (std::uint32_t i = 0; i < tasks; ++i) free_[i] = Tid{first.value + i};
  }

  // A number for a new task, live and not marked. Empty: none is left.
  std::optional<TaskId> Take() {
    Tid tid;
    {
      MutexLock lock(free_mu_);
      if (available_ == 0) return std::nullopt;
      tid = free_[next_];
      next_ = (next_ + 1) % free_.size();
      --available_;
    }
    std::atomic<std::uint64_t>& slot = slots_[tid.value];
    const std::uint64_t uses = (slot.load() >> kUsesShift) + 1;
    slot = uses << kUsesShift | kLive;
    return IdOf(tid, uses);
  }

  // From now on nobody finds it. REQUIRES: it is live.
  void End(TaskId id) { slots_[TidOf(id).value].fetch_and(~kLive); }

  // REQUIRES: End(id), and nothing knows its tid any more.
  void GiveBack(TaskId id) {
    MutexLock lock(free_mu_);
    free_[(next_ + available_) % free_.size()] = TidOf(id);
    ++available_;
  }

  bool IsLive(TaskId id) const {
    const std::optional<std::uint64_t> slot = SlotOf(id);
    return slot && (*slot & kLive) != 0;
  }
  bool IsKilled(TaskId id) const {
    const std::optional<std::uint64_t> slot = SlotOf(id);
    return slot && (*slot & kKilled) != 0;
  }

  // Who has this tid now, if it is live.
  std::optional<TaskId> Who(Tid tid) const {
    const std::uint64_t slot = slots_[tid.value].load();
    if ((slot & kLive) == 0) return std::nullopt;
    return IdOf(tid, slot >> kUsesShift);
  }

  // False: it is marked already, or it has ended.
  bool Mark(TaskId id) {
    const std::uint64_t unmarked = UsesOf(id) << kUsesShift | kLive;
    std::uint64_t seen = unmarked;
    return slots_[TidOf(id).value].compare_exchange_strong(seen, unmarked | kKilled);
  }

  std::size_t live() const {
    MutexLock lock(free_mu_);
    return free_.size() - available_;
  }

  // For comparisons with the tracker's tables (InprocOptions::machine_tasks).
  std::map<Tid, Tgid> All() const {
    std::map<Tid, Tgid> all;
    for (std::uint32_t tid = 0; tid < slots_.size(); ++tid) {
      if ((slots_[tid].load() & kLive) != 0) all.emplace_hint(all.end(), Tid{tid}, Tgid{tid});
    }
    return all;
  }

 private:
  static constexpr std::uint64_t kLive = 1;
  static constexpr std::uint64_t kKilled = 2;
  static constexpr unsigned kUsesShift = 2;
  static constexpr unsigned kTidBits = 24;

  static TaskId IdOf(Tid tid, std::uint64_t uses) { return TaskId{uses << kTidBits | tid.value}; }
  static std::uint64_t UsesOf(TaskId id) { return id.value >> kTidBits; }
  // What is in its slot, if that is still its own.
  std::optional<std::uint64_t> SlotOf(TaskId id) const {
    if (TidOf(id).value >= slots_.size()) return std::nullopt;
    const std::uint64_t slot = slots_[TidOf(id).value].load();
    return slot >> kUsesShift == UsesOf(id) ? std::optional(slot) : std::nullopt;
  }

  std::vector<std::atomic<std::uint64_t>> slots_;
  mutable Mutex free_mu_;                       // a leaf
  std::vector<Tid> free_ GUARDED_BY(free_mu_);  // a ring: `available_` numbers from next_ on
  std::size_t next_ GUARDED_BY(free_mu_) = 0;
  std::size_t available_ GUARDED_BY(free_mu_);
};

}  // namespace corral

#endif  // CORRAL_ENGINE_TASK_SLOTS_H_
