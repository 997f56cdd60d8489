// Plug-ins: subsystems in shared objects (corral/plugin.h), loaded before anybody is served.
//
//   auto subsystem = LoadPlugin("/usr/lib/corral/tags.so");
//   if (!subsystem) return Fail(subsystem.error());   // names the file and what is wrong with it
#ifndef CORRAL_DAEMON_PLUGIN_H_
#define CORRAL_DAEMON_PLUGIN_H_

#include <corral/subsystem.h>

#include <memory>
#include <string>
#include <vector>

namespace corral {

// The subsystem of the object, which stays loaded for good. ENOENT: it cannot be loaded, as the
// loader says; EINVAL: it is no plug-in, or is of another version of the interface; EIO: its
// function throws or returns nothing. REQUIRES: `file` begins with '/'.
Result<std::shared_ptr<Subsystem>> LoadPlugin(const std::string& file);

// What a daemon had loaded, kept in a file of its runtime directory until it ends in order: after a
// crash its groups need the same subsystems, and whoever starts the next daemon does not know them.
std::string RememberedPluginsFile(const std::string& runtime_dir);
// None: no such file. EPERM: others could have written it.
Result<std::vector<std::string>> RememberedPlugins(const std::string& runtime_dir);
Result<void> RememberPlugins(const std::string& runtime_dir, const std::vector<std::string>& files);

}  // namespace corral

#endif  // CORRAL_DAEMON_PLUGIN_H_
