#include "client/lock_owner.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <sstream>

#include "wire/instance.h"

namespace corral {

// From /proc/locks, which takes no lock: a line is "N: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE
// START END"; one that waits has "->" for its second word.
std::optional<pid_t> LockOwner(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return std::nullopt;
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(st.st_dev), minor(st.st_dev), st.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, type, advisory, access, file;
    pid_t pid = 0;
    words >> number >> type >> advisory >> access >> pid >> file;
    if (type == "FLOCK" && file == wanted && pid > 0) return pid;
  }
  return std::nullopt;
}

std::string OutOfReachText(const std::string& instance, pid_t daemon) {
  return fmt::format(
      "a daemon of instance {0} runs (pid {1}), but {2} was removed while it did: nobody "
      "can reach it. End it with kill {1}, and start again; its groups cannot be kept",
      instance, daemon, RuntimeDir(instance));
}

}  // namespace corral
