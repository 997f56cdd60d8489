// TaskLimiter: births kept within limits by the kernel, bpf/task_limits.bpf.c.
//
// Made with the first limits, and kept: how many births each limit has stopped is read here. Its
// program is attached only while there are limits.
//
// Calls of Set() must be serialised; the rest may come from any thread.
#ifndef CORRAL_TRACKERS_BPF_TASK_LIMITER_H_
#define CORRAL_TRACKERS_BPF_TASK_LIMITER_H_

#include <corral/tracker.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "shared.h"
#include "trackers/bpf/bpf_object.h"

struct task_limits_bpf;

namespace corral {

// What becomes of a birth beyond a limit.
enum class BirthControl {
  kRefuses,  // it fails with EAGAIN
  kKills,    // the newborn is killed before its first instruction (a thread: its process)
};

class TaskLimiter {
 public:
  // `words` and `sets`: the tracker's maps, of `set_capacity` sets. ENOTSUP: the kernel lets no
  // program refuse a birth (the BPF LSM) nor send a signal to a newborn (6.13).
  static Result<std::unique_ptr<TaskLimiter>> Create(int words, int sets,
                                                     std::uint32_t set_capacity);
  ~TaskLimiter();

  BirthControl control() const { return control_; }
  // ENOSPC: more than `set_capacity` of limits or of sets in them.
  Result<void> Set(const TaskLimits& limits);
  std::uint64_t Refused(std::uint32_t number) const;
  // Tracker::BirthsNotLetIn.
  Result<std::vector<Tid>> NotLetIn() const;
  // Births beyond a limit that could not be stopped after all; never seen.
  std::uint64_t LetThrough() const;

 private:
  explicit TaskLimiter(std::uint32_t capacity);
  Result<void> Load(BirthControl control, int words, int sets);
  Result<void> Map();
  Result<void> AttachIf(bool wanted);

  const std::uint32_t capacity_;
  BirthControl control_ = BirthControl::kRefuses;
  Skeleton<task_limits_bpf> skeleton_;
  Link walk_;  // over newborns that were not let in; null where births are refused
  Link link_;  // null: no limits
  std::vector<CssSetId> limited_[2];  // in each half
  // Mapped; each but the last two has two halves (bpf/task_limits.bpf.c).
  struct Tables {
    Mapping<std::uint64_t> generation;
    Mapping<corral_task_limit> limits;
    Mapping<std::uint64_t> limited;
    Mapping<std::uint64_t> innermost;
    Mapping<const std::uint64_t> refused;
    Mapping<const std::uint64_t> let_through;
  } tables_;
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_TASK_LIMITER_H_
