// LinuxMachine: the machine we are on, as /proc and pidfds tell of it.
#ifndef CORRAL_DAEMON_LINUX_MACHINE_H_
#define CORRAL_DAEMON_LINUX_MACHINE_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "control/machine.h"

namespace corral {

class LinuxMachine final : public Machine {
 public:
  // A task is held by its open /proc/TID directory: once the task is gone every look through
  // it fails with ESRCH, whoever has the number now. (pidfd_open of a thread needs 6.9.)
  Result<std::unique_ptr<TaskHandle>> OpenTask(Tid tid) const override;
  Result<std::unique_ptr<ProcessHandle>> OpenProcess(Tgid tgid) const override;
  bool IsSysAdmin(Tid tid) const override;
  Credentials CredentialsOf(Tid tid, uid_t uid, gid_t gid) const override;
  // Of our own /proc, asked for at most once a second.
  ProcHiding HidingOfProc() const override EXCLUDES(hiding_mu_);
  Result<void> CheckAgent(const std::string& agent, const std::string& user) const override;
  std::unique_ptr<PidView> PidViewOf(Tid caller) const override;
  Tgid OwnProcess() const override;

 private:
  using Clock = std::chrono::steady_clock;
  mutable Mutex hiding_mu_;  // a leaf
  mutable ProcHiding hiding_ GUARDED_BY(hiding_mu_);
  mutable std::optional<Clock::time_point> hiding_read_ GUARDED_BY(hiding_mu_);
};

// From the lines of /proc/PID/mountinfo: what is on top at /proc.
ProcHiding HidingIn(std::string_view mountinfo);

}  // namespace corral

#endif  // CORRAL_DAEMON_LINUX_MACHINE_H_
