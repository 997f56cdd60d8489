// Instances (docs/architecture.md): CORRAL_INSTANCE separates daemons, so that tests never
// touch the host's own.
#ifndef CORRAL_WIRE_INSTANCE_H_
#define CORRAL_WIRE_INSTANCE_H_

#include <corral/result.h>

#include <string>
#include <string_view>

namespace corral {

// EINVAL unless `name` is 1 to 63 characters of [A-Za-z0-9_.-] and neither "." nor "..".
Result<void> CheckInstanceName(std::string_view name);

// $CORRAL_INSTANCE, or `default` where that is unset or empty. EINVAL as above.
Result<std::string> InstanceFromEnvironment();

// /run/corral/NAME
std::string RuntimeDir(std::string_view instance);

// RuntimeDir/proc: where the proc view is mounted (spec 12)
std::string ProcDir(std::string_view instance);

// RuntimeDir/store: what outlives a crash of the daemon
std::string StoreDir(std::string_view instance);

// /sys/fs/bpf/corral/NAME, with a plus sign for a dot: that file system has no dots in names.
// Locked (flock) by the daemon, for as long as it lives.
std::string PinDir(std::string_view instance);

// RuntimeDir/lock: flock'ed by the daemon, too
std::string LockPath(std::string_view instance);

// RuntimeDir/corrald.log
std::string LogPath(std::string_view instance);

// RuntimeDir/socket
std::string SocketPath(std::string_view instance);

}  // namespace corral

#endif  // CORRAL_WIRE_INSTANCE_H_
