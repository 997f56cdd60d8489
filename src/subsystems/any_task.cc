#include "subsystems/any_task.h"

#include "subsystems/debug/debug.h"
#include "subsystems/numtasks/numtasks.h"

namespace corral {

std::vector<std::shared_ptr<Subsystem>> MakeSubsystemsForAnyTask() {
  return {
      std::make_shared<Numtasks>(Numtasks::Counting::kInLine),
      std::make_shared<Debug>(),
  };
}

}  // namespace corral
