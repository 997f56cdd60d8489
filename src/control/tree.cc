#include "control/tree.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>  // RENAME_NOREPLACE
#include <optional>

#include "base/errors.h"
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
  if (!file.list) return kPage;
  std::uint64_t tasks = host.TaskCount();
  tasks += tasks / 4 + 256;  // those born until the file is opened
  return static_cast<off_t>((tasks * kLine / kPage + 1) * kPage);
}

// A file not longer than its block is one whose size `wc -c` and `tail -c` do not believe.
blksize_t BlockFor(off_t size) {
  return static_cast<blksize_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max(size, kPage))));
}

}  // namespace

Tree::Tree(Registry& registry, const Host& host)
    : registry_(registry), host_(host), files_(registry), attributes_(registry) {}

Result<Tree::Node> Tree::Locate(Inode inode) const {
  const auto facts = registry_.Facts(inode.cgroup());
  if (!facts) return Fail(ENOENT, "cgroup {} is gone", inode.cgroup().value);
  const ControlFiles::Row* const row = inode.is_directory() ? nullptr : files_.at(inode.row());
  if (!inode.is_directory() && (!row || !InScope(*row, *facts))) {
    return Fail(ENOENT, "no inode {:#x}", inode.number);
  }
  return Node{inode, *facts, DialectOf(facts->dialect), row};
}

Result<Tree::Node> Tree::LocateDirectory(Inode inode) const {
  if (!inode.is_directory()) return Fail(ENOTDIR, "inode {:#x} is a file", inode.number);
  return Locate(inode);
}

// ---- attributes

AsMade Tree::MadeAs(const Node& node) {
  if (!node.row) return {.mode = node.dialect.root_mode};
  const bool parents = node.row->file.writers == ControlFile::For::kParents;
  return {.mode = ModeOf(node.row->file, node.dialect),
          .owner = parents ? Inode::Directory(node.facts.parent) : Inode{}};
}

struct stat Tree::StatOf(const Node& node, nlink_t links, off_t size) const {
  const Inode inode = node.inode;
  const NodeAttr attr = attributes_.Get(inode, MadeAs(node));
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
  const auto node = TRY(Locate(inode));
  if (node.row) return StatOf(node, 1, SizeBound(node.row->file, host_));
  const auto children = TRY(registry_.ChildCount(inode.cgroup()));
  return StatOf(node, 2 + children, 0);
}

Result<struct stat> Tree::SetAttr(Inode inode, const AttrChange& change) {
  const auto node = TRY(Locate(inode));
  attributes_.Change(inode, MadeAs(node), change);
  auto now = GetAttr(inode);
  if (!now) Forget(inode.cgroup());  // removed meanwhile
  return now;
}

void Tree::TouchDirectory(const Node& directory) {
  attributes_.Touch(directory.inode, MadeAs(directory));
  const CgroupId cgroup = directory.inode.cgroup();
  if (!registry_.Exists(cgroup)) Forget(cgroup);  // removed meanwhile
}

void Tree::Forget(CgroupId cgroup) {
  attributes_.Forget(cgroup);
  lists_.Forget(cgroup);
}

// ---- directories

Result<Inode> Tree::Find(const Node& parent, std::string_view name) const {
  if (name.size() > parent.dialect.max_name) {
    return Fail(ENAMETOOLONG, "a name of {} bytes", name.size());
  }
  const CgroupId cgroup = parent.inode.cgroup();
  if (auto row = files_.Find(name, parent.facts)) {
    return Inode::File(cgroup, *row);
  }
  const auto child = TRY(registry_.Child(cgroup, name));
  return Inode::Directory(child);
}

Result<struct stat> Tree::Lookup(Inode parent, std::string_view name) const {
  const auto node = TRY(LocateDirectory(parent));
  auto inode = TRY(Find(node, name));
  return GetAttr(inode);
}

