// A mounted hierarchy, corral's or the kernel's own, used through its files.
#ifndef CORRAL_BENCH_SCALE_FILES_H_
#define CORRAL_BENCH_SCALE_FILES_H_

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace corral {

inline bool WriteFile(const std::string& path, const std::string& bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  ::close(fd);
  return ok;
}

inline std::string ReadFd(int fd) {
  std::string text;
  static char buffer[1 << 17];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, n);
  return text;
}

inline std::string ReadFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text = ReadFd(fd);
  ::close(fd);
  return text;
}

// Runs a command, its output thrown away; false when it failed.
inline bool Run(const std::string& command) {
  const int status = ::system((command + " > /dev/null").c_str());
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace corral

#endif  // CORRAL_BENCH_SCALE_FILES_H_
