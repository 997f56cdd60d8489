// The numbers in /proc: processes, their tasks, their descriptors.
#ifndef CORRAL_BASE_PROC_H_
#define CORRAL_BASE_PROC_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace corral {

// The names in a directory that are numbers above 0, in its order; none if it cannot be opened.
std::vector<std::uint32_t> NumbersIn(const std::string& directory);

// Each task of /proc, by process and task; ends when fn returns true. May miss one that lives
// while others of its process exit.
void ForEachTaskInProc(const std::function<bool(std::uint32_t tgid, std::uint32_t tid)>& fn);

}  // namespace corral

#endif  // CORRAL_BASE_PROC_H_
