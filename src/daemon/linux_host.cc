#include "daemon/linux_host.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>
#include <vector>

#include "agent/agent_starter.h"
#include "base/errors.h"
#include "base/fd.h"
#include "base/thread.h"
#include "daemon/pid_view.h"

namespace corral {
namespace {

Result<std::string> ReadAt(int directory, const char* name) {
  const Fd file(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  if (!file) return Fail(ESRCH, "the task is gone");
  std::string text(8192, '\0');
  const ssize_t n = ::read(file.get(), text.data(), text.size());
  if (n <= 0) return Fail(ESRCH, "the task is gone");
  text.resize(static_cast<std::size_t>(n));
  return text;
}

// The text after "KEY:" in a /proc/TID/status.
std::optional<std::string> StatusLine(const std::string& status, const char* key) {
  const std::string start = std::string("\n") + key + ":";
  const auto at = status.find(start);
  if (at == std::string::npos) return std::nullopt;
  const auto begin = at + start.size();
  return status.substr(begin, status.find('\n', begin) - begin);
}

// The numbers of such a line.
std::vector<std::uint64_t> StatusNumbers(const std::string& status, const char* key,
                                         int base = 10) {
  std::vector<std::uint64_t> numbers;
  const std::string line = StatusLine(status, key).value_or("");
  char* end = nullptr;
  for (const char* at = line.c_str();; at = end) {
    const std::uint64_t number = std::strtoull(at, &end, base);
    if (end == at) return numbers;
    numbers.push_back(number);
  }
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
    const auto line = StatusLine(status, "Uid");
    unsigned real = 0, effective = 0, saved = 0;
    if (!line || std::sscanf(line->c_str(), "%u %u %u", &real, &effective, &saved) != 3) {
      return Fail(ESRCH, "the task's user cannot be read");
    }
    const auto process = StatusNumbers(status, "Tgid");
    if (process.empty()) return Fail(ESRCH, "the task's process cannot be read");
    return Owner{.real_uid = real,
                 .saved_uid = saved,
                 .process = Tgid{static_cast<std::uint32_t>(process[0])}};
  }

  Result<std::uint64_t> started() const override {
    constexpr int kStarted = 22 - 2;  // proc(5)'s field, the name being the second
    const auto stat = TRY(ReadAt(directory_.get(), "stat"));
    std::istringstream fields(stat.substr(std::min(stat.rfind(')'), stat.size() - 1) + 1));
    std::string field;
    for (int i = 0; i < kStarted; ++i) fields >> field;
    return std::strtoull(field.c_str(), nullptr, 10);
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
    constexpr unsigned kKernelThread = 0x00200000;   // PF_KTHREAD
    constexpr unsigned kFixedAffinity = 0x04000000;  // PF_NO_SETAFFINITY
    const auto stat = ReadAt(directory_.get(), "stat");
    if (!stat) return false;
    const auto after_name = stat->rfind(')');  // the name may hold anything
    unsigned parent = 0, flags = 0;
    if (after_name == std::string::npos ||
        std::sscanf(stat->c_str() + after_name + 1, " %*c %u %*d %*d %*d %*d %u", &parent,
                    &flags) != 2) {
      return false;
    }
    // kthreadd alone has no parent.
    return (flags & kKernelThread) != 0 && ((flags & kFixedAffinity) != 0 || parent == 0);
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
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0) != 0) {
      return Fail(errno, "cannot kill the process: {}", std::strerror(errno));
    }
    return {};
  }

 private:
  const Fd pidfd_;
};

}  // namespace

Result<std::unique_ptr<TaskHandle>> LinuxHost::OpenTask(Tid tid) const {
  const std::string path = fmt::format("/proc/{}", tid.value);
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    const bool gone = errno == ENOENT || errno == ESRCH;
    return Fail(gone ? ESRCH : errno, "task {}: {}", tid.value, std::strerror(errno));
  }
  return std::make_unique<ProcTask>(std::move(directory));
}

Result<std::unique_ptr<ProcessHandle>> LinuxHost::OpenProcess(Tgid tgid) const {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, tgid.value, 0)));
  if (!pidfd) {
    return Fail(errno == EINVAL ? ESRCH : errno, "no process {}: {}", tgid.value,
                std::strerror(errno));
  }
  return std::make_unique<PidfdProcess>(std::move(pidfd));
}

Credentials LinuxHost::CredentialsOf(Tid tid, uid_t uid, gid_t gid) const {
  Credentials who{.uid = uid, .gid = gid, .groups = {}, .capabilities = 0};
  const Fd directory(
      ::open(fmt::format("/proc/{}", tid.value).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
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

bool LinuxHost::IsSysAdmin(Tid tid) const {
  const Fd directory(
      ::open(fmt::format("/proc/{}", tid.value).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto status =
      directory ? ReadAt(directory.get(), "status") : Result<std::string>(Fail(ESRCH, "gone"));
  if (!status) return false;
  return Credentials{.capabilities = CapabilitiesOf(directory.get(), *status)}.Has(
      Credentials::kSysAdmin);
}

ProcHiding LinuxHost::HidingOfProc() const {
  constexpr auto kOld = std::chrono::seconds(1);
  MutexLock lock(hiding_mu_);
  const auto now = Clock::now();
  if (hiding_read_ && now - *hiding_read_ < kOld) return hiding_;
  std::ostringstream lines;
  lines << std::ifstream("/proc/self/mountinfo").rdbuf();
  hiding_ = HidingIn(lines.view());
  hiding_read_ = now;
  return hiding_;
}

// "36 35 98:0 ROOT DIR OPTIONS [FIELDS...] - TYPE SOURCE SUPER_OPTIONS"; the last line of a
// directory is the mount on top. Options that we do not know hide all: better too little is shown.
ProcHiding HidingIn(std::string_view mountinfo) {
  ProcHiding hiding;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, directory, word, type, source, options;
    fields >> id >> parent >> device >> root >> directory;
    if (directory != "/proc") continue;
    while (fields >> word && word != "-") {
    }
    fields >> type >> source >> options;
    hiding = {};
    std::istringstream each(options);
    for (std::string option; std::getline(each, option, ',');) {
      if (option.starts_with("gid=")) {
        hiding.gid = static_cast<gid_t>(std::strtoul(option.c_str() + 4, nullptr, 10));
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
Result<void> LinuxHost::CheckAgent(const std::string& agent, const std::string& user) const {
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

std::unique_ptr<PidView> LinuxHost::PidViewOf(Tid caller) const { return MakePidView(caller); }

Tgid LinuxHost::OwnProcess() const { return Tgid{static_cast<std::uint32_t>(::getpid())}; }

}  // namespace corral
