#include "cli/run_signals.h"

#include <unistd.h>

#include "base/process.h"

namespace corral::cli {

RunSignals::RunSignals() {
  ::sigemptyset(&ours_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    struct sigaction action;
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) ::sigaddset(&ours_, signal);
  }
  ::sigprocmask(SIG_BLOCK, &ours_, &before_);
  fd_.reset(::signalfd(-1, &ours_, SFD_CLOEXEC | SFD_NONBLOCK));
}

RunSignals::~RunSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

std::optional<signalfd_siginfo> RunSignals::Next() {
  signalfd_siginfo signal;
  if (::read(fd_.get(), &signal, sizeof signal) != sizeof signal) return std::nullopt;
  return signal;
}

void PassOn(const signalfd_siginfo& signal, pid_t command, const Fd& command_pidfd) {
  // SI_KERNEL: Ctrl-C and the like, or a hang-up, sent to the whole foreground process group.
  // A command that left our group (an interactive shell) did not get it from there.
  const bool from_terminal = signal.ssi_code == SI_KERNEL;
  if (from_terminal && ::getpgid(command) == ::getpgrp()) return;
  (void)SendSignal(command_pidfd, static_cast<int>(signal.ssi_signo));  // it may have ended
}

}  // namespace corral::cli
