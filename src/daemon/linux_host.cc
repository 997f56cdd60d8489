#include "daemon/linux_host.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <optional>
#include <system_error>
#include <thread>

#include "agent/agent_starter.h"
#include "base/fd.h"
#include "base/thread.h"
#include "daemon/pid_view.h"

namespace corral {
namespace {

constexpr unsigned kCapSysAdmin = 21;

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

class ProcTask final : public TaskHandle {
 public:
  explicit ProcTask(Fd directory) : directory_(std::move(directory)) {}

  Result<Owner> owner() const override {
    auto status = ReadAt(directory_.get(), "status");
    if (!status) return Fail(status.error());
    const auto line = StatusLine(*status, "Uid");
    unsigned real = 0, effective = 0, saved = 0;
    if (!line || std::sscanf(line->c_str(), "%u %u %u", &real, &effective, &saved) != 3) {
      return Fail(ESRCH, "the task's user cannot be read");
    }
    return Owner{.real_uid = real, .saved_uid = saved};
  }

  Result<Tgid> process() const override {
    auto status = ReadAt(directory_.get(), "status");
    if (!status) return Fail(status.error());
    const auto line = StatusLine(*status, "Tgid");
    if (!line) return Fail(ESRCH, "the task's process cannot be read");
    return Tgid{static_cast<std::uint32_t>(std::strtoul(line->c_str(), nullptr, 10))};
  }

  bool is_bound_kthread() const override {
    constexpr unsigned kKernelThread = 0x00200000;  // PF_KTHREAD
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

  Result<void> StillThere() const override {
    if (auto stat = ReadAt(directory_.get(), "stat"); !stat) return Fail(stat.error());
    return {};
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
  if (!directory) return Fail(ESRCH, "no task {}", tid.value);
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

bool LinuxHost::IsSysAdmin(Tid tid) const {
  const std::string path = fmt::format("/proc/{}", tid.value);
  const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return false;
  auto status = ReadAt(directory.get(), "status");
  if (!status) return false;
  const auto capabilities = StatusLine(*status, "CapEff");
  if (!capabilities) return false;
  const unsigned long long bits = std::strtoull(capabilities->c_str(), nullptr, 16);
  if ((bits >> kCapSysAdmin & 1) == 0) return false;
  struct stat theirs, ours;
  if (::fstatat(directory.get(), "ns/user", &theirs, 0) != 0) return false;
  return ::stat("/proc/self/ns/user", &ours) == 0 && theirs.st_ino == ours.st_ino &&
         theirs.st_dev == ours.st_dev;
}

// The look is done by a thread of its own and waited for only so long: the path may lie on
// one of our own mounts, whose server is the very thread that asks, or on a server that hangs.
Result<void> LinuxHost::CheckAgent(const std::string& agent, const std::string& user) const {
  constexpr auto kPatience = std::chrono::seconds(1);
  std::packaged_task<Result<void>()> look([agent, user] { return CheckAgentFile(agent, user); });
  auto answer = look.get_future();
  auto thread = StartThread(std::move(look));
  if (!thread) return Fail(thread.error());
  thread->detach();
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
