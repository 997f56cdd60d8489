// Its function throws.
#include <corral/plugin.h>

#include <stdexcept>
CORRAL_PLUGIN([]() -> std::shared_ptr<corral::Subsystem> {
  throw std::runtime_error("no licence found");
})
