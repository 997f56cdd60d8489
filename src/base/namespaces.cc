#include "base/namespaces.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/proc.h"
#include "base/read_file.h"

namespace corral {

std::optional<NamespaceId> NamespaceOf(const std::string& task, const std::string& kind) {
  struct stat file;
  if (::stat(("/proc/" + task + "/ns/" + kind).c_str(), &file) != 0) return std::nullopt;
  return NamespaceId{file.st_dev, file.st_ino};
}

std::optional<NamespaceId> NamespaceOf(int fd) {
  struct stat file;
  if (::fstat(fd, &file) != 0) return std::nullopt;
  return NamespaceId{file.st_dev, file.st_ino};
}

Result<bool> InInitialPidNamespace() {
  constexpr ino_t kInitial = 4026531836;  // on every kernel since 3.8
  const auto ours = NamespaceOf("self", "pid");
  if (!ours) return Fail(ENOENT, "cannot read /proc/self/ns/pid: is /proc mounted?");
  return ours->inode == kInitial;
}

std::vector<std::uint32_t> PidsIn(std::uint32_t tid) {
  const std::string status = ReadFileOrNothing("/proc/" + std::to_string(tid) + "/status");
  const auto numbers = StatusNumbers(status, "NSpid");
  return {numbers.begin(), numbers.end()};
}

}  // namespace corral
