// Nodes and names; descriptors are in file_operations.cc.
#include "fuse/operations.h"

#include <sys/stat.h>

#include <cerrno>
#include <optional>

#include "fuse/file_operations.h"
#include "fuse/request.h"
#include "fuse/survives.h"

namespace corral {
namespace {

// Nothing is cached: a hierarchy may have more mounts than one, and each must show at once
// what was done through the others.
constexpr double kTimeout = 0;

void ReplyEntry(fuse_req_t req, const Result<struct stat>& found) {
  if (!found) {
    fuse_reply_err(req, found.error().code);
    return;
  }
  fuse_entry_param entry{};
  entry.ino = NodeOf(req, Inode{found->st_ino});
  entry.generation = 1;
  entry.attr = *found;
  entry.attr_timeout = kTimeout;
  entry.entry_timeout = kTimeout;
  fuse_reply_entry(req, &entry);
}

template <typename T>
void ReplyStatus(fuse_req_t req, const Result<T>& done) {
  fuse_reply_err(req, done ? 0 : done.error().code);
}

// ---- nodes

void Init(void*, fuse_conn_info* connection) {
  connection->want |= connection->capable & FUSE_CAP_DONT_MASK;  // the umask comes with mkdir
  // The kernel takes set-user-ID bits away by itself, as for any file system.
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_HANDLE_KILLPRIV);
}

void Lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  ReplyEntry(req, Mounted(req).tree.Lookup(InodeOf(req, parent), name));
}

// The kernel asks about nodes it holds. One that is not there any more was removed, and a
// descriptor on it can still be looked at.
struct stat RemovedNode(Inode inode) {
  struct stat out {};
  out.st_ino = inode.number;
  out.st_mode = inode.is_directory() ? S_IFDIR | 0755 : S_IFREG | 0644;
  out.st_nlink = inode.is_directory() ? 0 : 1;
  return out;
}

// With `info` this is lseek(SEEK_END) asking: fstat does not pass it.
void GetAttr(fuse_req_t req, fuse_ino_t node, fuse_file_info* info) {
  MountedTree& mounted = Mounted(req);
  const Inode inode = InodeOf(req, node);
  const auto found = mounted.tree.GetAttr(inode);
  struct stat attr = found ? *found : RemovedNode(inode);
  if (info) {
    const auto size = mounted.kept_sizes.Longest(node);
    if (size) attr.st_size = static_cast<off_t>(*size);
  }
  fuse_reply_attr(req, &attr, kTimeout);
}

std::optional<timespec> TimeOf(int to_set, int now_flag, int flag, const timespec& given) {
  timespec now;
  if (to_set & now_flag) {
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now;
  }
  if (to_set & flag) return given;
  return std::nullopt;
}

// A change of size succeeds and has no effect (spec 4.5).
void SetAttr(fuse_req_t req, fuse_ino_t node, struct stat* to, int to_set, fuse_file_info*) {
  AttrChange change;
  if (to_set & FUSE_SET_ATTR_MODE) change.mode = to->st_mode;
  if (to_set & FUSE_SET_ATTR_UID) change.uid = to->st_uid;
  if (to_set & FUSE_SET_ATTR_GID) change.gid = to->st_gid;
  change.atime = TimeOf(to_set, FUSE_SET_ATTR_ATIME_NOW, FUSE_SET_ATTR_ATIME, to->st_atim);
  change.mtime = TimeOf(to_set, FUSE_SET_ATTR_MTIME_NOW, FUSE_SET_ATTR_MTIME, to->st_mtim);
  const bool changes = change.mode || change.uid || change.gid || change.atime || change.mtime;

  Tree& tree = Mounted(req).tree;
  const Inode inode = InodeOf(req, node);
  const auto attr = changes ? tree.SetAttr(inode, change) : tree.GetAttr(inode);
  const struct stat now = attr ? *attr : RemovedNode(inode);  // through a held descriptor
  fuse_reply_attr(req, &now, kTimeout);
}

// ---- names

void Mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  ReplyEntry(req, Mounted(req).tree.Mkdir(CallerOf(req), InodeOf(req, parent), name, mode));
}

void Rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  ReplyStatus(req, Mounted(req).tree.Rmdir(InodeOf(req, parent), name));
}

void Unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  ReplyStatus(req, Mounted(req).tree.Unlink(InodeOf(req, parent), name));
}

void Rename(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned flags) {
  ReplyStatus(req, Mounted(req).tree.Rename(InodeOf(req, parent), name, InodeOf(req, new_parent),
                                            new_name, flags));
}

// Nothing but cgroups can be made (spec 5.4).
void Symlink(fuse_req_t req, const char*, fuse_ino_t, const char*) { fuse_reply_err(req, EPERM); }

void Link(fuse_req_t req, fuse_ino_t, fuse_ino_t, const char*) { fuse_reply_err(req, EPERM); }

void Mknod(fuse_req_t req, fuse_ino_t, const char*, mode_t mode, dev_t) {
  fuse_reply_err(req, S_ISREG(mode) ? EACCES : EPERM);
}

void Create(fuse_req_t req, fuse_ino_t, const char*, mode_t, fuse_file_info*) {
  fuse_reply_err(req, EACCES);
}

// No xattr, statfs, ioctl, fallocate: the kernel's own answers are right.
fuse_lowlevel_ops MakeOperations() {
  fuse_lowlevel_ops operations{};
  operations.init = Init;
  operations.lookup = Survives<Lookup>;
  operations.forget = Forget;
  operations.forget_multi = ForgetMulti;
  operations.getattr = Survives<GetAttr>;
  operations.setattr = Survives<SetAttr>;
  operations.mkdir = Survives<Mkdir>;
  operations.rmdir = Survives<Rmdir>;
  operations.unlink = Survives<Unlink>;
  operations.rename = Survives<Rename>;
  operations.symlink = Survives<Symlink>;
  operations.link = Survives<Link>;
  operations.mknod = Survives<Mknod>;
  operations.create = Survives<Create>;
  AddFileOperations(&operations);
  return operations;
}

}  // namespace

const fuse_lowlevel_ops& Operations() {
  static const fuse_lowlevel_ops kOperations = MakeOperations();
  return kOperations;
}

}  // namespace corral
