#include "client/place_mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "client/bytes.h"

namespace corral {
namespace {

using nlohmann::json;

bool HasRemount(const std::string& options) {
  return ("," + options + ",").find(",remount,") != std::string::npos;
}

Result<void> Remount(Client& client, const MountRequest& request) {
  struct stat st;
  if (::stat(request.dir.c_str(), &st) != 0) {
    return Fail(errno, "{}: {}", Printable(request.dir), std::strerror(errno));
  }
  // `remount` stays among the options; which mount, the directory says.
  auto answer = client.Call({{"op", "mount"},
                             {"dev", st.st_dev},
                             {"ino", st.st_ino},
                             {"source", ToJsonText(request.source)},
                             {"options", ToJsonText(request.options)}});
  if (!answer) return Fail(answer.error());
  return {};
}

}  // namespace

Result<void> CheckMountPoint(const std::string& dir) {
  struct stat st;
  if (::stat(dir.c_str(), &st) != 0) {
    return Fail(errno, "mount point {}: {}", Printable(dir), std::strerror(errno));
  }
  if (!S_ISDIR(st.st_mode)) return Fail(ENOTDIR, "mount point {} is no directory", Printable(dir));
  return {};
}

Result<json> MountOn(Client& client, const MountRequest& request) {
  if (HasRemount(request.options)) {
    if (auto done = Remount(client, request); !done) return Fail(done.error());
    return json();
  }
  if (auto good = CheckMountPoint(request.dir); !good) return Fail(good.error());
  Fd mount;
  auto answer = client.Call({{"op", "mount"},
                             {"source", ToJsonText(request.source)},
                             {"options", ToJsonText(request.options)}},
                            &mount);
  if (!answer) return Fail(answer.error());
  if (!mount) return Fail(EPROTO, "the daemon sent no mount");
  if (auto placed = PlaceMount(mount.get(), request.dir); !placed) return Fail(placed.error());
  return answer->value("hierarchy", json());
}

Result<void> PlaceMount(int mount_fd, const std::string& dir) {
  if (::syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, dir.c_str(), MOVE_MOUNT_F_EMPTY_PATH) ==
      0) {
    return {};
  }
  if (errno == EPERM) {
    return Fail(EPERM, "cannot mount on {}: this needs root (CAP_SYS_ADMIN)", Printable(dir));
  }
  return Fail(errno, "cannot mount on {}: {}", Printable(dir), std::strerror(errno));
}

}  // namespace corral
