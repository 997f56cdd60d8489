#include "trackers/bpf/proc_tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/proc.h"
#include "base/read_file.h"

namespace corral {

std::uint32_t StateInProc(std::uint32_t tgid, std::uint32_t tid) {
  const auto text = ReadFile(fmt::format("/proc/{}/task/{}/stat", tgid, tid));
  // Anything else (no descriptors, no memory) is no answer: then it counts as there.
  if (!text && text.error().code != ENOENT && text.error().code != ESRCH) return 0;
  const auto stat = text ? ParseProcStat(*text) : std::nullopt;
  if (!stat) return CORRAL_TASK_GONE;
  return (stat->flags & ProcStat::kExiting ? CORRAL_TASK_EXITING : 0) |
         (stat->HasEnded() ? CORRAL_TASK_GONE : 0);
}

std::uint32_t HighestTid() {
  std::uint32_t highest = 0;
  ForEachTaskInProc([&](std::uint32_t, std::uint32_t tid) {
    highest = std::max(highest, tid);
    return false;
  });
  return highest;
}

std::vector<corral_task_record> TasksOfProc(const std::unordered_set<std::uint32_t>& known) {
  std::vector<corral_task_record> tasks;
  ForEachTaskInProc([&](std::uint32_t tgid, std::uint32_t tid) {
    if (known.contains(tid)) return false;
    const std::uint32_t state = StateInProc(tgid, tid);
    tasks.push_back({.tid = tid, .tgid = tgid, .word = 0, .flags = state, .unused = 0});
    return false;
  });
  return tasks;
}

}  // namespace corral