Result<struct stat> Tree::Mkdir(const Caller& caller, Inode parent, std::string_view name,
                                mode_t mode, MkdirOptions options) {
  const auto node = TRY(LocateDirectory(parent));
  TRY(CheckName(name, node.dialect));
  auto taken = Find(node, name);
  if (taken) return Fail(EEXIST, "'{}' exists", name);
  if (taken.error().code != ENOENT) return Fail(taken.error());

  mode_t kept = mode & ~caller.umask & (S_ISVTX | 0777);  // spec 4.2
  gid_t group = caller.gid;
  const NodeAttr above = attributes_.Get(parent, MadeAs(node));
  if (node.dialect.set_group_id && (above.mode & S_ISGID) != 0) {
    kept |= S_ISGID;
    group = above.gid;
  }
  auto made = attributes_.Create(caller.uid, group, kept, [&](std::string note) {
    options.note = std::move(note);
    return registry_.Mkdir(parent.cgroup(), name, options);
  });
  if (!made) return Fail(made.error());
  TouchDirectory(node);
  return GetAttr(Inode::Directory(*made));
}

Result<CgroupId> Tree::Rmdir(Inode parent, std::string_view name) {
  const auto node = TRY(LocateDirectory(parent));
  auto inode = TRY(Find(node, name));
  if (!inode.is_directory()) return Fail(ENOTDIR, "'{}' is a file", name);
  auto removed = registry_.Rmdir(parent.cgroup(), name);
  if (!removed) return removed;
  Forget(*removed);
  TouchDirectory(node);
  return removed;
}

Result<void> Tree::Unlink(Inode parent, std::string_view name) {
  const auto node = TRY(LocateDirectory(parent));
  auto inode = TRY(Find(node, name));
  if (inode.is_directory()) return Fail(EISDIR, "'{}' is a directory", name);
  return Fail(EPERM, "control files go with their cgroup only");
}

// Spec 5.5: directories only, to a name that is free, in the same directory.
Result<void> Tree::Rename(Inode parent, std::string_view name, Inode new_parent,
                          std::string_view new_name, unsigned flags) {
  const auto from = TRY(LocateDirectory(parent));
  const unsigned known = from.dialect.rename_takes_flags ? RENAME_NOREPLACE : 0;
  if ((flags & ~known) != 0) return Fail(EINVAL, "rename flags {:#x}", flags);
  const auto to = LocateDirectory(new_parent);
  if (!to) return Fail(to.error());
  if (auto valid = CheckName(new_name, from.dialect); !valid) return valid;
  auto inode = TRY(Find(from, name));
  if (!inode.is_directory()) return Fail(ENOTDIR, "'{}' is a control file", name);
  if (from.dialect.rename_looks_at_parent_first && parent != new_parent) {
    return Fail(EIO, "'{}' cannot go to another directory", name);
  }
  auto taken = Find(*to, new_name);
  if (taken) return Fail(EEXIST, "'{}' exists", new_name);
  if (taken.error().code != ENOENT) return Fail(taken.error());

  auto renamed = registry_.Rename(parent.cgroup(), name, new_parent.cgroup(), new_name);
  if (!renamed) return renamed;
  if (const auto node = Locate(inode)) {
    attributes_.TouchChangeTime(inode, MadeAs(*node));
  }
  if (!registry_.Exists(inode.cgroup())) Forget(inode.cgroup());  // removed meanwhile
  TouchDirectory(from);
  return {};
}

// Places in a listing: 1 after ".", 2 after "..", then one for each row, and one for each id.
Result<std::vector<DirEntry>> Tree::ReadDir(Inode inode, std::uint64_t from,
                                            std::size_t most) const {
  constexpr std::uint64_t kRows = 3, kChildren = 512;
  const auto node = LocateDirectory(inode);
  if (!node && node.error().code == ENOTDIR) return Fail(node.error());
  std::vector<DirEntry> entries;
  if (!node) return entries;
  const auto add = [&](std::string_view name, Inode entry, std::uint64_t place) {
    if (place <= from || entries.size() == most) return;
    entries.push_back({.name = std::string(name),
                       .ino = entry.number,
                       .is_directory = entry.is_directory(),
                       .next = place});
  };
  add(".", inode, 1);
  add("..", node->facts.is_root ? inode : Inode::Directory(node->facts.parent), 2);
  for (unsigned row = 0; row < files_.rows().size(); ++row) {
    if (!InScope(files_.rows()[row], node->facts)) continue;
    add(NameOf(files_.rows()[row], node->facts.noprefix), Inode::File(inode.cgroup(), row),
        kRows + row);
  }
  const CgroupId after{std::max(from, kChildren) - kChildren};
  const auto children = registry_.ChildrenAfter(inode.cgroup(), after, most - entries.size());
  if (!children) return std::vector<DirEntry>();  // removed meanwhile
  for (const auto& [name, child] : *children) {
    add(name, Inode::Directory(child), kChildren + child.value);
  }
  return entries;
}

