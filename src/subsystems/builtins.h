// The subsystems that corral brings itself. One folder each, one CMake target each, one line in
// the list; they use the same interface as a plug-in (corral/subsystem.h).
#ifndef CORRAL_SUBSYSTEMS_BUILTINS_H_
#define CORRAL_SUBSYSTEMS_BUILTINS_H_

#include <corral/subsystem.h>

#include <memory>
#include <vector>

namespace corral {

// What some of them are made with. All of it outlives them.
struct BuiltInParts {
  CpuMeter& meter;
};

// A new one of each, in the order in which they are registered and shown.
std::vector<std::shared_ptr<Subsystem>> MakeBuiltInSubsystems(const BuiltInParts& parts);

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_BUILTINS_H_
