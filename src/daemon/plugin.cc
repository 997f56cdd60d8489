#include "daemon/plugin.h"

#include <corral/plugin.h>
#include <dlfcn.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/errors.h"
#include "base/trusted_file.h"
#include "core/foreign_calls.h"

namespace corral {
namespace {

// The object in the directory that was looked at, by that directory's descriptor: nothing above it
// can be put in its place meanwhile. Not by the object's own (/proc/self/fd/N): $ORIGIN, by which a
// plug-in finds libraries of its own, would be that directory. Nobody but root can change what the
// name in it means. The descriptor stays open, as the object stays loaded.
Result<void*> LoadObject(const std::string& file) {
  auto trusted = OpenTrusted(file);
  if (!trusted) {
    return Fail(trusted.error().code, "cannot load plug-in {}: {}", file, trusted.error().message);
  }
  const std::string directory = fmt::format("/proc/self/fd/{}", trusted->directory.release());
  const std::size_t slash = trusted->path.rfind('/');
  const std::string name = directory + trusted->path.substr(slash);
  // All symbols now: what is missing is found here, not while somebody moves a task.
  if (void* const object = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return object;
  std::string why = ::dlerror();
  if (const std::size_t at = why.find(directory); at != std::string::npos) {
    why.replace(at, directory.size(), trusted->path.substr(0, slash));
  }
  return Fail(ENOENT, "cannot load plug-in {}: {}", file, why);
}

}  // namespace

Result<std::shared_ptr<Subsystem>> LoadPlugin(const std::string& file) {
  const auto object = TRY(LoadObject(file));
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
