// CpuMeter: what the tasks of each css_set have run, without a cost on context switches.
//
// A task's time is charged when the kernel is through with it, from its own final sum; what
// tasks that are still there have run is added when somebody asks. Like the Tracker it knows
// css_set numbers and nothing of cgroups: whoever asks adds up the sets of a cgroup.
//
// Off until it is asked for: Start() attaches its hooks, Stop() takes them away. Any thread.
//
//   meter.Start();
//   meter.Split(Tgid{1234});                       // before a process is moved
//   for (const auto& [set, time] : meter.Read()) ...
//   while (meter.Uncharged(set) != 0) ...          // somebody who died is not in Read() yet
#ifndef CORRAL_CPU_METER_H_
#define CORRAL_CPU_METER_H_

#include <corral/ids.h>
#include <corral/result.h>

#include <cstdint>
#include <unordered_map>

namespace corral {

// Nanoseconds. `total` is exact; `user` and `system` are the kernel's own samples of it, which
// tick-based kernels take so seldom that short tasks have neither. `tasks`: those that ended.
struct CpuTime {
  std::uint64_t total = 0;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  std::uint64_t tasks = 0;
  CpuTime& operator+=(const CpuTime& more) {
    total += more.total;
    user += more.user;
    system += more.system;
    tasks += more.tasks;
    return *this;
  }
  // Since `earlier`; of each member at least 0.
  CpuTime operator-(const CpuTime& earlier) const {
    const auto less = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; };
    return {less(total, earlier.total), less(user, earlier.user), less(system, earlier.system),
            less(tasks, earlier.tasks)};
  }
  bool operator==(const CpuTime&) const = default;
};

class CpuMeter {
 public:
  virtual ~CpuMeter() = default;

  // Counted: the hooks stay until as many Stop() as Start() were called. A task that is there at
  // Start() is charged from then on only. Fails with the kernel's errno when a hook cannot be
  // attached; then nothing is.
  virtual Result<void> Start() = 0;
  virtual void Stop() = 0;
  virtual bool IsOn() const = 0;

  // What the process, or the one task, has run so far is charged to the css_sets its tasks are in
  // now; what it runs later, to where it is then. Call before a move. Changes no sum of Read().
  virtual void Split(Tgid process) = 0;
  virtual void Split(Tid task) = 0;

  // Everything each css_set was charged since the first Start(), and what tasks that are still
  // there have run in it. Never less than what an earlier call said of the same set. A css_set
  // that is used again for something else goes on from its old sum: take differences.
  virtual std::unordered_map<CssSetId, CpuTime> Read() = 0;

  // What Read() last said of it, and what was charged since: a few loads.
  virtual CpuTime Charged(CssSetId set) const = 0;

  // Dead tasks of this set that are not in Charged() in full yet: two loads. A set may be used
  // again for something else only when it is 0.
  virtual std::uint64_t Owed(CssSetId set) const = 0;

  // The same after a look at who is still running: 0 as soon as the last of them has left its
  // processor for good, which may be a little after wait(2).
  virtual std::uint64_t Uncharged(CssSetId set) = 0;
};

}  // namespace corral

#endif  // CORRAL_CPU_METER_H_
