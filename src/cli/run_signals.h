// The signals `corral run` passes on to its command, or that end its waiting.
#ifndef CORRAL_CLI_RUN_SIGNALS_H_
#define CORRAL_CLI_RUN_SIGNALS_H_

#include <signal.h>
#include <sys/signalfd.h>

#include <optional>

#include "base/fd.h"

namespace corral::cli {

// While one of these lives, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 (those that
// were not ignored, as under nohup) are blocked and can be read.
class RunSignals {
 public:
  RunSignals();
  ~RunSignals();
  RunSignals(const RunSignals&) = delete;
  RunSignals& operator=(const RunSignals&) = delete;

  int fd() const { return fd_.get(); }

  // The next one that came; never waits.
  std::optional<signalfd_siginfo> Next();

 private:
  sigset_t ours_;
  sigset_t before_;
  Fd fd_;
};

// Sends the signal on to the command, unless the terminal gave it to the command as well.
void PassOn(const signalfd_siginfo& signal, pid_t command, const Fd& command_pidfd);

}  // namespace corral::cli

#endif  // CORRAL_CLI_RUN_SIGNALS_H_
