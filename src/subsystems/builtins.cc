#include "subsystems/builtins.h"

#include "subsystems/beancounter/beancounter.h"
#include "subsystems/cpuacct/cpuacct.h"
#include "subsystems/cpuset/cpuset.h"
#include "subsystems/debug/debug.h"
#include "subsystems/freezer/freezer.h"
#include "subsystems/numtasks/asking.h"

namespace corral {

std::vector<std::shared_ptr<Subsystem>> MakeBuiltInSubsystems(const BuiltInParts& parts) {
  return {
      MakeCpuset(),      std::make_shared<CpuAcct>(parts.meter),
      MakeFreezer(),     std::make_shared<AskingNumtasks>(),
      MakeBeancounter(), std::make_shared<Debug>(),
  };
}

}  // namespace corral
