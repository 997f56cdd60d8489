#include "control/machine.h"

#include <sys/sysinfo.h>

namespace corral {

std::uint64_t Machine::TaskCount() const {
  struct sysinfo info {};
  return ::sysinfo(&info) == 0 ? info.procs : 0;
}

}  // namespace corral
