// `tasks` and `cgroup.procs`: who may move which task here, and who is listed (spec 6 to 8).
// The handlers of their rows in control_files.cc.
#ifndef CORRAL_CONTROL_ATTACH_H_
#define CORRAL_CONTROL_ATTACH_H_

#include <corral/result.h>

#include <string_view>

#include "control/control_file.h"

namespace corral {

// ENODEV: the cgroup is gone. Numbers are those of the view.
Result<TaskNumbers> ListTasks(const ControlContext& context, const PidView* view);
Result<TaskNumbers> ListProcesses(const ControlContext& context, const PidView* view);

// Errors: spec 6.5.
Result<void> WriteTasks(const ControlContext& context, const Caller& caller,
                        std::string_view bytes);
Result<void> WriteProcesses(const ControlContext& context, const Caller& caller,
                            std::string_view bytes);

}  // namespace corral

#endif  // CORRAL_CONTROL_ATTACH_H_
