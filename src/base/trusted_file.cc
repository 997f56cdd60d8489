#include "base/trusted_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <list>
#include <sstream>
#include <utility>

#include "base/errors.h"
#include "base/mountinfo.h"
#include "base/number.h"

namespace corral {
namespace {

constexpr int kMostLinks = 40;           // as the kernel
constexpr long kFuseMagic = 0x65735546;  // in no header that user space has

bool OthersWrite(const struct stat& st) { return (st.st_mode & (S_IWGRP | S_IWOTH)) != 0; }

// Everybody may write it, and rename only what is his own.
bool SharedByRoot(const struct stat& directory) {
  return OthersWrite(directory) && (directory.st_mode & S_ISVTX) != 0 && directory.st_uid == 0;
}

std::string NameOf(uid_t uid) { return uid == 0 ? "root" : fmt::format("uid {}", uid); }

std::list<std::string> Components(const std::string& path) {
  std::list<std::string> names;
  std::istringstream in(path);
  for (std::string name; std::getline(in, name, '/');) {
    if (!name.empty() && name != ".") names.push_back(std::move(name));
  }
  return names;
}

// Who mounted the FUSE file system that `fd` is on; nothing where that cannot be found out.
Result<uid_t> FuseUser(int fd) {
  struct statx known;
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &known) != 0) {
    return FailErrno("statx");
  }
  constexpr std::string_view kUser = "user_id=";
  for (const MountLine& mount : MountsOf("self")) {
    if (mount.id != known.stx_mnt_id) continue;
    const auto option = mount.super_options.rfind(kUser);
    if (option == std::string::npos) continue;
    return static_cast<uid_t>(LeadingNumber(mount.super_options.substr(option + kUser.size())));
  }
  return Fail(ENOENT, "not found in /proc/self/mountinfo");
}

class Walk {
 public:
  explicit Walk(uid_t besides_root) : user_(besides_root) {}
  Result<TrustedFile> To(const std::string& path);

 private:
  struct Place {
    Fd fd;
    struct stat status {};
    long system = 0;  // the file system's magic number
    std::string path;
  };

  bool Trusts(uid_t uid) const { return uid == 0 || uid == user_; }
  std::string Owners() const {
    return user_ == 0 ? "root" : fmt::format("root or to {}", NameOf(user_));
  }
  static Result<void> Look(Place& place);
  Result<Place> Open(const Place& in, const std::string& name) const;
  Result<Place> TopDirectory() const;
  Result<void> CheckOwner(const Place& place) const;
  Result<void> CheckServer(const Place& place) const;
  Result<void> CheckNotWritten(const Place& place) const;
  Result<void> CheckEntry(const Place& entry) const;

  const uid_t user_;
};

Result<void> Walk::Look(Place& place) {
  struct statfs system;
  if (!place.fd || ::fstat(place.fd.get(), &place.status) != 0 ||
      ::fstatfs(place.fd.get(), &system) != 0) {
    return FailErrno("{}", place.path);
  }
  place.system = system.f_type;
  return {};
}

Result<Walk::Place> Walk::Open(const Place& in, const std::string& name) const {
  Place place{.path = in.path == "/" ? "/" + name : in.path + "/" + name};
  if (name == "..") place.path = in.path.substr(0, std::max<std::size_t>(in.path.rfind('/'), 1));
  const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  place.fd.reset(::openat(in.fd.get(), name.c_str(), flags));
  TRY(Look(place));
  if (place.system != AUTOFS_SUPER_MAGIC) return place;
  place.fd.reset(::openat(in.fd.get(), (name + "/.").c_str(), flags));  // mounts it
  TRY(Look(place));
  return place;
}

Result<Walk::Place> Walk::TopDirectory() const {
  Place top{.fd = Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)), .path = "/"};
  TRY(Look(top));
  TRY(CheckOwner(top));
  return top;
}

Result<void> Walk::CheckOwner(const Place& place) const {
  if (!Trusts(place.status.st_uid)) {
    return Fail(EPERM, "{} belongs to {}, who could change what runs: it must belong to {}",
                place.path, NameOf(place.status.st_uid), Owners());
  }
  return CheckServer(place);
}

Result<void> Walk::CheckServer(const Place& place) const {
  if (place.system == PROC_SUPER_MAGIC) {
    return Fail(EPERM, "{} is below /proc, where a name means another file by and by", place.path);
  }
  if (place.system != kFuseMagic) return {};
  const auto user = FuseUser(place.fd.get());
  if (user && Trusts(*user)) return {};
  return Fail(EPERM, "{} is on a FUSE file system of {}, who says what its files are", place.path,
              user ? NameOf(*user) : "somebody unknown");
}

Result<void> Walk::CheckNotWritten(const Place& place) const {
  if (!OthersWrite(place.status)) return {};
  return Fail(EPERM, "{} may be written by {} (mode {:04o}); chmod go-w", place.path,
              (place.status.st_mode & S_IWOTH) != 0 ? "anybody" : "its group or by an ACL",
              place.status.st_mode & 07777);
}

// Whether somebody else can change what this name in a directory that others write means.
Result<void> Walk::CheckEntry(const Place& entry) const {
  if (Trusts(entry.status.st_uid)) return {};
  return Fail(EPERM, "{} belongs to {}, in a directory that others may write: it must belong to {}",
              entry.path, NameOf(entry.status.st_uid), Owners());
}

Result<TrustedFile> Walk::To(const std::string& path) {
  std::list<std::string> names = Components(path);
  if (path.empty()) return Fail(ENOENT, "an empty path");
  Place at = TRY(TopDirectory());
  Place last;  // the directory that `at` was found in
  for (int links = 0; !names.empty();) {
    const bool shared = SharedByRoot(at.status);
    TRY(shared ? Result<void>() : CheckNotWritten(at));
    auto next = TRY(Open(at, names.front()));
    names.pop_front();
    TRY(shared ? CheckEntry(next) : Result<void>());
    if (S_ISLNK(next.status.st_mode)) {
      if (++links > kMostLinks) return FailErrno(ELOOP, "{}", path);
      char target[PATH_MAX + 1];
      const ssize_t size = ::readlinkat(next.fd.get(), "", target, sizeof target);
      if (size < 0) return FailErrno("{}", next.path);
      const std::string to(target, static_cast<std::size_t>(size));
      names.splice(names.begin(), Components(to));
      if (to.starts_with('/')) at = TRY(TopDirectory());
      continue;
    }
    TRY(CheckOwner(next));
    last = std::exchange(at, std::move(next));
  }
  TRY(CheckNotWritten(at));
  return TrustedFile{.file = std::move(at.fd),
                     .directory = std::move(last.fd),
                     .path = std::move(at.path),
                     .status = at.status};
}

}  // namespace

Result<TrustedFile> OpenTrusted(const std::string& path, uid_t besides_root) {
  return Walk(besides_root).To(path);
}

Result<std::string> ReadTrusted(const TrustedFile& file, std::size_t most) {
  if (!S_ISREG(file.status.st_mode)) return Fail(EINVAL, "{} is no regular file", file.path);
  const std::string name = fmt::format("/proc/self/fd/{}", file.file.get());
  const Fd opened(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  std::string bytes(most, '\0');
  std::size_t size = 0;
  while (opened && size < most) {
    const ssize_t got = ::read(opened.get(), bytes.data() + size, most - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno("{}", file.path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (!opened) return FailErrno("{}", file.path);
  bytes.resize(size);
  return bytes;
}

}  // namespace corral
