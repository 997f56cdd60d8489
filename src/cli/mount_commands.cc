// corral mount, corral umount
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "cli/command.h"
#include "cli/output.h"
#include "client/bytes.h"
#include "client/client.h"
#include "client/place_mount.h"

namespace corral::cli {
namespace {

constexpr std::string_view kMountType = "fuse.container";

int Mount(const Context& context, const MountRequest& request) {
  auto client = Client::ConnectOrStart(context.instance);
  if (!client) return Complain(client.error());
  auto mounted = MountOn(*client, request);
  if (!mounted) return Complain(mounted.error());
  if (context.json) {
    PrintJson({{"hierarchy", *mounted}, {"dir", ToJsonText(request.dir)}});
  }
  return kOk;
}

// The type of the file system `dir` is in. Asks the kernel's tables, never the file system:
// one whose daemon died must be recognised and unmounted, too.
Result<std::string> MountTypeOf(const std::string& dir) {
  Fd fd(::open(dir.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) return Fail(errno, "{}: {}", Printable(dir), std::strerror(errno));
  std::string mount_id;
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd.get()));
  for (std::string key, value; info >> key >> value;) {
    if (key == "mnt_id:") mount_id = value;
  }
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.substr(0, line.find(' ')) != mount_id) continue;
    std::istringstream rest(line.substr(line.find(" - ") + 3));
    std::string type;
    rest >> type;
    return type;
  }
  return Fail(EINVAL, "{} is in no mount that /proc/self/mountinfo shows", Printable(dir));
}

int Umount(const Context& context, const std::string& dir, bool lazy) {
  auto type = MountTypeOf(dir);
  if (!type) return Complain(type.error());
  if (*type != kMountType) {
    return Complain(Error{EINVAL, fmt::format("{} is of type {}, not {}; use umount(8)",
                                              Printable(dir), *type, kMountType)});
  }
  if (::umount2(dir.c_str(), lazy ? MNT_DETACH : 0) != 0) {
    if (errno == EBUSY) {
      return Complain(Error{EBUSY, fmt::format("{0} is in use: `fuser -vm {0}` shows by whom, "
                                               "--lazy detaches it now and ends it later",
                                               Printable(dir))});
    }
    if (errno == EINVAL) {
      return Complain(Error{EINVAL, fmt::format("{} is a group, not where its hierarchy is mounted",
                                                Printable(dir))});
    }
    return Complain(Error{errno, fmt::format("{}: {}", Printable(dir), std::strerror(errno))});
  }
  if (context.json) PrintJson({{"dir", ToJsonText(dir)}});
  return kOk;
}

}  // namespace

Action SetUpMount(CLI::App& parser) {
  auto request = std::make_shared<MountRequest>();
  parser.add_option("-o,--options", request->options,
                    "Options, comma separated; see mount.container(8)");
  parser.add_option("SOURCE", request->source, "Any text, shown in /proc/mounts")->required();
  parser.add_option("DIR", request->dir, "Where to mount")->required();
  return [request](const Context& context) { return Mount(context, *request); };
}

Action SetUpUmount(CLI::App& parser) {
  struct Options {
    std::string dir;
    bool lazy = false;
  };
  auto options = std::make_shared<Options>();
  parser.add_flag("-l,--lazy", options->lazy, "Detach it even while it is in use");
  parser.add_option("DIR", options->dir, "Where it is mounted")->required();
  return [options](const Context& context) { return Umount(context, options->dir, options->lazy); };
}

}  // namespace corral::cli
