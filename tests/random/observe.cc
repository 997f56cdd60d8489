// What a mount shows: every directory and every file, by the system calls a user makes.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "random/machine.h"

namespace corral::random {
namespace {

// May come true some time after the step (spec 10.10).
constexpr std::string_view kLater = "cgroup.events";

// The attributes that the open of a moment ago brought: nothing is cached from one look to the
// next, and asking again would double the time of a run.
struct statx Attributes(const Fd& fd) {
  struct statx st {};
  ::statx(fd.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &st);
  return st;
}

std::string Text(const struct statx& st) {
  return fmt::format("{:o} {} {} {}", st.stx_mode & 07777, st.stx_uid, st.stx_gid, st.stx_nlink);
}

struct Entries {
  std::set<std::string> names, directories;
};

// Files are control files; those of subsystems have another prefix than the core's and are not the
// model's matter.
bool IsOfSubsystem(const dirent& entry) {
  const std::string_view name = entry.d_name;
  return entry.d_type == DT_REG && name.contains('.') && !name.starts_with("cgroup.");
}

// Every name once; "." and ".." are not told.
Entries List(const Fd& directory) {
  Entries entries;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(
      ::fdopendir(::fcntl(directory.get(), F_DUPFD_CLOEXEC, 3)), ::closedir);
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == ".." || IsOfSubsystem(*entry)) continue;
    if (!entries.names.insert(name).second) entries.names.insert(name + " (twice)");
    if (entry->d_type == DT_DIR) entries.directories.insert(name);
  }
  return entries;
}

}  // namespace

Machine::Seen Machine::Observe(const std::string& mount, const Model& names) {
  Seen seen;
  const Fd root(::open(Under(mount, "").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat here {
  }, around{};
  if (::fstat(root.get(), &here) != 0 || ::stat(work_.c_str(), &around) != 0 ||
      here.st_dev == around.st_dev) {
    seen.now["/ attr"] = "nothing is mounted there";
    return seen;
  }
  ObserveGroup(root, "/", names.NamesByTid(), &seen);
  return seen;
}

void Machine::ObserveGroup(const Fd& directory, const std::string& path, const Names& names,
                           Seen* seen) {
  const struct statx st = Attributes(directory);
  const Entries entries = List(directory);
  seen->inodes[path] = st.stx_ino;
  seen->now[path + " attr"] = Text(st);
  seen->now[path + " ls"] = fmt::format("{}", fmt::join(entries.names, "\n"));
  const std::string prefix = path == "/" ? "/" : path + "/";
  for (const std::string& name : entries.names) {
    if (!entries.directories.contains(name)) {
      ObserveFile(directory, name, prefix + name, names, seen);
      continue;
    }
    const Fd child(::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (child) {
      ObserveGroup(child, prefix + name, names, seen);
    } else {
      seen->now[prefix + name + " attr"] = fmt::format("cannot be opened: errno {}", errno);
    }
  }
}

void Machine::ObserveFile(const Fd& directory, const std::string& name, const std::string& path,
                          const Names& names, Seen* seen) {
  const Fd file(::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file) {
    seen->now[path + " attr"] = fmt::format("cannot be opened: errno {}", errno);
    return;
  }
  const struct statx st = Attributes(file);
  seen->inodes[path] = st.stx_ino;
  seen->now[path + " attr"] = Text(st);
  const Done read = ReadFrom(file.get(), path, names);
  if (read.error == EINVAL) return;  // not a file to be read
  (name == kLater ? seen->later : seen->now)[path] =
      read.error == 0 ? read.text : fmt::format("cannot be read: errno {}", read.error);
}

}  // namespace corral::random
