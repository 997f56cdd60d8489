#include "cli/open_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "base/fd.h"
#include "wire/bytes.h"

namespace corral::cli {
namespace {

constexpr std::string_view kMountType = "fuse.container ";  // with the blank after it

// The hierarchies mounted in one mount namespace.
struct Mounts {
  std::map<std::string, std::uint64_t> device_of;  // by the mount's id
  std::vector<std::string> points;

  bool empty() const { return device_of.empty(); }
  bool MayHave(const std::string& path) const {
    for (const std::string& point : points) {
      if (path.starts_with(point)) return true;
    }
    return false;
  }
};

// "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE OPTIONS"
Mounts MountsSeenBy(const std::string& process) {
  Mounts mounts;
  std::ifstream info(process + "/mountinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos || !line.substr(dash + 3).starts_with(kMountType)) continue;
    std::istringstream words(line);
    std::string id, parent, root, point;
    unsigned major = 0, minor = 0;
    char colon = 0;
    words >> id >> parent >> major >> colon >> minor >> root >> point;
    mounts.device_of[id] = ::makedev(major, minor);
    mounts.points.push_back(WithoutOctal(point));
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
  std::ifstream info(fdinfo);
  std::string mount_id, inode;
  for (std::string key, value; info >> key >> value;) {
    if (key == "mnt_id:") mount_id = value;
    if (key == "ino:") inode = value;
    if (!inode.empty()) break;
  }
  const auto device = mounts.device_of.find(mount_id);
  std::uint64_t number = 0;
  std::from_chars(inode.data(), inode.data() + inode.size(), number);
  if (device == mounts.device_of.end() || number == 0) return std::nullopt;
  return Named{device->second, number};
}

// The names in a directory of /proc.
std::vector<std::string> NumbersIn(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') names.emplace_back(entry->d_name);
  }
  return names;
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
  for (const std::string& number : NumbersIn(process + "/fd")) {
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
  for (const std::string& number : NumbersIn("/proc")) {
    if (std::stol(number) == ::getpid()) continue;
    const std::string process = "/proc/" + number;
    const std::string ns = LinkText(process + "/ns/mnt");
    if (ns.empty()) continue;  // gone, or a zombie
    auto mounts = by_namespace.find(ns);
    if (mounts == by_namespace.end()) {
      mounts = by_namespace.emplace(ns, MountsSeenBy(process)).first;
    }
    if (mounts->second.empty()) continue;
    std::vector<OpenFile> found;
    LookAtDirectory(process, "cwd", "working directory", mounts->second, found);
    LookAtDirectory(process, "root", "root directory", mounts->second, found);
    LookAtDescriptors(process, mounts->second, found);
    for (OpenFile& file : found) {
      file.pid = static_cast<pid_t>(std::stol(number));
      all.push_back(std::move(file));
    }
  }
  return all;
}

}  // namespace corral::cli
