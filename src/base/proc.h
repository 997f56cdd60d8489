// What /proc says of processes and their tasks: which there are, and the two files in which it says
// most. The functions that read a text are pure.
//
//   if (const auto stat = StatOfTask(1)) fmt::print("{} {}", stat->name, stat->state);
//   StatusNumbers(TRY(ReadFile("/proc/1/status")), "Uid");  // {0, 0, 0, 0}
#ifndef CORRAL_BASE_PROC_H_
#define CORRAL_BASE_PROC_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

// The names in a directory that are numbers, in its order; none if it cannot be opened.
std::vector<std::uint32_t> NumbersIn(const std::string& directory);

// Each task of /proc, by process and task; ends when fn returns true. May miss one that lives
// while others of its process exit.
void ForEachTaskInProc(const std::function<bool(std::uint32_t tgid, std::uint32_t tid)>& fn);

// /proc/TID/stat.
struct ProcStat {
  static constexpr std::uint32_t kExiting = 0x4;               // PF_EXITING
  static constexpr std::uint32_t kKernelThread = 0x00200000;   // PF_KTHREAD
  static constexpr std::uint32_t kFixedAffinity = 0x04000000;  // PF_NO_SETAFFINITY

  std::string name;  // may hold anything, blanks and brackets too
  char state = '?';  // the letter of ps(1)
  std::uint32_t parent = 0;
  std::uint32_t flags = 0;
  std::uint64_t started = 0;  // clock ticks since boot

  bool IsStopped() const { return state == 'T' || state == 't'; }
  bool HasEnded() const { return state == 'Z' || state == 'X'; }
};
// Nothing: this is no such text; there is no such task.
std::optional<ProcStat> ParseProcStat(std::string_view text);
std::optional<ProcStat> StatOfTask(std::uint32_t tid);

// A line of /proc/TID/status, without the white space around it; empty if there is none.
std::string_view StatusValue(std::string_view status, std::string_view key);
std::vector<std::uint64_t> StatusNumbers(std::string_view status, std::string_view key,
                                         int base = 10);

}  // namespace corral

#endif  // CORRAL_BASE_PROC_H_
