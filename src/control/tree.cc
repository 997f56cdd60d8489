#include "control/tree.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>  // RENAME_NOREPLACE
#include <optional>

#include "control/kill.h"
#include "control/parse.h"

namespace corral {
namespace {

// The kernel's own control files have size 0. Through FUSE sendfile, splice and cp copy no
// more than the size says and stop at the true end, so it is a bound: whole pages, and found
// at little cost, because every path walk asks.
constexpr off_t kPage = 4096;
constexpr std::uint64_t kLine = 8;  // the kernel's tids have seven digits at most

off_t SizeBound(const ControlFile& file, const Host& host) {
  if (file.length == Length::kShort) return kPage;
  std::uint64_t tasks = host.TaskCount();
  tasks += tasks / 4 + 256;  // those born until the file is opened
  return static_cast<off_t>((tasks * kLine / kPage + 1) * kPage);
}

// A file not longer than its block is one whose size `wc -c` and `tail -c` do not believe.
blksize_t BlockFor(off_t size) {
  return static_cast<blksize_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max(size, kPage))));
}

std::optional<unsigned> RowNamed(std::string_view name, bool is_root) {
  const auto files = ControlFiles();
  for (unsigned row = 0; row < files.size(); ++row) {
    if (files[row].name == name && InScope(files[row], is_root)) return row;
  }
  return std::nullopt;
}

bool IsRow(Inode inode, bool is_root) {
  return inode.row() < ControlFiles().size() && InScope(ControlFiles()[inode.row()], is_root);
}

}  // namespace

Tree::Tree(Registry& registry, const Host& host) : registry_(registry), host_(host) {}

ControlContext Tree::ContextFor(CgroupId cgroup) const {
  return {.registry = registry_, .host = host_, .dialect = DefaultDialect(), .cgroup = cgroup};
}

// ---- attributes

mode_t Tree::ModeAsMade(Inode inode) const {
  const Dialect& dialect = ContextFor(inode.cgroup()).dialect;
  return inode.is_directory() ? dialect.root_mode : ModeOf(ControlFiles()[inode.row()], dialect);
}

struct stat Tree::StatOf(Inode inode, nlink_t links, off_t size) const {
  const NodeAttr attr = attributes_.Get(inode, ModeAsMade(inode));
  struct stat out {};
  out.st_ino = inode.number;
  out.st_mode = attr.mode | (inode.is_directory() ? S_IFDIR : S_IFREG);
  out.st_nlink = links;
  out.st_uid = attr.uid;
  out.st_gid = attr.gid;
  out.st_size = size;
  out.st_blksize = BlockFor(size);
  out.st_atim = attr.atime;
  out.st_mtim = attr.mtime;
  out.st_ctim = attr.ctime;
  return out;
}

Result<struct stat> Tree::GetAttr(Inode inode) const {
  if (inode.is_directory()) {
    auto children = registry_.ChildCount(inode.cgroup());
    if (!children) return Fail(children.error());
    return StatOf(inode, 2 + *children, 0);
  }
  if (!registry_.Exists(inode.cgroup()) || !IsRow(inode, registry_.IsRoot(inode.cgroup()))) {
    return Fail(ENOENT, "no inode {:#x}", inode.number);
  }
  return StatOf(inode, 1, SizeBound(ControlFiles()[inode.row()], host_));
}

Result<struct stat> Tree::SetAttr(Inode inode, const AttrChange& change) {
  if (auto there = GetAttr(inode); !there) return there;
  attributes_.Change(inode, ModeAsMade(inode), change);
  auto now = GetAttr(inode);
  if (!now) Forget(inode.cgroup());  // removed meanwhile
  return now;
}

void Tree::TouchDirectory(Inode directory) {
  attributes_.Touch(directory, ModeAsMade(directory));
  if (!registry_.Exists(directory.cgroup())) Forget(directory.cgroup());  // removed meanwhile
}

void Tree::Forget(CgroupId cgroup) { attributes_.Forget(cgroup); }

// ---- directories

Result<Inode> Tree::Find(Inode parent, std::string_view name) const {
  if (!parent.is_directory()) return Fail(ENOTDIR, "inode {:#x} is a file", parent.number);
  if (!registry_.Exists(parent.cgroup())) {
    return Fail(ENOENT, "cgroup {} is gone", parent.cgroup().value);
  }
  if (name.size() > kMaxName) return Fail(ENAMETOOLONG, "a name of {} bytes", name.size());
  if (auto row = RowNamed(name, registry_.IsRoot(parent.cgroup()))) {
    return Inode::File(parent.cgroup(), *row);
  }
  const auto child = registry_.Child(parent.cgroup(), name);
  if (!child) return Fail(child.error());
  return Inode::Directory(*child);
}

