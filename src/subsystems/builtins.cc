#include "subsystems/builtins.h"

namespace corral {

std::vector<std::shared_ptr<Subsystem>> MakeBuiltInSubsystems() {
  return {
  };
}

}  // namespace corral
