#include "trackers/bpf/kernel_support.h"

#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/namespaces.h"

namespace corral {

Result<void> CheckKernel() {
  if (::geteuid() != 0) {
    return Fail(EPERM, "tracking tasks needs root (CAP_BPF and CAP_PERFMON at least)");
  }
  const auto initial = InInitialPidNamespace();
  if (!initial) return Fail(ENOTSUP, "{}", initial.error().message);
  if (!*initial) {
    return Fail(ENOTSUP,
                "this is not the host's pid namespace: the kernel's hooks number tasks "
                "differently here; start corrald on the host");
  }
  if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    return Fail(ENOTSUP,
                "the kernel has no type information (/sys/kernel/btf/vmlinux): it needs "
                "CONFIG_DEBUG_INFO_BTF");
  }
  return {};
}

std::uint32_t PidMax() {
  std::uint32_t pid_max = 32768;
  std::ifstream("/proc/sys/kernel/pid_max") >> pid_max;
  return pid_max;
}

}  // namespace corral