Result<struct stat> Tree::Lookup(Inode parent, std::string_view name) const {
  auto inode = Find(parent, name);
  if (!inode) return Fail(inode.error());
  return GetAttr(*inode);
}

Result<struct stat> Tree::Mkdir(const Caller& caller, Inode parent, std::string_view name,
                                mode_t mode, MkdirOptions options) {
  if (auto valid = CheckName(name, ContextFor(parent.cgroup()).dialect); !valid) {
    return Fail(valid.error());
  }
  auto taken = Find(parent, name);
  if (taken) return Fail(EEXIST, "'{}' exists", name);
  if (taken.error().code != ENOENT) return Fail(taken.error());

  const mode_t kept = mode & ~caller.umask & (S_ISVTX | 0777);  // spec 4.2
  auto made = attributes_.Create(caller.uid, caller.gid, kept,
                                 [&] { return registry_.Mkdir(parent.cgroup(), name, options); });
  if (!made) return Fail(made.error());
  TouchDirectory(parent);
  return GetAttr(Inode::Directory(*made));
}

Result<CgroupId> Tree::Rmdir(Inode parent, std::string_view name) {
  auto inode = Find(parent, name);
  if (!inode) return Fail(inode.error());
  if (!inode->is_directory()) return Fail(ENOTDIR, "'{}' is a file", name);
  auto removed = registry_.Rmdir(parent.cgroup(), name);
  if (!removed) return removed;
  Forget(*removed);
  TouchDirectory(parent);
  return removed;
}

Result<void> Tree::Unlink(Inode parent, std::string_view name) {
  auto inode = Find(parent, name);
  if (!inode) return Fail(inode.error());
  if (inode->is_directory()) return Fail(EISDIR, "'{}' is a directory", name);
  return Fail(EPERM, "control files go with their cgroup only");
}

Result<void> Tree::Rename(Inode parent, std::string_view name, Inode new_parent,
                          std::string_view new_name, unsigned flags) {
  if ((flags & ~unsigned{RENAME_NOREPLACE}) != 0) return Fail(EINVAL, "rename flags {:#x}", flags);
  if (auto valid = CheckName(new_name, ContextFor(parent.cgroup()).dialect); !valid) return valid;
  auto inode = Find(parent, name);
  if (!inode) return Fail(inode.error());
  if (!inode->is_directory()) return Fail(ENOTDIR, "'{}' is a control file", name);
  auto taken = Find(new_parent, new_name);
  if (taken) return Fail(EEXIST, "'{}' exists", new_name);
  if (taken.error().code != ENOENT) return Fail(taken.error());

  auto renamed = registry_.Rename(parent.cgroup(), name, new_parent.cgroup(), new_name);
  if (!renamed) return renamed;
  attributes_.TouchChangeTime(*inode, ModeAsMade(*inode));
  if (!registry_.Exists(inode->cgroup())) Forget(inode->cgroup());  // removed meanwhile
  TouchDirectory(parent);
  return {};
}

Result<std::vector<DirEntry>> Tree::ReadDir(Inode inode) const {
  if (!inode.is_directory()) return Fail(ENOTDIR, "inode {:#x} is a file", inode.number);
  std::vector<DirEntry> entries;
  const auto info = registry_.Info(inode.cgroup());
  const auto children = registry_.Children(inode.cgroup());
  if (!info || !children) return entries;

  const bool is_root = info->parent == CgroupId{};
  const Inode up = is_root ? inode : Inode::Directory(info->parent);
  entries.push_back({".", inode.number, true});
  entries.push_back({"..", up.number, true});
  const auto files = ControlFiles();
  for (unsigned row = 0; row < files.size(); ++row) {
    if (!InScope(files[row], is_root)) continue;
    entries.push_back(
        {std::string(files[row].name), Inode::File(inode.cgroup(), row).number, false});
  }
  for (const auto& [name, child] : *children) {
    entries.push_back({name, Inode::Directory(child).number, true});
  }
  return entries;
}

// ---- files

Result<std::unique_ptr<OpenFile>> Tree::Open(Inode inode, bool readable) {
  if (inode.is_directory()) return Fail(EISDIR, "inode {:#x} is a directory", inode.number);
  if (!registry_.Exists(inode.cgroup())) {
    return Fail(ENODEV, "cgroup {} is gone", inode.cgroup().value);
  }
  if (!IsRow(inode, registry_.IsRoot(inode.cgroup()))) {
    return Fail(ENOENT, "no inode {:#x}", inode.number);
  }
  auto file = std::make_unique<OpenFile>(ContextFor(inode.cgroup()), ControlFiles()[inode.row()]);
  if (readable) {
    if (auto loaded = file->Load(); !loaded) return Fail(loaded.error());
  }
  return file;
}

Result<std::vector<Tgid>> Tree::Kill(CgroupId cgroup) {
  return KillSubtree(registry_, host_, cgroup);
}

}  // namespace corral
