#include "differential/look.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "base/fd.h"

namespace corral::differential {

std::string ErrnoName(int error) {
  if (error == 0) return "ok";
  const char* name = ::strerrorname_np(error);
  return name ? name : fmt::format("errno {}", error);
}

std::string Outcome(long result) {
  if (result < 0) return ErrnoName(errno);
  return result == 0 ? "ok" : std::to_string(result);
}

std::string Opened(int fd) {
  if (fd < 0) return ErrnoName(errno);
  ::close(fd);
  return "ok";
}

std::string Write(const std::string& path, const std::string& bytes, int flags) {
  const Fd file(::open(path.c_str(), flags | O_CLOEXEC));
  if (!file) return "open " + ErrnoName(errno);
  return Outcome(::write(file.get(), bytes.data(), bytes.size()));
}

std::string Read(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return "open " + ErrnoName(errno);
  std::string text;
  char buffer[8192];
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
    if (n < 0) return text + "read " + ErrnoName(errno);
    if (n == 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
  }
}

std::string ReadFd(int fd, std::size_t most) {
  std::string text(most, '\0');
  const ssize_t n = ::read(fd, text.data(), text.size());
  if (n < 0) return ErrnoName(errno);
  text.resize(static_cast<std::size_t>(n));
  return text;
}

std::string PreadFd(int fd, off_t offset, std::size_t most) {
  std::string text(most, '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), offset);
  if (n < 0) return ErrnoName(errno);
  text.resize(static_cast<std::size_t>(n));
  return text;
}

std::string Mode(const std::string& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) return ErrnoName(errno);
  const char type = S_ISDIR(st.st_mode) ? 'd' : S_ISREG(st.st_mode) ? '-' : '?';
  return fmt::format("{}{:04o} links {} owner {}:{}", type, st.st_mode & 07777, st.st_nlink,
                     st.st_uid, st.st_gid);
}

ino_t Inode(const std::string& path) {
  struct stat st;
  return ::lstat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

std::vector<std::string> Entries(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(path.c_str());
  if (!dir) return {"opendir " + ErrnoName(errno)};
  while (const dirent* entry = ::readdir(dir)) names.push_back(entry->d_name);
  ::closedir(dir);
  std::ranges::sort(names);
  return names;
}

std::vector<pid_t> Tids(const std::string& list) {
  std::vector<pid_t> tids;
  std::istringstream words(list);
  for (pid_t tid; words >> tid;) tids.push_back(tid);
  return tids;
}

}  // namespace corral::differential
