#include "base/own_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/errors.h"

namespace corral {
namespace {

constexpr mode_t kOthersMayWrite = 0022;

// What is wrong with what was found; empty: nothing.
std::string Objection(const struct stat& found, mode_t type) {
  if (S_ISLNK(found.st_mode)) return "is a symbolic link";
  if ((found.st_mode & S_IFMT) != type) {
    return type == S_IFDIR ? "is no directory" : "is no regular file";
  }
  if (found.st_uid != ::geteuid()) {
    return fmt::format("belongs to uid {}, not to uid {}", found.st_uid, ::geteuid());
  }
  if (found.st_mode & kOthersMayWrite) {
    return fmt::format("may be written by others (its mode is {:04o})", found.st_mode & 07777);
  }
  if (type == S_IFREG && found.st_nlink > 1) return "has other names (hard links)";
  return "";
}

Result<void> CheckOwn(const std::string& path, const struct stat& found, mode_t type) {
  const std::string wrong = Objection(found, type);
  if (wrong.empty()) return {};
  return Fail(
      EPERM,
      "{} {}: it is not used, for others could decide what is in it. See what it is, remove "
      "it, and try again",
      path, wrong);
}

// What opening found out, or, where it could not be opened, what is there instead.
Result<Fd> Checked(const std::string& path, Fd opened, mode_t type, mode_t mode) {
  const int error = errno;
  struct stat found;
  if (!opened) {
    if (::lstat(path.c_str(), &found) == 0) {
      TRY(CheckOwn(path, found, type));
    }
    return FailErrno(error, "cannot open {}", path);
  }
  if (::fstat(opened.get(), &found) != 0) {
    return FailErrno("cannot look at {}", path);
  }
  TRY(CheckOwn(path, found, type));
  if ((found.st_mode & 07777) != mode && ::fchmod(opened.get(), mode) != 0) {
    return FailErrno("cannot give {} the mode {:04o}", path, mode);
  }
  return opened;
}

}  // namespace

Result<Fd> OpenOwnDirectory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode & ~kOthersMayWrite) != 0 && errno != EEXIST) {
    return FailErrno("cannot make {}", path);
  }
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return Checked(path, std::move(directory), S_IFDIR, mode);
}

// Without waiting: what is there may be a pipe.
Result<Fd> OpenOwnFile(const std::string& path, int flags, mode_t mode) {
  Fd file(::open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode));
  return Checked(path, std::move(file), S_IFREG, mode);
}

bool StillNamed(int fd, const std::string& path) {
  struct stat ours, named;
  return ::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
         ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

}  // namespace corral
