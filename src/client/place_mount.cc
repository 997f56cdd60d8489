#include "client/place_mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/errors.h"
#include "base/text.h"
#include "client/patient.h"
#include "wire/bytes.h"

namespace corral {
namespace {

bool HasRemount(const std::string& options) {
  return ("," + options + ",").find(",remount,") != std::string::npos;
}

// What of a mount is not its hierarchy's.
Result<void> SetAttributes(const std::string& dir, const wire::Remount::Answer& wanted) {
  mount_attr change = {};
  (wanted.read_only ? change.attr_set : change.attr_clr) |= MOUNT_ATTR_RDONLY;
  (wanted.nosuid ? change.attr_set : change.attr_clr) |= MOUNT_ATTR_NOSUID;
  (wanted.nodev ? change.attr_set : change.attr_clr) |= MOUNT_ATTR_NODEV;
  if (::syscall(SYS_mount_setattr, AT_FDCWD, dir.c_str(), 0, &change, sizeof change) == 0) {
    return {};
  }
  return FailErrno("cannot change the mount on {}", Printable(dir));
}

Result<void> Remount(Client& client, const MountRequest& request) {
  auto st = TRY(StatPatiently(request.dir));
  // Which mount, the directory says.
  auto answer = client.Call(wire::Remount{.dev = st.st_dev, .options = request.options});
  if (!answer) {
    const Error& error = answer.error();
    return Fail(error.code, "{}: {}", Printable(request.dir), error.message);
  }
  return SetAttributes(request.dir, *answer);
}

}  // namespace

Result<void> CheckMountPoint(const std::string& dir) {
  auto st = StatPatiently(dir);
  if (!st) return Fail(st.error().code, "mount point {}", st.error().message);
  if (!S_ISDIR(st->st_mode)) return Fail(ENOTDIR, "mount point {} is no directory", Printable(dir));
  return {};
}

Result<std::optional<std::string>> MountOn(Client& client, const MountRequest& request) {
  if (HasRemount(request.options)) {
    TRY(Remount(client, request));
    return std::nullopt;
  }
  TRY(CheckMountPoint(request.dir));
  Fd mount;
  auto mounted =
      TRY(client.Call(wire::Mount{.source = request.source, .options = request.options}, &mount));
  if (!mount) return Fail(EPROTO, "the daemon sent no mount");
  TRY(PlaceMount(mount.get(), request.dir));
  // The daemon's own descriptor of the mount is closed before it takes the next request; until
  // then an umount would say EBUSY.
  TRY(client.Call(wire::Ping()));
  return std::optional(std::move(mounted.hierarchy));
}

Result<void> PlaceMount(int mount_fd, const std::string& dir) {
  if (::syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, dir.c_str(), MOVE_MOUNT_F_EMPTY_PATH) ==
      0) {
    return {};
  }
  if (errno == EPERM) {
    return Fail(EPERM, "cannot mount on {}: this needs root (CAP_SYS_ADMIN)", Printable(dir));
  }
  return FailErrno("cannot mount on {}", Printable(dir));
}

}  // namespace corral
