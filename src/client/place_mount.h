// Mounting as seen by the one who wants it (docs/architecture.md, "Mounting"): the daemon makes the
// mount, the caller places it in its own mount namespace. For `corral mount` and mount.container.
#ifndef CORRAL_CLIENT_PLACE_MOUNT_H_
#define CORRAL_CLIENT_PLACE_MOUNT_H_

#include <corral/result.h>

#include <optional>
#include <string>
#include <string_view>

#include "client/client.h"

namespace corral {

// The type of our mounts, as the kernel names it.
inline constexpr std::string_view kMountType = "fuse.container";

struct MountRequest {
  std::string source;   // any string (spec 3.1)
  std::string dir;      // where it goes
  std::string options;  // the text after -o
};

// ENOENT, ENOTDIR: `dir` is not there or no directory; then nothing is asked of the daemon.
Result<void> CheckMountPoint(const std::string& dir);

// Mounts, or, with `remount` among the options, changes what is mounted on `dir` (spec 3.9).
// Returns the hierarchy's name; of a remount none.
Result<std::optional<std::string>> MountOn(Client& client, const MountRequest& request);

// Puts a mount that is nowhere yet on `dir`. It vanishes with `mount_fd` if this fails.
Result<void> PlaceMount(int mount_fd, const std::string& dir);

}  // namespace corral

#endif  // CORRAL_CLIENT_PLACE_MOUNT_H_
