// Killing a group (spec 4.6): SIGKILL to every process with a member in a subtree.
#ifndef CORRAL_CONTROL_KILL_H_
#define CORRAL_CONTROL_KILL_H_

#include <corral/ids.h>
#include <corral/result.h>

#include <vector>

#include "control/machine.h"
#include "core/registry.h"

namespace corral {

// Signals whole processes until a look at the subtree shows none that was not signalled
// before, forks meanwhile included: a process with SIGKILL pending forks no more. Does not
// wait for their end. Never signals a process that is not a member, whatever happens to
// its number, and never this one (Machine::OwnProcess). Returns the processes, ascending.
//
// ENODEV: the cgroup is gone. EPERM: a top cgroup; that would kill the machine.
Result<std::vector<Tgid>> KillSubtree(Registry& registry, const Machine& machine, CgroupId cgroup);

}  // namespace corral

#endif  // CORRAL_CONTROL_KILL_H_
