// Mounts: which hierarchies are mounted, for who asks about that and does not make mounts
// (mount_table.h does). Any thread.
#ifndef CORRAL_DAEMON_MOUNTS_H_
#define CORRAL_DAEMON_MOUNTS_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "core/registry.h"
#include "daemon/mount_options.h"

namespace corral {

class Mounts {
 public:
  struct Mounted {
    Fd descriptor;          // detached, to be placed
    std::string hierarchy;  // its name
  };
  // Joins or makes the hierarchy and makes a mount of it. Errors: spec 3.4 to 3.7.
  virtual Result<Mounted> Mount(std::string_view options, const std::string& source) = 0;

  // Gives the hierarchy mounted as `device` these options (spec 3.9); returns them, for what the
  // mount itself has to change. ENOENT: no mount of ours; EINVAL, EBUSY, EPERM: nothing changed.
  virtual Result<MountOptions> Remount(dev_t device, std::string_view options) = 0;

  // Whether this device is one of our mounts; then the hierarchy's root.
  virtual std::optional<CgroupId> RootOnDevice(dev_t device) = 0;

  virtual std::size_t CountOf(HierarchyId hierarchy) = 0;

  // Of all hierarchies. As every call, it first ends what nobody uses any more.
  virtual std::size_t size() = 0;

  // What is shown of a hierarchy's options (spec 3.12). Escaped: values as in /proc/mounts, a
  // comma as well.
  virtual std::string OptionsText(const HierarchyInfo& info, bool escaped) const = 0;

 protected:
  ~Mounts() = default;
};

}  // namespace corral

#endif  // CORRAL_DAEMON_MOUNTS_H_
