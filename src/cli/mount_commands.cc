// corral mount, corral umount
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "client/client.h"
#include "client/patient.h"
#include "client/place_mount.h"

namespace corral::cli {
namespace {

int Mount(const Context& context, const MountRequest& request) {
  auto client = Client::ConnectOrStart(context.instance);
  if (!client) return Complain(client.error());
  auto mounted = MountOn(*client, request);
  if (!mounted) return Complain(mounted.error());
  if (context.json) {
    PrintJson({{"hierarchy", JsonOf(*mounted)}, {"dir", JsonOf(request.dir)}});
  }
  return kOk;
}

// Asks the kernel's tables and never the file system: a mount whose daemon hangs or died must be
// recognised and unmounted, too.
int Umount(const Context& context, const std::string& dir, bool lazy) {
  const auto fail = [&](int code, const std::string& what) {
    return Complain(Error{code, fmt::format("{} {}", Printable(dir), what)});
  };
  auto point = RealPathPatiently(dir);
  if (!point) return Complain(point.error());
  const MountedOn mount = MountOf(*point);
  if (mount.type != kMountType) {
    return fail(EINVAL,
                fmt::format("is of type {}, not {}; use umount(8)", mount.type, kMountType));
  }
  if (mount.point != *point) return fail(EINVAL, "is a group, not where its hierarchy is mounted");
  if (::umount2(point->c_str(), (lazy ? MNT_DETACH : 0) | UMOUNT_NOFOLLOW) != 0) {
    if (errno != EBUSY)
      return fail(errno, fmt::format("cannot be unmounted: {}", std::strerror(errno)));
    return fail(EBUSY,
                fmt::format("is in use: `fuser -vm {}` shows by whom, --lazy detaches it now "
                            "and ends it later",
                            Printable(dir)));
  }
  if (context.json) PrintJson({{"dir", JsonOf(dir)}});
  return kOk;
}

}  // namespace

Form MountForm() {
  auto request = std::make_shared<MountRequest>();
  return {
      {{"-o,--options",
        &request->options,
        "Options, comma separated; see mount.container(8)",
        {.offer = Offer::kMountOptions}},
       {"SOURCE", &request->source, "Any text, shown in /proc/mounts", {.required = true}},
       {"DIR", &request->dir, "Where to mount", {.required = true, .offer = Offer::kDirectories}}},
      [request](const Context& context) { return Mount(context, *request); }};
}

Form UmountForm() {
  struct Options {
    std::string dir;
    bool lazy = false;
  };
  auto options = std::make_shared<Options>();
  return {
      {{"-l,--lazy", &options->lazy, "Detach it even while it is in use"},
       {"DIR",
        &options->dir,
        "Where it is mounted",
        {.required = true, .offer = Offer::kDirectories}}},
      [options](const Context& context) { return Umount(context, options->dir, options->lazy); }};
}

}  // namespace corral::cli
