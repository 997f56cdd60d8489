// The machine's tasks as /proc lists them: the second source for seeding and audits.
//
// A kernel may hide tasks from BPF task iterators and still run our hooks for their children
// (seen: a 6.18 kernel that hides process 1 and all its threads). Slow, tens of microseconds
// for each process; used once at start, and later only where something is hidden.
#ifndef CORRAL_TRACKERS_BPF_PROC_TASKS_H_
#define CORRAL_TRACKERS_BPF_PROC_TASKS_H_

#include <shared.h>

#include <cstdint>
#include <unordered_set>
#include <vector>

namespace corral {

// Every task /proc shows whose tid is not in `known`; `word` is left 0. CORRAL_TASK_IN_EXEC
// is never set: /proc does not tell.
std::vector<corral_task_record> TasksOfProc(const std::unordered_set<std::uint32_t>& known);

// The highest tid there is. May be above kernel.pid_max, when that was higher once.
std::uint32_t HighestTid();

// The state (CORRAL_TASK_*) of one task of process `tgid`; CORRAL_TASK_GONE when there is none.
std::uint32_t StateInProc(std::uint32_t tgid, std::uint32_t tid);

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_PROC_TASKS_H_