// ---- files

bool Tree::MayReach(const Credentials& who, CgroupId cgroup) const {
  const auto facts = registry_.Facts(cgroup);
  if (!facts) return false;
  const AsMade made{.mode = DialectOf(facts->dialect).root_mode};
  return std::ranges::all_of(registry_.Above(cgroup), [&](CgroupId up) {
    return Permits(attributes_.Get(Inode::Directory(up), made), who, X_OK);
  });
}

// Asked when a file is opened: later the opener may be gone, or be somebody else (spec 8.3).
bool Tree::MayWrite(const Caller& opener, const Node& node) const {
  using For = ControlFile::For;
  if (node.row->file.writers == For::kOpeners) return true;
  const Credentials who = host_.CredentialsOf(opener.tid, opener.uid, opener.gid);
  if (node.row->file.writers == For::kAdmins) return who.Has(Credentials::kSysAdmin);
  const Inode above = Inode::Directory(node.facts.parent);
  return Permits(attributes_.Get(above, {.mode = node.dialect.root_mode}), who, W_OK);
}

std::vector<DirEntry> Tree::SubsystemFiles(CgroupId cgroup) const {
  std::vector<DirEntry> entries;
  const auto node = LocateDirectory(Inode::Directory(cgroup));
  if (!node) return entries;
  for (unsigned number = 0; number < files_.rows().size(); ++number) {
    const ControlFiles::Row& row = files_.rows()[number];
    if (!row.subsystem || !row.file.read || !InScope(row, node->facts)) continue;
    entries.push_back({std::string(NameOf(row, node->facts.noprefix)),
                       Inode::File(cgroup, number).number, false});
  }
  return entries;
}

Result<std::unique_ptr<OpenFile>> Tree::Open(const Caller& opener, Inode inode, bool readable) {
  if (inode.is_directory()) return Fail(EISDIR, "inode {:#x} is a directory", inode.number);
  if (!registry_.Exists(inode.cgroup())) {
    return Fail(ENODEV, "cgroup {} is gone", inode.cgroup().value);
  }
  const auto node = TRY(Locate(inode));
  const ControlFiles::Row& row = *node.row;
  std::shared_ptr<Css> css;
  if (row.subsystem) {
    css = registry_.CssOf(inode.cgroup(), *row.subsystem);
    if (!css) return Fail(ENODEV, "cgroup {} is gone", inode.cgroup().value);
  }
  auto file = std::make_unique<OpenFile>(ControlContext{.registry = registry_,
                                                        .host = host_,
                                                        .dialect = node.dialect,
                                                        .cgroup = inode.cgroup(),
                                                        .opener = opener,
                                                        .opener_may = MayWrite(opener, node)},
                                         row, std::move(css), lists_, budget_.For(opener.uid));
  TRY(file->Begin());
  if (readable) {
    if (auto loaded = file->Load(); !loaded) return Fail(loaded.error());
  }
  return file;
}

Result<void> Tree::SyncDirectory(Inode inode) const {
  const auto node = LocateDirectory(inode);
  if (node && !node->dialect.directories_sync) return Fail(EINVAL, "a directory cannot be synced");
  return {};
}

Result<std::vector<Tgid>> Tree::Kill(CgroupId cgroup) {
  return KillSubtree(registry_, host_, cgroup);
}

}  // namespace corral
