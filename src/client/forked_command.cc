#include "client/forked_command.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/errors.h"
#include "base/process.h"

namespace corral {
namespace {

// Allocates nothing: the program that was forked may have had other threads.
[[noreturn]] void BecomeCommand(char* const* argv, const ChildSetup& setup, int go,
                                int exec_error) {
  char byte;
  ssize_t got;
  do {
    got = ::read(go, &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) ::_exit(127);  // corral gave up, or is gone

  if (setup.detach) {
    ::setsid();
    (void)StandardFilesToNull();
  }
  if (setup.ignore_sigchld) ::signal(SIGCHLD, SIG_IGN);

  ::execvp(argv[0], argv);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(exec_error, &error, sizeof error);
  ::_exit(127);
}

}  // namespace

Result<ForkedCommand> ForkedCommand::Fork(const std::vector<std::string>& command,
                                          const ChildSetup& setup) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  int go[2];
  int exec_error[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) != 0) {
    return FailErrno("socketpair");
  }
  Fd go_read(go[0]);
  Fd go_write(go[1]);
  if (::pipe2(exec_error, O_CLOEXEC) != 0) return FailErrno("pipe");
  Fd error_read(exec_error[0]);
  Fd error_write(exec_error[1]);

  const pid_t pid = ::fork();
  if (pid < 0) return FailErrno("cannot fork");
  if (pid == 0) {
    go_write.reset();  // or the end of corral would not be noticed
    BecomeCommand(argv.data(), setup, go_read.get(), error_write.get());
  }
  auto pidfd = OpenPidfd(pid);
  ForkedCommand child(pid, Fd(), std::move(go_write), std::move(error_read));
  if (!pidfd) {
    child.Abandon();
    return Fail(pidfd.error());
  }
  child.pidfd_ = *std::move(pidfd);
  return child;
}

int ForkedCommand::Release() {
  ::send(go_.get(), "g", 1, MSG_NOSIGNAL);
  go_.reset();
  int error = 0;
  ssize_t got;
  do {
    got = ::read(exec_error_.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof error) return 0;
  Reap();
  return error;
}

void ForkedCommand::Abandon() {
  go_.reset();
  Reap();
}

siginfo_t ForkedCommand::Reap() {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno == EINTR) {
  }
  return info;
}

}  // namespace corral
