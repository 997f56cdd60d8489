#include "subsystems/builtins.h"

#include "subsystems/debug/debug.h"
#include "subsystems/numtasks/numtasks.h"

namespace corral {

std::vector<std::shared_ptr<Subsystem>> MakeBuiltInSubsystems() {
  return {
      std::make_shared<Debug>(),
      std::make_shared<Numtasks>(Numtasks::Counting::kWhenRead),
  };
}

}  // namespace corral
