#include "daemon/linux_machine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <future>
#include <optional>
#include <sstream>

#include "agent/agent_starter.h"
#include "base/errors.h"
#include "base/fd.h"
#include "base/mountinfo.h"
#include "base/number.h"
#include "base/proc.h"
#include "base/process.h"
#include "base/read_file.h"
#include "base/thread.h"
#include "daemon/pid_view.h"

namespace corral {
namespace {

// Without a descriptor, with errno: nobody has this number, or it cannot be opened.
Fd DirectoryOf(Tid tid) {
  const std::string path = fmt::format("/proc/{}", tid.value);
  return Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Result<std::string> ReadAt(int directory, const char* name) {
  auto text = ReadFile(name, directory);
  if (!text || text->empty()) return Fail(ESRCH, "the task is gone");
  return text;
}

// Those in force in the initial user namespace: in one of its own a user has them all.
std::uint64_t CapabilitiesOf(int directory, const std::string& status) {
  struct stat theirs, ours;
  if (::fstatat(directory, "ns/user", &theirs, 0) != 0 ||
      ::stat("/proc/self/ns/user", &ours) != 0) {
    return 0;
  }
  if (theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev) return 0;
  const auto effective = StatusNumbers(status, "CapEff", 16);
  return effective.empty() ? 0 : effective.front();
}

class ProcTask final : public TaskHandle {
 public:
  explicit ProcTask(Fd directory) : directory_(std::move(directory)) {}

  Result<Owner> owner() const override {
    auto status = TRY(ReadAt(directory_.get(), "status"));
    const auto uids = StatusNumbers(status, "Uid");
    if (uids.size() < 3) return Fail(ESRCH, "the task's user cannot be read");
    const auto process = StatusNumbers(status, "Tgid");
    if (process.empty()) return Fail(ESRCH, "the task's process cannot be read");
    return Owner{.real_uid = static_cast<uid_t>(uids[0]),
                 .saved_uid = static_cast<uid_t>(uids[2]),
                 .process = Tgid{static_cast<std::uint32_t>(process[0])}};
  }

  Result<std::uint64_t> started() const override {
    const auto stat = ParseProcStat(TRY(ReadAt(directory_.get(), "stat")));
    if (!stat) return Fail(ESRCH, "the task is gone");
    return stat->started;
  }

  // As ptrace(2) says it. Where a process is not dumpable, its files in /proc are root's.
  bool MayBeTracedBy(const Credentials& who) const override {
    if (who.Has(Credentials::kSysPtrace)) return true;
    const auto status = ReadAt(directory_.get(), "status");
    struct stat file;
    if (!status || ::fstatat(directory_.get(), "status", &file, 0) != 0) return false;
    const auto all = [&](const char* key, std::uint64_t own) {  // real, effective and saved
      const auto ids = StatusNumbers(*status, key);
      return ids.size() >= 3 && ids[0] == own && ids[1] == own && ids[2] == own;
    };
    return all("Uid", who.uid) && all("Gid", who.gid) && file.st_uid == who.uid;
  }

  bool is_bound_kthread() const override {
    const auto text = ReadAt(directory_.get(), "stat");
    const auto stat = text ? ParseProcStat(*text) : std::nullopt;
    if (!stat || (stat->flags & ProcStat::kKernelThread) == 0) return false;
    // kthreadd alone has no parent.
    return (stat->flags & ProcStat::kFixedAffinity) != 0 || stat->parent == 0;
  }

  // /proc finds nothing below the directory of a task that is gone. Reading `stat` would cost more
  // the more threads the process has: it adds up their times.
  Result<void> StillThere() const override {
    struct stat file;
    if (::fstatat(directory_.get(), "stat", &file, 0) == 0) return {};
    return Fail(ESRCH, "the task is gone");
  }

 private:
  const Fd directory_;
};

class PidfdProcess final : public ProcessHandle {
 public:
  explicit PidfdProcess(Fd pidfd) : pidfd_(std::move(pidfd)) {}

  Result<void> Kill() const override {
    auto done = SendSignal(pidfd_, SIGKILL);
    if (!done) return Fail(done.error().code, "cannot kill the process: {}", done.error().message);
    return done;
  }

 private:
  const Fd pidfd_;
};

}  // namespace

Result<std::unique_ptr<TaskHandle>> LinuxMachine::OpenTask(Tid tid) const {
  Fd directory = DirectoryOf(tid);
  if (!directory) {
    const bool gone = errno == ENOENT || errno == ESRCH;
    return Fail(gone ? ESRCH : errno, "task {}: {}", tid.value, std::strerror(errno));
  }
  return std::make_unique<ProcTask>(std::move(directory));
}

Result<std::unique_ptr<ProcessHandle>> LinuxMachine::OpenProcess(Tgid tgid) const {
  return std::make_unique<PidfdProcess>(TRY(OpenPidfd(static_cast<pid_t>(tgid.value))));
}

Credentials LinuxMachine::CredentialsOf(Tid tid, uid_t uid, gid_t gid) const {
  Credentials who{.uid = uid, .gid = gid, .groups = {}, .capabilities = 0};
  const Fd directory = DirectoryOf(tid);
  const auto status =
      directory ? ReadAt(directory.get(), "status") : Result<std::string>(Fail(ESRCH, "gone"));
  if (!status) return who;
  for (const std::uint64_t group : StatusNumbers(*status, "Groups")) {
    who.groups.push_back(static_cast<gid_t>(group));
  }
  who.capabilities = CapabilitiesOf(directory.get(), *status);
  // A worker of io_uring asks with a user's credentials and may have others of its own.
  const auto uids = StatusNumbers(*status, "Uid");
  if (uids.size() < 4 || uids[3] != uid) who.capabilities = 0;
  return who;
}

bool LinuxMachine::IsSysAdmin(Tid tid) const {
  const Fd directory = DirectoryOf(tid);
  const auto status =
      directory ? ReadAt(directory.get(), "status") : Result<std::string>(Fail(ESRCH, "gone"));
  if (!status) return false;
  return Credentials{.capabilities = CapabilitiesOf(directory.get(), *status)}.Has(
      Credentials::kSysAdmin);
}

ProcHiding LinuxMachine::HidingOfProc() const {
  constexpr auto kOld = std::chrono::seconds(1);
  MutexLock lock(hiding_mu_);
  const auto now = Clock::now();
  if (hiding_read_ && now - *hiding_read_ < kOld) return hiding_;
  hiding_ = HidingIn(ReadFileOrNothing("/proc/self/mountinfo"));
  hiding_read_ = now;
  return hiding_;
}

// The last one at a directory is the mount on top. Options that we do not know hide all: better too
// little is shown.
ProcHiding HidingIn(std::string_view mountinfo) {
  ProcHiding hiding;
  for (const MountLine& mount : ParseMountinfo(mountinfo)) {
    if (mount.point != "/proc") continue;
    hiding = {};
    std::istringstream each(mount.super_options);
    for (std::string option; std::getline(each, option, ',');) {
      if (option.starts_with("gid=")) {
        hiding.gid = static_cast<gid_t>(LeadingNumber(std::string_view(option).substr(4)));
      }
      if (!option.starts_with("hidepid=")) continue;
      const std::string value = option.substr(8);
      hiding.level = value == "0" || value == "off"         ? ProcHiding::kNothing
                     : value == "1" || value == "noaccess"  ? ProcHiding::kContents
                     : value == "2" || value == "invisible" ? ProcHiding::kProcesses
                                                            : ProcHiding::kNotTraceable;
    }
  }
  return hiding;
}

// The look is done by a thread of its own and waited for only so long: the path may lie on
// one of our own mounts, whose server is the very thread that asks, or on a server that hangs.
Result<void> LinuxMachine::CheckAgent(const std::string& agent, const std::string& user) const {
  constexpr auto kPatience = std::chrono::seconds(1);
  std::packaged_task<Result<void>()> look([agent, user] { return CheckAgentFile(agent, user); });
  auto answer = look.get_future();
  auto thread = TRY(StartThread(std::move(look)));
  thread.detach();
  if (answer.wait_for(kPatience) != std::future_status::ready) {
    return Fail(EPERM, "the agent {} cannot be examined: is it inside a corral mount?", agent);
  }
  auto checked = answer.get();
  // What cannot be started now may come later, and is looked at again then.
  if (!checked && checked.error().code != EPERM) return {};
  return checked;
}

std::unique_ptr<PidView> LinuxMachine::PidViewOf(Tid caller) const { return MakePidView(caller); }

Tgid LinuxMachine::OwnProcess() const { return Tgid{static_cast<std::uint32_t>(::getpid())}; }

}  // namespace corral
