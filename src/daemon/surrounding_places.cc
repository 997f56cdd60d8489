// Where a process is: namespaces, root directory, kernel cgroups.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "daemon/surrounding_steps.h"

namespace corral::surroundings {
namespace {

struct Namespace {
  const char* name;
  int type;
  const char* what;
};

// The mounts last: the others are opened through the /proc that was there. User and pid namespace
// cannot be left; the tracker refuses to work in those.
constexpr Namespace kNamespaces[] = {
    {"cgroup", CLONE_NEWCGROUP, "cgroup"}, {"ipc", CLONE_NEWIPC, "IPC"},
    {"net", CLONE_NEWNET, "network"},      {"time", 0x80 /* CLONE_NEWTIME */, "time"},
    {"uts", CLONE_NEWUTS, "host name"},    {"mnt", CLONE_NEWNS, "mount"},
};

// The file system "cgroup2", or "cgroup" with these controllers, from its root, mounted nowhere.
Fd CgroupRoot(const std::string& controllers) {
  const char* const type = controllers.empty() ? "cgroup2" : "cgroup";
  const Fd context(static_cast<int>(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC)));
  const auto configure = [&](unsigned command, const char* key, const char* value) {
    return ::syscall(SYS_fsconfig, context.get(), command, key, value, 0) == 0;
  };
  bool good = context.valid();
  if (controllers.starts_with("name="))
    good = good && configure(FSCONFIG_SET_FLAG, "none", nullptr);
  std::istringstream words(controllers);
  for (std::string word; good && std::getline(words, word, ',');) {
    good = word.starts_with("name=") ? configure(FSCONFIG_SET_STRING, "name", word.c_str() + 5)
                                     : configure(FSCONFIG_SET_FLAG, word.c_str(), nullptr);
  }
  if (!good || !configure(FSCONFIG_CMD_CREATE, nullptr, nullptr)) return Fd();
  return Fd(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
}

// 0 or an errno.
int MoveToRoot(const std::string& controllers) {
  const Fd root = CgroupRoot(controllers);
  if (!root) return errno;
  const Fd procs(::openat(root.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
  if (!procs) return errno;
  return ::write(procs.get(), "0", 1) == 1 ? 0 : errno;
}

}  // namespace

bool SameFile(const std::string& a, const std::string& b) {
  struct stat x, y;
  return ::stat(a.c_str(), &x) == 0 && ::stat(b.c_str(), &y) == 0 && x.st_ino == y.st_ino &&
         x.st_dev == y.st_dev;
}

// Into the mount namespace also where it is the one we are in: that leaves a chroot.
void Namespaces(Report& report) {
  for (const auto& [name, type, what] : kNamespaces) {
    const std::string own = fmt::format("/proc/self/ns/{}", name);
    if (::access(own.c_str(), F_OK) != 0) continue;  // this kernel has none of these
    std::string init = OfInit(fmt::format("ns/{}", name));
    if (init.empty()) {
      report.Harmless(fmt::format("whether the {} namespace is init's cannot be told", what));
      init = own;
    }
    const bool there = SameFile(own, init);
    if (there && type != CLONE_NEWNS) continue;
    const Fd target(::open(init.c_str(), O_RDONLY | O_CLOEXEC));
    if ((!target || ::setns(target.get(), type) != 0) && !there) {
      report.Harms(fmt::format("the {} namespace is not init's and cannot be left: {}", what,
                               std::strerror(errno)));
    }
  }
}

// Whoever ends, freezes or limits a cgroup of the kernel would do that to us. A line of
// /proc/self/cgroup is ID:CONTROLLERS:PATH; no controllers is version 2.
void KernelCgroups(Report& report) {
  std::ifstream lines("/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (path == "/") continue;
    if (const int error = MoveToRoot(controllers); error != 0) {
      report.Harms(
          fmt::format("the kernel cgroup {}:{} cannot be left: {}; what is done to it is "
                      "done to the daemon",
                      controllers, path, std::strerror(error)));
    }
  }
}

}  // namespace corral::surroundings
