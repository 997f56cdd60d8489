// What the kernel must offer for tracking, and what it says of tids.
#ifndef CORRAL_TRACKERS_BPF_KERNEL_SUPPORT_H_
#define CORRAL_TRACKERS_BPF_KERNEL_SUPPORT_H_

#include <corral/result.h>

#include <cstdint>

namespace corral {

// EPERM: not root. ENOTSUP, with the reason: no /proc, not the host's pid namespace, no BTF.
Result<void> CheckKernel();

// Tids are below this, from now on (kernel.pid_max).
std::uint32_t PidMax();

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_KERNEL_SUPPORT_H_
