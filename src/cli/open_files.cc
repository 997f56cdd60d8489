#include "cli/open_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <map>
#include <optional>

#include "base/fd.h"
#include "base/mountinfo.h"
#include "base/number.h"
#include "base/proc.h"
#include "base/read_file.h"
#include "client/place_mount.h"

namespace corral::cli {
namespace {

// The hierarchies mounted in one mount namespace.
struct Mounts {
  std::map<std::uint64_t, std::uint64_t> device_of;  // by the mount's id
  std::vector<std::string> points;

  bool empty() const { return device_of.empty(); }
  bool MayHave(const std::string& path) const {
    for (const std::string& point : points) {
      if (path.starts_with(point)) return true;
    }
    return false;
  }
};

Mounts MountsSeenBy(const std::string& process) {
  Mounts mounts;
  for (MountLine& mount : MountsOf(process)) {
    if (mount.type != kMountType) continue;
    mounts.device_of[mount.id] = mount.device;
    mounts.points.push_back(std::move(mount.point));
  }
  return mounts;
}

std::string LinkText(const std::string& path) {
  char text[4096];
  const ssize_t size = ::readlink(path.c_str(), text, sizeof text);
  return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
}

struct Named {
  std::uint64_t device;
  std::uint64_t inode;
};

// Which file a descriptor is, if it is one of these mounts.
std::optional<Named> ReadDescriptor(const std::string& fdinfo, const Mounts& mounts) {
  const std::string info = ReadFileOrNothing(fdinfo);
  const auto device = mounts.device_of.find(LeadingNumber(StatusValue(info, "mnt_id")));
  const std::uint64_t inode = LeadingNumber(StatusValue(info, "ino"));
  if (device == mounts.device_of.end() || inode == 0) return std::nullopt;
  return Named{device->second, inode};
}

// A directory that a process is in has no line in fdinfo; a descriptor of ours for it has. Only
// for a path inside our own mounts: opening asks other file systems.
void LookAtDirectory(const std::string& process, const char* link, const char* what,
                     const Mounts& mounts, std::vector<OpenFile>& files) {
  const std::string path = process + "/" + link;
  if (!mounts.MayHave(LinkText(path))) return;
  const Fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) return;
  const auto named = ReadDescriptor(fmt::format("/proc/self/fdinfo/{}", fd.get()), mounts);
  if (!named) return;
  files.push_back({.pid = 0, .what = what, .device = named->device, .inode = named->inode});
}

void LookAtDescriptors(const std::string& process, const Mounts& mounts,
                       std::vector<OpenFile>& files) {
  for (const std::uint32_t fd : NumbersIn(process + "/fd")) {
    const std::string number = std::to_string(fd);
    const std::string path = LinkText(process + "/fd/" + number);
    if (!path.starts_with('/') || path.starts_with("/dev/")) continue;
    const auto named = ReadDescriptor(process + "/fdinfo/" + number, mounts);
    if (!named) continue;
    files.push_back(
        {.pid = 0, .what = "descriptor " + number, .device = named->device, .inode = named->inode});
  }
}

}  // namespace

std::vector<OpenFile> OpenFilesOfHierarchies() {
  std::map<std::string, Mounts> by_namespace;
  std::vector<OpenFile> all;
  for (const std::uint32_t number : NumbersIn("/proc")) {
    const auto pid = static_cast<pid_t>(number);
    if (pid == ::getpid()) continue;
    const std::string process = "/proc/" + std::to_string(number);
    const std::string ns = LinkText(process + "/ns/mnt");
    if (ns.empty()) continue;  // gone, or a zombie
    auto mounts = by_namespace.find(ns);
    if (mounts == by_namespace.end()) {
      mounts = by_namespace.emplace(ns, MountsSeenBy(std::to_string(number))).first;
    }
    if (mounts->second.empty()) continue;
    std::vector<OpenFile> found;
    LookAtDirectory(process, "cwd", "working directory", mounts->second, found);
    LookAtDirectory(process, "root", "root directory", mounts->second, found);
    LookAtDescriptors(process, mounts->second, found);
    for (OpenFile& file : found) {
      file.pid = pid;
      all.push_back(std::move(file));
    }
  }
  return all;
}

}  // namespace corral::cli
