#include "control/host.h"

#include <sys/sysinfo.h>

namespace corral {

std::uint64_t Host::TaskCount() const {
  struct sysinfo info {};
  return ::sysinfo(&info) == 0 ? info.procs : 0;
}

}  // namespace corral
