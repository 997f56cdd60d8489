#include "cli/doctor_checks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/fd.h"
#include "base/security_modules.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/pid_namespace.h"
#include "client/lock_owner.h"
#include "wire/instance.h"

namespace corral::cli {
namespace {

using enum Health;

constexpr int kOldestMajor = 6;
constexpr int kOldestMinor = 1;
constexpr int kPidfdThread = O_EXCL;  // PIDFD_THREAD, newer than Debian 12's headers

Finding Root(const Facts&) {
  if (::geteuid() == 0) return {kOk, "running as root"};
  return {kMissing,
          "tracking and mounting need root; the rows below may be wrong: sudo corral doctor"};
}

Finding PidNamespace(const Facts&) {
  if (CheckPidNamespace("doctor")) return {kOk, "the host's"};
  return {
      kMissing,
      "a container's own: its task numbers are not those the hooks see; run corral on the host"};
}

Finding Kernel(const Facts&) {
  utsname name{};
  ::uname(&name);
  int major = 0;
  int minor = 0;
  std::sscanf(name.release, "%d.%d", &major, &minor);
  if (std::pair(major, minor) >= std::pair(kOldestMajor, kOldestMinor)) return {kOk, name.release};
  return {kMissing, fmt::format("{} is older than {}.{}, the oldest that corral is tested on",
                                name.release, kOldestMajor, kOldestMinor)};
}

Finding TypeInfo(const Facts&) {
  constexpr const char* kPath = "/sys/kernel/btf/vmlinux";
  if (::access(kPath, R_OK) == 0) return {kOk, kPath};
  return {kMissing, fmt::format("{}: {}; the kernel must be built with CONFIG_DEBUG_INFO_BTF",
                                kPath, std::strerror(errno))};
}

Finding BpfSyscall(const Facts&) {
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = 4;
  attr.value_size = 8;
  attr.max_entries = 1;
  Fd map(static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr)));
  if (map) return {kOk, "maps can be made"};
  const char* remedy =
      errno == ENOSYS
          ? "the kernel must be built with CONFIG_BPF_SYSCALL"
          : "root with CAP_BPF (or CAP_SYS_ADMIN) is needed, and no lockdown or seccomp in the way";
  return {kMissing, fmt::format("bpf(2): {}; {}", std::strerror(errno), remedy)};
}

Finding Hooks(const Facts& facts) {
  if (!facts.status)
    return {kUnknown,
            "tried when the daemon starts (tp_btf); none runs for instance " + facts.instance};
  const std::string tracker = Printable(facts.status->tracker);
  if (tracker == "bpf") return {kOk, "the daemon tracks with tracker bpf"};
  return {kDegraded,
          fmt::format("the daemon tracks with tracker {}, not with the kernel's hooks", tracker)};
}

Finding HiddenProcesses(const Facts& facts) {
  if (!facts.status)
    return {kUnknown, "seen when the daemon starts; none runs for instance " + facts.instance};
  const auto& hidden = facts.status->hidden_processes;
  if (hidden.empty()) return {kOk, "the kernel shows every task to its tracing"};
  return {kDegraded,
          fmt::format("the kernel keeps process {} from its tracing: what such a process starts is "
                      "in the root of every hierarchy, known from its exec or first fork on ({} so "
                      "far; expected here, not trouble)",
                      fmt::join(hidden, ", "), facts.status->misses.hidden)};
}

Finding FuseDevice(const Facts&) {
  Fd fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (fuse) return {kOk, "/dev/fuse opens"};
  return {kMissing, fmt::format("/dev/fuse: {}; try: modprobe fuse", std::strerror(errno))};
}

Finding MountApi(const Facts&) {
  Fd context(static_cast<int>(::syscall(SYS_fsopen, "fuse", FSOPEN_CLOEXEC)));
  if (context) return {kOk, "fsopen(\"fuse\") works"};
  return {kMissing, fmt::format("fsopen(\"fuse\"): {}; without it there are no mounts",
                                std::strerror(errno))};
}

Finding MountHelper(const Facts&) {
  std::string missing;
  for (const char* path : {"/sbin/mount.container", "/sbin/mount.fuse.container"}) {
    if (::access(path, X_OK) != 0)
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", path);
  }
  if (missing.empty()) return {kOk, "mount -t container works"};
  return {kDegraded,
          fmt::format("not installed: {}; use `corral mount`, or install corral", missing)};
}

bool KernelHas(std::string_view function) {
  std::ifstream symbols("/proc/kallsyms");
  for (std::string address, type, name; symbols >> address >> type >> name;) {
    if (name == function) return true;
    std::getline(symbols, address);
  }
  return false;
}

Finding Lsm(const Facts&) {
  const std::string list = SecurityModules();
  if (list.empty()) {
    return {kUnknown, "securityfs is not mounted; only matters for limits that refuse a fork"};
  }
  if (ListsModule(list, "bpf")) return {kOk, "listed: " + list};
  return {kDegraded,
          "not listed (boot with lsm=...,bpf): limits cannot refuse a fork, tracking is complete"};
}

