// MachineTasks: which tasks the machine has, each with its word; and those that were there before
// the hooks get a place (seeding).
//
// Asks the kernel's task iterator, and /proc as well where that one hides tasks (seen: a kernel
// that hides process 1). Owned by a BpfTracker. Seed() comes before anything else; then any thread.
//
//   MachineTasks tasks(programs, tables, {});
//   bool complete = TRY(tasks.Seed());
//   for (const corral_task_record& task : tasks.List()) ...
#ifndef CORRAL_TRACKERS_BPF_MACHINE_TASKS_H_
#define CORRAL_TRACKERS_BPF_MACHINE_TASKS_H_

#include <corral/tracker.h>

#include <vector>

#include "trackers/bpf/tracker_programs.h"
#include "trackers/tables.h"

namespace corral {

class MachineTasks {
 public:
  // Both outlive this. `also_hidden`: taken for hidden, whatever the iterator shows; for tests.
  MachineTasks(const TrackerPrograms& programs, const Tables& tables, std::vector<Tgid> also_hidden)
      : programs_(programs), tables_(tables), also_hidden_(std::move(also_hidden)) {}

  // Every task born from now on is known to the hooks; gives the others their place, and finds out
  // which are hidden. False: one was inside exec all the time; look again soon. ENOTSUP: the
  // iterator shows nobody. REQUIRES: the hooks are attached.
  Result<bool> Seed();

  std::vector<corral_task_record> List() const;

  // Gives every live task that has no place the initial one.
  void AdoptUnknown() const;

  // Processes that the kernel keeps from the iterator, as of Seed().
  const std::vector<Tgid>& hidden() const { return hidden_; }
  // The iterator does not show every task.
  bool some_are_hidden() const { return some_are_hidden_; }

 private:
  Result<bool> SeedOnce();
  Result<void> TellHooksOfHidden() const;

  const TrackerPrograms& programs_;
  const Tables& tables_;
  const std::vector<Tgid> also_hidden_;
  // Constant after Seed().
  bool some_are_hidden_ = true;  // until it is known that they are not
  std::vector<Tgid> hidden_;
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_MACHINE_TASKS_H_
