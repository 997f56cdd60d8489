#include "subsystems/host.h"

#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/proc.h"

namespace corral {
namespace {

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

// The fields of /proc/TID/stat after the name, which may hold anything: [0] is the state, proc(5)'s
// field N is [N - 3]. Empty: no such task.
std::vector<std::string> StatOf(Tid task) {
  std::string text = ReadFile(fmt::format("/proc/{}/stat", task.value));
  std::vector<std::string> fields;
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return fields;
  std::istringstream rest(text.substr(name_end + 1));
  for (std::string field; rest >> field;) fields.push_back(std::move(field));
  return fields;
}

// The value of a line of /proc/TID/status.
std::string_view ValueOf(std::string_view status, std::string_view name) {
  const std::string line = fmt::format("\n{}:\t", name);
  const std::size_t at = status.find(line);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = status.substr(at + line.size());
  return rest.substr(0, rest.find('\n'));
}

std::uint64_t NumberIn(std::string_view text, int base) {
  std::uint64_t number = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), number, base);
  return number;
}

// ---- CPUs and memory nodes

constexpr std::size_t kMostWords = kMostIds / IdSet::kWordBits;
static_assert(sizeof(unsigned long) == sizeof(IdSet::Words::value_type), "the kernel's words");

class LinuxCpus final : public CpuHost {
 public:
  IdSet OnlineCpus() const override { return List("/sys/devices/system/cpu/online"); }
  std::size_t CpuNumbers() const override {
    const IdSet possible = List("/sys/devices/system/cpu/possible");
    std::size_t numbers = possible.end();
    while (numbers > 1 && !possible.Has(numbers - 1)) --numbers;
    return numbers;
  }
  IdSet OnlineNodes() const override { return List("/sys/devices/system/node/has_memory"); }

  // The C library's wrapper fails when its set is smaller than the kernel's; ours is not.
  Result<IdSet> Affinity(Tid task) const override {
    IdSet::Words words(kMostWords);
    const long bytes = ::syscall(SYS_sched_getaffinity, task.value, kMostIds / 8, words.data());
    if (bytes < 0) return Fail(errno, "affinity of task {}: {}", task.value, std::strerror(errno));
    return IdSet(std::move(words));
  }
  Result<void> SetAffinity(Tid task, const IdSet& cpus) override {
    const auto& words = cpus.words();
    const std::size_t bytes = words.size() * sizeof words[0];
    if (::syscall(SYS_sched_setaffinity, task.value, bytes, words.data()) != 0) {
      return Fail(errno, "task {} on CPUs {}: {}", task.value, FormatIdList(cpus),
                  std::strerror(errno));
    }
    return {};
  }
  bool HasFixedAffinity(Tid task) const override {
    constexpr std::uint64_t kNoSetAffinity = 0x04000000;  // of the flags in stat
    constexpr std::size_t kFlags = 9 - 3;
    const auto fields = StatOf(task);
    return fields.size() > kFlags && (NumberIn(fields[kFlags], 10) & kNoSetAffinity) != 0;
  }
  Result<void> MigrateMemory(Tid task, const IdSet& from, const IdSet& to) override {
    const std::string status = ReadFile(fmt::format("/proc/{}/status", task.value));
    if (NumberIn(ValueOf(status, "Tgid"), 10) != task.value) return {};
    IdSet::Words old_nodes = from.words(), new_nodes = to.words();
    const std::size_t words = std::max(old_nodes.size(), new_nodes.size());
    old_nodes.resize(words);
    new_nodes.resize(words);
    // The kernel takes one bit less than it is told.
    if (::syscall(SYS_migrate_pages, task.value, words * IdSet::kWordBits + 1, old_nodes.data(),
                  new_nodes.data()) < 0) {
      return Fail(errno, "pages of process {} to nodes {}: {}", task.value, FormatIdList(to),
                  std::strerror(errno));
    }
    return {};
  }

 private:
  // Node 0 and CPU 0 are there where the kernel has no such file.
  static IdSet List(const std::string& path) {
    const auto list = ParseIdList(ReadFile(path), kMostIds);
    return list && !list->empty() ? *list : IdSet({1});
  }
};

// ---- stopping

