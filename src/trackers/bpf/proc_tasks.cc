#include "trackers/bpf/proc_tasks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/fd.h"
#include "base/proc.h"

namespace corral {
namespace {

constexpr unsigned kExiting = 0x4;  // PF_EXITING

}  // namespace

std::uint32_t StateInProc(std::uint32_t tgid, std::uint32_t tid) {
  const Fd file(
      ::open(fmt::format("/proc/{}/task/{}/stat", tgid, tid).c_str(), O_RDONLY | O_CLOEXEC));
  // Anything else (no descriptors, no memory) is no answer: then it counts as there.
  if (!file && errno != ENOENT && errno != ESRCH) return 0;
  char text[1024];
  const ssize_t n = file ? ::read(file.get(), text, sizeof text - 1) : 0;
  if (n < 0 && errno != ESRCH) return 0;
  if (n <= 0) return CORRAL_TASK_GONE;
  text[n] = '\0';
  const char* after_name = std::strrchr(text, ')');  // the name may hold anything
  char state = 'X';
  unsigned flags = 0;
  if (!after_name ||
      std::sscanf(after_name + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2) {
    return CORRAL_TASK_GONE;
  }
  std::uint32_t result = 0;
  if (flags & kExiting) result |= CORRAL_TASK_EXITING;
  if (state == 'Z' || state == 'X') result |= CORRAL_TASK_GONE;
  return result;
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
