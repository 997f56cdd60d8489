#include "subsystems/builtins.h"

#include "subsystems/cpuset/cpuset.h"

namespace corral {

std::vector<std::shared_ptr<Subsystem>> MakeBuiltInSubsystems() {
  return {
      MakeCpuset(),
  };
}

}  // namespace corral
