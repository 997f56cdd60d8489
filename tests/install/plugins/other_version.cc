// Built for another version of the interface.
#include <corral/plugin.h>
CORRAL_PLUGIN_OF_INTERFACE(corral::kPluginInterface + 1,
                           []() -> std::shared_ptr<corral::Subsystem> { return nullptr; })
