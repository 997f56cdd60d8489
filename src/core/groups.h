// What subsystems may ask (Groups in subsystem.h), answered by the registry and its parts.
#ifndef CORRAL_CORE_GROUPS_H_
#define CORRAL_CORE_GROUPS_H_

#include <corral/subsystem.h>

#include <memory>

namespace corral {

class Registry;
struct Core;

std::unique_ptr<Groups> MakeGroups(Registry& registry, Core& core);

}  // namespace corral

#endif  // CORRAL_CORE_GROUPS_H_
