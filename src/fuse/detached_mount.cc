#include "fuse/detached_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>

#include "base/errors.h"

namespace corral {
namespace {

// fsconfig takes no longer value; the source is only shown, so it is cut.
constexpr std::size_t kMaxValue = 255;

Result<void> SetString(const Fd& context, const char* key, const std::string& value) {
  if (::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0) return {};
  return FailErrno("fuse mount option {}={}", key, value);
}

Result<void> SetFlag(const Fd& context, const char* key) {
  if (::fsconfig(context.get(), FSCONFIG_SET_FLAG, key, nullptr, 0) == 0) return {};
  return FailErrno("fuse mount option {}", key);
}

// The kernel enforces modes and owners (default_permissions), for every user (allow_other).
Result<void> Configure(const Fd& context, const Fd& fuse, const FuseMountOptions& options) {
  const std::pair<const char*, std::string> strings[] = {
      {"source", options.source.substr(0, kMaxValue)},
      {"subtype", options.subtype},
      {"fd", std::to_string(fuse.get())},
      {"rootmode", "40000"},
      {"user_id", "0"},
      {"group_id", "0"},
  };
  for (const auto& [key, value] : strings) TRY(SetString(context, key, value));
  for (const char* flag : {"allow_other", "default_permissions"}) TRY(SetFlag(context, flag));
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return FailErrno("cannot create a fuse file system");
  }
  return {};
}

// Nothing here is a program, whatever its mode says (spec 4.5).
unsigned MountAttributes(const FuseMountOptions& options) {
  unsigned attributes = MOUNT_ATTR_NOEXEC;
  if (options.read_only) attributes |= MOUNT_ATTR_RDONLY;
  if (options.nosuid) attributes |= MOUNT_ATTR_NOSUID;
  if (options.nodev) attributes |= MOUNT_ATTR_NODEV;
  return attributes;
}

// With nothing asked for and no synchronising the kernel answers by itself.
Result<dev_t> DeviceOf(const Fd& mount) {
  struct statx status {};
  if (::statx(mount.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &status) != 0) {
    return FailErrno("cannot look at the new mount");
  }
  return makedev(status.stx_dev_major, status.stx_dev_minor);
}

}  // namespace

Result<DetachedMount> MakeDetachedMount(const FuseMountOptions& options) {
  DetachedMount made;
  made.fuse.reset(::open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!made.fuse) return FailErrno("cannot open /dev/fuse");
  const Fd context(::fsopen("fuse", FSOPEN_CLOEXEC));
  if (!context) return FailErrno("fsopen of fuse");
  TRY(Configure(context, made.fuse, options));
  made.mount.reset(::fsmount(context.get(), FSMOUNT_CLOEXEC, MountAttributes(options)));
  if (!made.mount) return FailErrno("fsmount of fuse");
  made.device = TRY(DeviceOf(made.mount));
  return made;
}

}  // namespace corral
