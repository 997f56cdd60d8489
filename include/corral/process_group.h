// ProcessGroup: a group of real processes, kept by a running corrald (corrald(8)).
//
// What corral(1) does with `mkdir`, `attach`, `run`, `wait`, `ps`, `kill` and `rm`, from within a
// program that runs as root. For tasks that are not processes see engine.h.
//
//   auto job = corral::ProcessGroup::Create("corral:/night/backup");
//   if (!job && job.error().code == ECONNREFUSED) ...             // no daemon runs: carry on
//   pid_t pid = job->Spawn({"tar", "-cf", "/srv/b.tar", "/home"}).value();
//   ::waitpid(pid, &status, 0);                                   // its own child, as usual
//   if (!job->WaitEmpty(10s)) (void)job->Kill();                  // whatever it left behind
//
// Errors. Every call fails with ECONNREFUSED when no daemon runs for the instance, or it went away;
// the program goes on, and a later call finds one that was started meanwhile (which knows nothing
// of earlier groups: ENOENT). EPERM or EACCES: not root. ENOENT: the group is gone, or its
// hierarchy is. ECONNRESET: the daemon went away while it was at work, and another one is there;
// what was asked may have been done. ETIMEDOUT: it is stopped, or does not answer for some seconds;
// what was asked may be done all the same, now or when it goes on. No call starts a daemon, raises
// a signal or throws.
//
// Threads. Any thread, many at once: requests of one object are sent one after the other, but those
// of WaitEmpty() have a connection of their own and hold up nobody.
#ifndef CORRAL_PROCESS_GROUP_H_
#define CORRAL_PROCESS_GROUP_H_

#include <corral/result.h>
#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace corral {

class GroupCalls;

class ProcessGroup {
 public:
  // The group at HIERARCHY:/path, in the instance of this name (none: $CORRAL_INSTANCE, else
  // `default`); it and those above it are made if they are missing. `corral` is the hierarchy that
  // is always there. EINVAL: no such path is possible, or no such instance.
  static Result<ProcessGroup> Create(const std::string& path, const std::string& instance = "");

  // Removes the group if Create() made it and nothing is in it; what still runs stays, and the
  // group with it.
  ~ProcessGroup();
  ProcessGroup(ProcessGroup&&) noexcept;
  ProcessGroup& operator=(ProcessGroup&&) noexcept;

  const std::string& path() const { return path_; }
  bool made() const { return made_; }  // by Create(); it was not there before

  // All threads of a process; its children of before stay where they are. 0: the caller's own.
  // ESRCH: there is none.
  Result<void> Enter(pid_t process) const;

  // Runs a command, found on PATH, that is in the group before its first instruction, with the
  // caller's signal mask, environment and descriptors (without FD_CLOEXEC). It is the caller's
  // child, to be waited for as usual. ENOENT, EACCES, ...: it cannot be run; nothing is left.
  // EINVAL: no command.
  Result<pid_t> Spawn(const std::vector<std::string>& command) const;

  // Returns when the group and all below it are empty, and all that left have let go of memory,
  // files and directories; also when it is removed. ETIMEDOUT. EINVAL: a root. ESHUTDOWN: the
  // daemon ends.
  Result<void> WaitEmpty(
      std::chrono::milliseconds timeout = std::chrono::milliseconds::max()) const;

  // The processes in the group and below it, ascending.
  Result<std::vector<pid_t>> List() const;

  // SIGKILL to all of them, those born meanwhile included; who was killed. Does not wait for their
  // end. EPERM: a root.
  Result<std::vector<pid_t>> Kill() const;

  // EBUSY: processes or groups are in it.
  Result<void> Remove();

 private:
  ProcessGroup(std::unique_ptr<GroupCalls> calls, std::string path, bool made);

  std::unique_ptr<GroupCalls> calls_;
  std::string path_;
  bool made_ = false;
};

}  // namespace corral

#endif  // CORRAL_PROCESS_GROUP_H_
