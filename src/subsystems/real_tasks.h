// What the built-in subsystems ask of real tasks, and do to them: one small interface each, and the
// machine we are on behind all of them. A program with tasks of its own kind (in-process tracker)
// gives its own; tests give fakes. Any thread.
//
// A task may end at any moment and its number be another's: see each method.
#ifndef CORRAL_SUBSYSTEMS_REAL_TASKS_H_
#define CORRAL_SUBSYSTEMS_REAL_TASKS_H_

#include <corral/ids.h>
#include <corral/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "subsystems/id_list.h"

namespace corral {

// For cpuset. The kernel takes affinities by number only: between a list of tasks and a call the
// number must have gone once around to reach a stranger.
class CpuHost {
 public:
  virtual ~CpuHost() = default;
  virtual IdSet OnlineCpus() const = 0;
  virtual std::size_t CpuNumbers() const = 0;  // CPUs that there may be are below this
  virtual IdSet OnlineNodes() const = 0;       // with memory
  virtual Result<IdSet> Affinity(Tid task) const = 0;
  virtual Result<void> SetAffinity(Tid task, const IdSet& cpus) = 0;
  // A thread of the kernel's that is bound to its CPUs.
  virtual bool HasFixedAffinity(Tid task) const = 0;
  // Pages of the process that `task` leads; nothing for a thread that leads none.
  virtual Result<void> MigrateMemory(Tid task, const IdSet& from, const IdSet& to) = 0;
};

// For freezer.
class StopHost {
 public:
  struct Look {
    Tgid process;
    // Executes nothing of its program until it is continued: stopped, or inside vfork with the stop
    // before it.
    bool stopped = false;
  };
  // A process held fast: signals reach it, or nobody. ESRCH: it has ended.
  class Process {
   public:
    virtual ~Process() = default;
    virtual std::uint64_t started() const = 0;  // tells it from others that had its number
    virtual Result<void> Stop() = 0;
    virtual Result<void> Continue() = 0;
  };

  virtual ~StopHost() = default;
  virtual Result<Look> LookAt(Tid task) const = 0;  // ESRCH: it has ended
  virtual Result<std::unique_ptr<Process>> Open(Tgid process) = 0;
  virtual Tgid OwnProcess() const = 0;
};

// For beancounter.
class UsageHost {
 public:
  struct Usage {
    std::uint64_t pages = 0;  // resident; one that is shared counts with each who has it
    std::uint64_t files = 0;  // descriptors
  };
  virtual ~UsageHost() = default;
  virtual Result<Usage> UsageOf(Tgid process) const = 0;  // ESRCH: it has ended
};

std::shared_ptr<CpuHost> LinuxCpuHost();
std::shared_ptr<StopHost> LinuxStopHost();
std::shared_ptr<UsageHost> LinuxUsageHost();

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_REAL_TASKS_H_
