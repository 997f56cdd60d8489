// Its function returns nothing.
#include <corral/plugin.h>
CORRAL_PLUGIN([]() -> std::shared_ptr<corral::Subsystem> { return nullptr; })
