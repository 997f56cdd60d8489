#include "subsystems/builtins.h"

#include "subsystems/cpuacct/cpuacct.h"

namespace corral {

std::vector<std::shared_ptr<Subsystem>> MakeBuiltInSubsystems(const BuiltInParts& parts) {
  return {
      std::make_shared<CpuAcct>(parts.meter),
  };
}

}  // namespace corral