// What the daemon found when there was a limit; before, what is to be expected.
Finding TaskLimits(const Facts& facts) {
  std::string are;
  if (facts.status) {
    are = facts.status->births_beyond_limits.are;
    if (const auto escaped = facts.status->births_beyond_limits.let_through) {
      return {kDegraded, fmt::format("{} births beyond numtasks.max were not stopped", escaped)};
    }
  }
  if (are.empty()) {
    are = ListsModule(SecurityModules(), "bpf") ? "refused"
          : KernelHas("bpf_send_signal_task")   ? "killed"
                                                : "allowed";
  }
  if (are == "refused") return {kOk, "a fork beyond numtasks.max fails with EAGAIN"};
  if (are == "killed") {
    return {
        kDegraded,
        "no fork is refused: what is born beyond numtasks.max is killed before its first "
        "instruction (a thread: its whole process); EAGAIN needs the BPF LSM (lsm=...,bpf at "
        "boot, securityfs mounted) and a kernel that takes such programs: see the daemon's log"};
  }
  return {kDegraded,
          "numtasks.max is kept and not enforced: it needs the BPF LSM (boot with lsm=...,bpf) or "
          "Linux "
          "6.13"};
}

Finding PidfdThread(const Facts&) {
  int error = 0;
  // A thread that is not its process's leader: only PIDFD_THREAD opens that.
  std::thread([&error] {
    Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, ::gettid(), kPidfdThread)));
    if (!fd) error = errno;
  }).join();
  if (error == 0) return {kOk, "exits of single threads can be waited for"};
  return {kDegraded,
          fmt::format("pidfd_open of a thread: {} (kernel older than 6.9); corral looks again "
                      "with back-off, so \"empty\" may be told some milliseconds late",
                      std::strerror(error))};
}

Finding PidMax(const Facts& facts) {
  long pid_max = 0;
  std::ifstream("/proc/sys/kernel/pid_max") >> pid_max;
  if (!facts.status)
    return {kUnknown,
            fmt::format("pid_max is {}; compared with a running daemon's table", pid_max)};
  const auto capacity = static_cast<long>(facts.status->tid_capacity);
  if (pid_max <= capacity) return {kOk, fmt::format("pid_max {}, table for {}", pid_max, capacity)};
  return {
      kDegraded,
      fmt::format("pid_max was raised to {} but the daemon's table ends at {}: tasks beyond are "
                  "not tracked; restart the daemon",
                  pid_max, capacity)};
}

Finding CrashSurvival(const Facts& facts) {
  if (!facts.status)
    return {kUnknown,
            "tried when the daemon starts (pins); none runs for instance " + facts.instance};
  const std::string why = Printable(facts.status->not_kept);
  if (why.empty()) {
    return {kOk,
            "groups and notifications do; mounts have to be made again, settings of subsystems "
            "(limits, cpus) written again"};
  }
  return {kDegraded,
          fmt::format("nothing survives a crash of the daemon: {}; mount a BPF file system at "
                      "/sys/fs/bpf and start the instance again",
                      why)};
}

// A daemon that its socket does not lead to is found by its lock.
Finding Daemon(const Facts& facts) {
  if (facts.status) return {kOk, "answers for instance " + facts.instance};
  if (LockOwner(PinDir(facts.instance))) return {kDegraded, facts.no_status};
  return {kUnknown, "none runs for instance " + facts.instance};
}

template <typename Entry>
std::string Texts(const std::vector<Entry>& list) {
  std::string all;
  for (const Entry& entry : list) {
    all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", Printable(entry.name),
                       Printable(entry.text));
  }
  return all;
}

Finding InstanceHealth(const Facts& facts) {
  if (!facts.status) return {kUnknown, "asked of the daemon; none answers"};
  const auto& health = facts.status->health;
  if (health.empty()) return {kOk, "nothing is wrong with the instance"};
  return {kDegraded, Texts(health)};
}

Finding LeftBehind(const Facts& facts) {
  if (!facts.status) return {kUnknown, "seen when the daemon starts; none answers"};
  const auto& kept = facts.status->surroundings;
  if (kept.empty()) return {kOk, "the daemon has nothing left of who started it"};
  return {kDegraded, "the daemon could not leave what it was started in: " + Texts(kept)};
}

constexpr Check kChecks[] = {
    {"root", true, Root},
    {"pid namespace", true, PidNamespace},
    {"kernel", true, Kernel},
    {"kernel type information", true, TypeInfo},
    {"bpf system call", true, BpfSyscall},
    {"kernel hooks", true, Hooks},
    {"hidden processes", false, HiddenProcesses},
    {"fuse device", true, FuseDevice},
    {"fuse mount interface", true, MountApi},
    {"mount helper", false, MountHelper},
    {"bpf security hooks", false, Lsm},
    {"limits of numtasks", false, TaskLimits},
    {"thread pidfds", false, PidfdThread},
    {"task table", false, PidMax},
    {"state survives a crash", false, CrashSurvival},
    {"daemon", false, Daemon},
    {"health of the instance", false, InstanceHealth},
    {"surroundings left", false, LeftBehind},
};

}  // namespace

std::span<const Check> Checks() { return kChecks; }

}  // namespace corral::cli
