// Machine: what the control files ask about tasks and processes beyond where they are: whose they
// are, what a caller may do, how another pid namespace numbers them. An interface, so that the
// files can be tested without root; the real one is daemon/linux_machine. Any thread; only
// TaskHandle::StillThere is asked with a lock held.
//
//   const auto task = TRY(machine.OpenTask(tid));   // held: not another one under its number
//   const auto owner = TRY(task->owner());
#ifndef CORRAL_CONTROL_MACHINE_H_
#define CORRAL_CONTROL_MACHINE_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace corral {

// What the kernel would judge a caller by.
struct Credentials {
  uid_t uid = 0;  // of the file system, as the gid
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::uint64_t capabilities = 0;  // in force in the initial user namespace

  enum Capability { kDacOverride = 1, kDacReadSearch = 2, kSysPtrace = 19, kSysAdmin = 21 };
  bool Has(Capability which) const { return (capabilities >> which & 1) != 0; }
  bool InGroup(gid_t group) const {
    return gid == group || std::ranges::find(groups, group) != groups.end();
  }
};

// How /proc is mounted: what it hides of others' processes (proc(5), hidepid= and gid=).
struct ProcHiding {
  // The contents of PID; that PID is there; the same, and `gid` is of no use.
  enum Level { kNothing = 0, kContents = 1, kProcesses = 2, kNotTraceable = 4 } level = kNothing;
  gid_t gid = 0;  // whose members see all
};

// A task held fast: its tid may be recycled, this handle then says so.
class TaskHandle {
 public:
  virtual ~TaskHandle() = default;
  struct Owner {
    uid_t real_uid;
    uid_t saved_uid;
    Tgid process;
  };
  virtual Result<Owner> owner() const = 0;  // ESRCH
  // When it began: tells it from others that had its number. ESRCH.
  virtual Result<std::uint64_t> started() const = 0;
  // Whether ptrace(2) would let him read its memory, his own process apart.
  virtual bool MayBeTracedBy(const Credentials& who) const = 0;
  // A kernel thread that has its place for good: kthreadd, or one with a fixed affinity.
  virtual bool is_bound_kthread() const = 0;
  // ESRCH: the task it was opened for is gone. One look for a name and nothing read, for it is
  // asked with the registry's tree locked (attach.cc).
  virtual Result<void> StillThere() const = 0;
};

// Task numbers as a task of another pid namespace sees them (spec 7.5).
class PidView {
 public:
  virtual ~PidView() = default;
  // Empty: it is not visible there, or gone.
  virtual std::optional<std::uint32_t> Seen(Tid tid) const = 0;
  // The task that has this number there. ESRCH.
  virtual Result<Tid> HostTid(std::uint32_t seen) const = 0;
};

// A process held fast for a signal.
class ProcessHandle {
 public:
  virtual ~ProcessHandle() = default;
  virtual Result<void> Kill() const = 0;  // SIGKILL. ESRCH: it is gone
};

class Machine {
 public:
  virtual ~Machine() = default;
  virtual Result<std::unique_ptr<TaskHandle>> OpenTask(Tid tid) const = 0;          // ESRCH
  virtual Result<std::unique_ptr<ProcessHandle>> OpenProcess(Tgid tgid) const = 0;  // ESRCH
  // CAP_SYS_ADMIN in the initial user namespace (spec 8.4).
  virtual bool IsSysAdmin(Tid tid) const = 0;
  // Of a thread that waits for our answer, whose request told its uid and gid. No groups and no
  // capabilities if it is gone.
  virtual Credentials CredentialsOf(Tid tid, uid_t uid, gid_t gid) const = 0;
  virtual ProcHiding HidingOfProc() const = 0;
  // EPERM: somebody beside root and the user it will run as (empty: root) could change what runs
  // (spec 10.11). A missing file is fine: it may come later, and is looked at again.
  virtual Result<void> CheckAgent(const std::string& agent, const std::string& user) const = 0;
  // Null: the caller sees the numbers that we see.
  virtual std::unique_ptr<PidView> PidViewOf(Tid caller) const = 0;
  virtual Tgid OwnProcess() const = 0;  // the daemon, which kills no group with itself in it
  // How many tasks there are, about, at little cost: bounds the size of a list. Unless
  // overridden, what sysinfo(2) says (0.6 us).
  virtual std::uint64_t TaskCount() const;
};

}  // namespace corral

#endif  // CORRAL_CONTROL_MACHINE_H_
