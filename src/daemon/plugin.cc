#include "daemon/plugin.h"

#include <corral/plugin.h>
#include <dlfcn.h>

#include <cerrno>
#include <cstring>

#include "core/subsystem_table.h"

namespace corral {

Result<std::shared_ptr<Subsystem>> LoadPlugin(const std::string& file) {
  // All symbols now: what is missing is found here, not while somebody moves a task.
  void* const object = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) return Fail(ENOENT, "cannot load plug-in {}: {}", file, ::dlerror());
  const auto* const plugin = static_cast<const Plugin*>(::dlsym(object, "corral_plugin"));
  if (plugin == nullptr || std::memcmp(plugin->magic, Plugin::kMagic, sizeof plugin->magic) != 0) {
    return Fail(EINVAL, "{} is no plug-in of corral: it has no CORRAL_PLUGIN()", file);
  }
  if (plugin->interface != kPluginInterface) {
    return Fail(EINVAL,
                "plug-in {} is built for version {} of the interface, this corrald has version {}; "
                "build it again with the headers of this corral",
                file, plugin->interface, kPluginInterface);
  }
  auto made = CallForeign([&] { return fmt::format("plug-in {}", file); },
                          [&]() -> Result<std::shared_ptr<Subsystem>> { return plugin->make(); });
  if (made && !*made) return Fail(EIO, "plug-in {} made no subsystem", file);
  return made;
}

}  // namespace corral
