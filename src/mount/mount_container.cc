// mount.container: what mount(8) runs for `mount -t container` (spec 3.1, 3.14).
//
//   mount.container SOURCE DIR [-sfnv] [-N NAMESPACE] [-t TYPE] [-o OPTIONS]
//
// Starts the daemon if none runs, has it make the mount, and places that on DIR in its own
// mount namespace. Also installed as mount.fuse.container: that is where `mount -o remount`
// looks. Exit codes are those of mount(8): 0 done, 1 usage or permission, 2 system error,
// 32 the mount failed.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/text.h"
#include "client/client.h"
#include "client/place_mount.h"
#include "wire/bytes.h"
#include "wire/instance.h"

namespace corral {
namespace {

enum Exit { kDone = 0, kUsage = 1, kSystem = 2, kMountFailed = 32 };

struct Arguments {
  MountRequest request;
  std::string mount_namespace;
  bool fake = false;
  bool verbose = false;
};

int Complain(Exit code, const std::string& sentence) {
  std::fprintf(stderr, "mount.container: %s\n", Harmless(sentence).c_str());
  return code;
}

bool Parse(int argc, char** argv, Arguments& arguments) {
  for (int option; (option = ::getopt(argc, argv, "sfnvwrN:t:o:")) != -1;) {
    switch (option) {
      case 's':
      case 'n':
      case 'w':
      case 't': break;  // nothing to do for this file system
      case 'f': arguments.fake = true; break;
      case 'v': arguments.verbose = true; break;
      case 'N': arguments.mount_namespace = optarg; break;
      case 'r':
      case 'o': {
        std::string& options = arguments.request.options;
        if (!options.empty()) options += ',';
        options += option == 'r' ? "ro" : optarg;
        break;
      }
      default: return false;
    }
  }
  if (argc - optind != 2) return false;
  arguments.request.source = argv[optind];
  arguments.request.dir = argv[optind + 1];
  return true;
}

int Run(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, arguments)) {
    return Complain(
        kUsage, "usage: mount.container SOURCE DIR [-sfnv] [-o OPTIONS]; see mount.container(8)");
  }
  if (::geteuid() != 0) return Complain(kUsage, "only root may mount");
  auto instance = InstanceFromEnvironment();
  if (!instance) return Complain(kUsage, "CORRAL_INSTANCE: " + instance.error().message);
  if (arguments.fake) return kDone;

  auto client = Client::ConnectOrStart(*instance);
  if (!client) return Complain(kSystem, client.error().message);
  // Only now: the socket and the daemon are found in the caller's namespace.
  if (!arguments.mount_namespace.empty()) {
    Fd other(::open(arguments.mount_namespace.c_str(), O_RDONLY | O_CLOEXEC));
    if (!other || ::setns(other.get(), CLONE_NEWNS) != 0) {
      return Complain(kSystem, fmt::format("mount namespace {}: {}", arguments.mount_namespace,
                                           std::strerror(errno)));
    }
  }
  auto mounted = MountOn(*client, arguments.request);
  if (!mounted) {
    const bool refused = mounted.error().code == EPERM;
    return Complain(refused ? kUsage : kMountFailed, mounted.error().message);
  }
  if (arguments.verbose) {
    const std::string name = *mounted ? fmt::format("\"{}\"", **mounted) : "null";
    const std::string line =
        fmt::format("hierarchy {} is on {}", name, Printable(arguments.request.dir));
    std::printf("mount.container: %s\n", Harmless(line).c_str());
  }
  return kDone;
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) { return corral::Run(argc, argv); }
