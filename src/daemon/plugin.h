// Plug-ins: subsystems in shared objects (corral/plugin.h), loaded before anybody is served.
//
//   auto subsystem = LoadPlugin("/usr/lib/corral/tags.so");
//   if (!subsystem) return Fail(subsystem.error());   // names the file and what is wrong with it
#ifndef CORRAL_DAEMON_PLUGIN_H_
#define CORRAL_DAEMON_PLUGIN_H_

#include <corral/subsystem.h>

#include <memory>
#include <string>

namespace corral {

// The subsystem of the object, which stays loaded for good. EPERM: somebody beside root could
// change it, and what its code does root does (base/trusted_file.h); ENOENT: it cannot be loaded,
// as the loader says; EINVAL: it is no plug-in, or is of another version of the interface; EIO: its
// function throws or returns nothing. REQUIRES: `file` begins with '/'.
Result<std::shared_ptr<Subsystem>> LoadPlugin(const std::string& file);

}  // namespace corral

#endif  // CORRAL_DAEMON_PLUGIN_H_
