// Stopping the processes of this machine.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "base/errors.h"
#include "base/number.h"
#include "base/proc.h"
#include "base/process.h"
#include "base/read_file.h"
#include "subsystems/real_tasks.h"

namespace corral {
namespace {

class PidfdStopper final : public StopHost::Process {
 public:
  PidfdStopper(Fd pidfd, std::uint64_t started) : pidfd_(std::move(pidfd)), started_(started) {}
  std::uint64_t started() const override { return started_; }
  Result<void> Stop() override { return SendSignal(pidfd_, SIGSTOP); }
  Result<void> Continue() override { return SendSignal(pidfd_, SIGCONT); }

 private:
  const Fd pidfd_;
  const std::uint64_t started_;
};

class LinuxStopper final : public StopHost {
 public:
  Result<Look> LookAt(Tid task) const override {
    const std::string status = ReadFileOrNothing(fmt::format("/proc/{}/status", task.value));
    const std::string_view state = StatusValue(status, "State");
    if (state.empty() || state.starts_with('Z') || state.starts_with('X')) {
      return Fail(ESRCH, "task {} has ended", task.value);
    }
    const auto process = LeadingNumber(StatusValue(status, "Tgid"));
    Look look{.process = Tgid{static_cast<std::uint32_t>(process)}};
    look.stopped =
        state.starts_with('T') || state.starts_with('t') ||
        (state.starts_with('D') && IsInVfork(task) && HasStopBefore(status, look.process));
    return look;
  }
  Result<std::unique_ptr<Process>> Open(Tgid process) override {
    Fd pidfd = TRY(OpenPidfd(static_cast<pid_t>(process.value)));
    const auto stat = StatOfTask(process.value);
    if (!stat) return Fail(ESRCH, "process {} has ended", process.value);
    return std::make_unique<PidfdStopper>(std::move(pidfd), stat->started);
  }
  Tgid OwnProcess() const override { return Tgid{static_cast<std::uint32_t>(::getpid())}; }

 private:
  // It waits for a child that may be stopped itself, and no signal but SIGKILL wakes it.
  static bool IsInVfork(Tid task) {
    const std::string text = ReadFileOrNothing(fmt::format("/proc/{}/syscall", task.value));
    if (text.empty() || text[0] < '0' || text[0] > '9') return false;  // "running"
    const auto number = static_cast<long>(LeadingNumber(text));
#ifdef SYS_vfork
    if (number == SYS_vfork) return true;
#endif
    return number == SYS_clone || number == SYS_clone3;
  }
  // The stop waits for the process, or for this thread alone: then others have taken it already.
  static bool HasStopBefore(std::string_view status, Tgid process) {
    const std::uint64_t pending = LeadingNumber(StatusValue(status, "ShdPnd"), 16);
    if ((pending >> (SIGSTOP - 1) & 1) != 0) return true;
    const std::string tasks = fmt::format("/proc/{}/task", process.value);
    return std::ranges::any_of(NumbersIn(tasks), [](std::uint32_t tid) {
      const auto stat = StatOfTask(tid);
      return stat && stat->state == 'T';
    });
  }
};

}  // namespace

std::shared_ptr<StopHost> LinuxStopHost() { return std::make_shared<LinuxStopper>(); }

}  // namespace corral
