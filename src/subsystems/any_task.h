// Those of the built-in subsystems that mean something for tasks of any kind, as an embedded engine
// has them: they count and limit, and leave the machine alone. The others (builtins.h) signal and
// pin the process that has the task's number, which would be a stranger's.
#ifndef CORRAL_SUBSYSTEMS_ANY_TASK_H_
#define CORRAL_SUBSYSTEMS_ANY_TASK_H_

#include <corral/subsystem.h>

#include <memory>
#include <vector>

namespace corral {

// A new one of each, for a tracker that tells in line.
std::vector<std::shared_ptr<Subsystem>> MakeSubsystemsForAnyTask();

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_ANY_TASK_H_
