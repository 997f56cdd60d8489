// MountTable, as daemon/operations.cc needs it, with nothing mounted and nothing to mount.
#ifndef CORRAL_TESTS_FUZZ_STAND_IN_DAEMON_MOUNT_TABLE_H_
#define CORRAL_TESTS_FUZZ_STAND_IN_DAEMON_MOUNT_TABLE_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <sys/types.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "core/registry.h"
#include "daemon/mount_options.h"

namespace corral {

class MountTable {
 public:
  explicit MountTable(CgroupId root) : root_(root) {}
  struct Mounted {
    Fd descriptor;
    std::string hierarchy;
  };
  Result<Mounted> Mount(std::string_view text, const std::string&) {
    const auto options = ParseMountOptions(text);
    if (!options) return Fail(options.error());
    return Fail(ENODEV, "nothing is mounted here");
  }
  Result<MountOptions> Remount(dev_t device, std::string_view text) {
    if (device != 1) return Fail(ENOENT, "not a mount of ours");
    return ParseMountOptions(text);
  }
  // Device 1 is a mount of the hierarchy.
  std::optional<CgroupId> RootOnDevice(dev_t device) {
    return device == 1 ? std::optional(root_) : std::nullopt;
  }
  std::size_t CountOf(HierarchyId) { return 0; }
  std::size_t size() { return 0; }
  static std::string OptionsText(const HierarchyInfo& info, bool) { return "name=" + info.name; }

 private:
  const CgroupId root_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_FUZZ_STAND_IN_DAEMON_MOUNT_TABLE_H_
