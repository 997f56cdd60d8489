#include "base/process.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/errors.h"

namespace corral {

// EINVAL, and ENOENT of newer kernels: the number is that of a thread which leads no process.
Result<Fd> OpenPidfd(pid_t process) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  if (pidfd) return pidfd;
  if (errno == EINVAL || errno == ENOENT) errno = ESRCH;
  return FailErrno("cannot hold process {} by a descriptor", process);
}

Result<void> SendSignal(const Fd& pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0) return {};
  return FailErrno("signal {}", signal);
}

bool StandardFilesToNull() noexcept {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return false;
  bool done = true;
  for (int fd = 0; fd <= 2; ++fd) {
    // Where it took one of these numbers itself, it is only to outlive an exec.
    done = (fd == null ? ::fcntl(fd, F_SETFD, 0) : ::dup2(null, fd)) >= 0 && done;
  }
  if (null > 2) ::close(null);
  return done;
}

}  // namespace corral