class PidfdStopper final : public StopHost::Process {
 public:
  PidfdStopper(Fd pidfd, std::uint64_t started) : pidfd_(std::move(pidfd)), started_(started) {}
  std::uint64_t started() const override { return started_; }
  Result<void> Stop() override { return Send(SIGSTOP); }
  Result<void> Continue() override { return Send(SIGCONT); }

 private:
  Result<void> Send(int signal) {
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) != 0) {
      return Fail(errno, "signal {}: {}", signal, std::strerror(errno));
    }
    return {};
  }
  const Fd pidfd_;
  const std::uint64_t started_;
};

class LinuxStopper final : public StopHost {
 public:
  Result<Look> LookAt(Tid task) const override {
    const std::string status = ReadFile(fmt::format("/proc/{}/status", task.value));
    const std::string_view state = ValueOf(status, "State");
    if (state.empty() || state.starts_with('Z') || state.starts_with('X')) {
      return Fail(ESRCH, "task {} has ended", task.value);
    }
    Look look{.process = Tgid{static_cast<std::uint32_t>(NumberIn(ValueOf(status, "Tgid"), 10))}};
    look.stopped =
        state.starts_with('T') || state.starts_with('t') ||
        (state.starts_with('D') && IsInVfork(task) && HasStopBefore(status, look.process));
    return look;
  }
  Result<std::unique_ptr<Process>> Open(Tgid process) override {
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.value, 0)));
    if (!pidfd) return Fail(errno, "process {}: {}", process.value, std::strerror(errno));
    constexpr std::size_t kStarted = 22 - 3;
    const auto fields = StatOf(Tid{process.value});
    if (fields.size() <= kStarted) return Fail(ESRCH, "process {} has ended", process.value);
    return std::make_unique<PidfdStopper>(std::move(pidfd), NumberIn(fields[kStarted], 10));
  }
  Tgid OwnProcess() const override { return Tgid{static_cast<std::uint32_t>(::getpid())}; }

 private:
  // It waits for a child that may be stopped itself, and no signal but SIGKILL wakes it.
  static bool IsInVfork(Tid task) {
    const std::string text = ReadFile(fmt::format("/proc/{}/syscall", task.value));
    if (text.empty() || text[0] < '0' || text[0] > '9') return false;  // "running"
    const auto number = static_cast<long>(NumberIn(text, 10));
#ifdef SYS_vfork
    if (number == SYS_vfork) return true;
#endif
    return number == SYS_clone || number == SYS_clone3;
  }
  // The stop waits for the process, or for this thread alone: then others have taken it already.
  static bool HasStopBefore(std::string_view status, Tgid process) {
    const std::uint64_t pending = NumberIn(ValueOf(status, "ShdPnd"), 16);
    if ((pending >> (SIGSTOP - 1) & 1) != 0) return true;
    const std::string tasks = fmt::format("/proc/{}/task", process.value);
    return std::ranges::any_of(NumbersIn(tasks), [](std::uint32_t tid) {
      const auto fields = StatOf(Tid{tid});
      return !fields.empty() && fields[0] == "T";
    });
  }
};

// ---- usage

class LinuxUsage final : public UsageHost {
 public:
  Result<Usage> UsageOf(Tgid process) const override {
    std::istringstream statm(ReadFile(fmt::format("/proc/{}/statm", process.value)));
    Usage usage;
    std::uint64_t size = 0;
    if (!(statm >> size >> usage.pages)) return Fail(ESRCH, "process {} has ended", process.value);
    usage.files = CountFiles(fmt::format("/proc/{}/fd", process.value));
    return usage;
  }

 private:
  // The directory's size is their number since Linux 6.2; 0 before.
  static std::uint64_t CountFiles(const std::string& directory) {
    struct stat stat = {};
    if (::stat(directory.c_str(), &stat) == 0 && stat.st_size > 0) {
      return static_cast<std::uint64_t>(stat.st_size);
    }
    std::error_code ended;
    const auto files = std::filesystem::directory_iterator(directory, ended);
    std::uint64_t count = 0;
    for (auto file = begin(files); file != end(files); file.increment(ended)) ++count;
    return count;
  }
};

}  // namespace

std::shared_ptr<UsageHost> LinuxUsageHost() { return std::make_shared<LinuxUsage>(); }

std::shared_ptr<StopHost> LinuxStopHost() { return std::make_shared<LinuxStopper>(); }

std::shared_ptr<CpuHost> LinuxCpuHost() { return std::make_shared<LinuxCpus>(); }

}  // namespace corral
