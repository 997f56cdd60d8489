#include "subsystems/builtins.h"

#include "subsystems/beancounter/beancounter.h"
#include "subsystems/cpuset/cpuset.h"
#include "subsystems/freezer/freezer.h"

namespace corral {

std::vector<std::shared_ptr<Subsystem>> MakeBuiltInSubsystems() {
  return {
      MakeCpuset(),
      MakeFreezer(),
      MakeBeancounter(),
  };
}

}  // namespace corral
