// ForkedCommand: a command's process, forked, that waits before its exec until it is told to go on.
//
// `corral run` and the library fork, have the daemon put the child in its group, and only then
// let it go on to exec: nothing the command does happens outside the group.
//
//   auto child = ForkedCommand::Fork(argv, setup);
//   ... attach child->pid() ...
//   if (int error = child->Release()) ...          // exec failed; the child is gone
//   siginfo_t end = child->Reap();
#ifndef CORRAL_CLIENT_FORKED_COMMAND_H_
#define CORRAL_CLIENT_FORKED_COMMAND_H_

#include <corral/result.h>
#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"

namespace corral {

struct ChildSetup {
  bool ignore_sigchld = false;  // as corral itself was started
  bool detach = false;          // a session of its own, /dev/null as standard files
};

class ForkedCommand {
 public:
  // The command has the signal mask of the caller.
  static Result<ForkedCommand> Fork(const std::vector<std::string>& command,
                                    const ChildSetup& setup);

  pid_t pid() const { return pid_; }
  // Readable when the command has ended.
  const Fd& pidfd() const { return pidfd_; }

  // Lets it exec. 0, or the errno of exec; then the child is reaped already. 0 as well for one
  // that a signal ended before: it is a command that ended.
  int Release();
  // Ends a child that was never released.
  void Abandon();
  // Waits for the end, and tells it: si_code, si_status.
  siginfo_t Reap();

 private:
  ForkedCommand(pid_t pid, Fd pidfd, Fd go, Fd exec_error)
      : pid_(pid),
        pidfd_(std::move(pidfd)),
        go_(std::move(go)),
        exec_error_(std::move(exec_error)) {}

  pid_t pid_;
  Fd pidfd_;
  Fd go_;          // a socket: a byte releases the child; closing ends it
  Fd exec_error_;  // an errno, or the end of file when exec succeeded
};

}  // namespace corral

#endif  // CORRAL_CLIENT_FORKED_COMMAND_H_
