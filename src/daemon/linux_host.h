// LinuxHost: the Host of the machine we are on, from /proc and pidfds.
#ifndef CORRAL_DAEMON_LINUX_HOST_H_
#define CORRAL_DAEMON_LINUX_HOST_H_

#include <memory>
#include <string>

#include "control/host.h"

namespace corral {

class LinuxHost final : public Host {
 public:
  // A task is held by its open /proc/TID directory: once the task is gone every look through
  // it fails with ESRCH, whoever has the number now. (pidfd_open of a thread needs 6.9.)
  Result<std::unique_ptr<TaskHandle>> OpenTask(Tid tid) const override;
  Result<std::unique_ptr<ProcessHandle>> OpenProcess(Tgid tgid) const override;
  bool IsSysAdmin(Tid tid) const override;
  Result<void> CheckAgent(const std::string& agent, const std::string& user) const override;
  std::unique_ptr<PidView> PidViewOf(Tid caller) const override;
  Tgid OwnProcess() const override;
};

}  // namespace corral

#endif  // CORRAL_DAEMON_LINUX_HOST_H_
