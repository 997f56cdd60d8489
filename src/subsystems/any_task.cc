#include "subsystems/any_task.h"

#include "subsystems/debug/debug.h"
#include "subsystems/numtasks/counting.h"

namespace corral {

std::vector<std::shared_ptr<Subsystem>> MakeSubsystemsForAnyTask() {
  return {
      std::make_shared<CountingNumtasks>(),
      std::make_shared<Debug>(),
  };
}

}  // namespace corral
