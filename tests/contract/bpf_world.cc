#include "contract/bpf_world.h"

namespace corral {

std::unique_ptr<World> MakeBpfWorld(WorldOptions options, std::string* reason) {
  auto tracker = BpfTracker::Create({.sets = options.sets, .tids = options.tids});
  if (tracker) return std::make_unique<BpfWorld>(std::move(*tracker));
  *reason = tracker.error().message;
  return nullptr;
}

}  // namespace corral
