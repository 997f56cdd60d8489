// Task numbers in other pid namespaces (spec 7.5), from /proc and the kernel's namespace files.
#ifndef CORRAL_DAEMON_PID_VIEW_H_
#define CORRAL_DAEMON_PID_VIEW_H_

#include <memory>

#include "control/machine.h"

namespace corral {

// Null: the caller is in our own pid namespace, or gone.
std::unique_ptr<PidView> MakePidView(Tid caller);

}  // namespace corral

#endif  // CORRAL_DAEMON_PID_VIEW_H_
