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

off_t SizeBound(const ControlFile& file, const Machine& machine) {
  if (!file.list) return kPage;
  std::uint64_t tasks = machine.TaskCount();
  tasks += tasks / 4 + 256;  // those born until the file is opened
  return static_cast<off_t>((tasks * kLine / kPage + 1) * kPage);
}

// A file not longer than its block is one whose size `wc -c` and `tail -c` do not believe.
blksize_t BlockFor(off_t size) {
  return static_cast<blksize_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max(size, kPage))));
}

// Whether a directory lets him do what `want` says (R_OK, W_OK, X_OK).
bool Permits(const NodeAttr& directory, const Dialect& dialect, const Credentials& who, int want) {
  if (who.Has(Credentials::kDacOverride)) return true;
  if (who.Has(Credentials::kDacReadSearch) && (want & W_OK) == 0) return true;
  const auto mode = static_cast<int>(directory.mode.value_or(dialect.root_mode));
  const int shift = who.uid == directory.uid ? 6 : who.InGroup(directory.gid) ? 3 : 0;
  return ((mode >> shift) & want) == want;
}

}  // namespace

Tree::Tree(Registry& registry, const Machine& machine)
    : registry_(registry), machine_(machine), files_(registry) {}

// ---- nodes

Result<Tree::Node> Tree::NodeIn(DirectoryView cgroup, Inode inode) const {
  const Dialect& dialect = DialectOf(cgroup.facts.dialect);
  const ControlFiles::Row* const row = inode.is_directory() ? nullptr : files_.at(inode.row());
  if (!inode.is_directory() && (!row || !InScope(*row, cgroup.facts))) {
    return Fail(ENOENT, "no inode {:#x}", inode.number);
  }
  return Node{std::move(cgroup), dialect, row, inode};
}

Result<Tree::Node> Tree::Locate(Inode inode) const {
  return NodeIn(TRY(registry_.View(inode.cgroup())), inode);
}

Result<Tree::Node> Tree::LocateDirectory(Inode inode) const {
  if (!inode.is_directory()) return Fail(ENOTDIR, "inode {:#x} is a file", inode.number);
  return Locate(inode);
}

Result<Tree::Entry> Tree::LocateEntry(Inode directory, std::string_view name) const {
  if (!directory.is_directory()) return Fail(ENOTDIR, "inode {:#x} is a file", directory.number);
  auto found = TRY(registry_.Lookup(directory.cgroup(), name));
  auto parent = TRY(NodeIn(std::move(found.parent), directory));
  auto node = [&]() -> Result<Node> {
    if (name.size() > parent.dialect.max_name) {
      return Fail(ENAMETOOLONG, "a name of {} bytes", name.size());
    }
    if (const auto row = files_.Find(name, parent.cgroup.facts)) {
      return NodeIn(parent.cgroup, Inode::File(parent.cgroup.id, *row));
    }
    if (!found.child) return Fail(ENOENT, "nothing is named '{}'", name);
    const Inode inode = Inode::Directory(found.child->id);
    return NodeIn(*std::move(found.child), inode);
  }();
  return Entry{std::move(parent), std::move(node)};
}

// ---- attributes

struct stat Tree::StatOf(const Node& node) const {
  NodeAttr attr = node.cgroup.attributes.AsMade();
  mode_t mode = node.dialect.root_mode;
  if (node.row) {
    mode = ModeOf(node.row->file, node.dialect);
    if (node.row->file.writers == ControlFile::For::kParents) {
      attr.uid = node.cgroup.above.uid;
      attr.gid = node.cgroup.above.gid;
    }
  }
  if (const AttrChange* const changes = node.cgroup.attributes.ChangesOf(node.inode.slot())) {
    attr.Apply(*changes);
  }
  struct stat out {};
  out.st_ino = node.inode.number;
  out.st_mode = attr.mode.value_or(mode) | (node.row ? S_IFREG : S_IFDIR);
  out.st_nlink = node.row ? 1 : 2 + node.cgroup.children;
  out.st_uid = attr.uid;
  out.st_gid = attr.gid;
  out.st_size = node.row ? SizeBound(node.row->file, machine_) : 0;
  out.st_blksize = BlockFor(out.st_size);
  out.st_atim = attr.atime;
  out.st_mtim = attr.mtime;
  out.st_ctim = attr.ctime;
  return out;
}

Result<struct stat> Tree::GetAttr(Inode inode) const { return StatOf(TRY(Locate(inode))); }

Result<struct stat> Tree::SetAttr(Inode inode, const AttrChange& change) {
  auto node = TRY(Locate(inode));
  node.cgroup = TRY(registry_.SetAttributes(inode.cgroup(), inode.slot(), change));
  return StatOf(node);
}

void Tree::Forget(CgroupId cgroup) { lists_.Forget(cgroup); }

// ---- directories

Result<struct stat> Tree::Lookup(Inode parent, std::string_view name) const {
  return StatOf(TRY(TRY(LocateEntry(parent, name)).node));
}

Result<struct stat> Tree::Mkdir(const Caller& caller, Inode parent, std::string_view name,
                                mode_t mode, MkdirOptions options) {
  const auto [above, taken] = TRY(LocateEntry(parent, name));
  TRY(CheckName(name, above.dialect));
  if (taken) return Fail(EEXIST, "'{}' exists", name);
  if (taken.error().code != ENOENT) return Fail(taken.error());

  options.uid = caller.uid;
  options.gid = caller.gid;
  options.mode = mode & ~caller.umask & (S_ISVTX | 0777);  // spec 4.2
  const NodeAttr attr = above.cgroup.attributes.Of(Attributes::kDirectory);
  if (above.dialect.set_group_id && (attr.mode.value_or(0) & S_ISGID) != 0) {
    *options.mode |= S_ISGID;
    options.gid = attr.gid;
  }
  const CgroupId made = TRY(registry_.Mkdir(parent.cgroup(), name, options));
  return GetAttr(Inode::Directory(made));
}

Result<CgroupId> Tree::Rmdir(Inode parent, std::string_view name) {
  const auto node = TRY(TRY(LocateEntry(parent, name)).node);
  if (node.row) return Fail(ENOTDIR, "'{}' is a file", name);
  const CgroupId removed = TRY(registry_.Rmdir(parent.cgroup(), name));
  Forget(removed);
  return removed;
}

Result<void> Tree::Unlink(Inode parent, std::string_view name) {
  const auto node = TRY(TRY(LocateEntry(parent, name)).node);
  if (!node.row) return Fail(EISDIR, "'{}' is a directory", name);
  return Fail(EPERM, "control files go with their group only");
}

// Spec 5.5: directories only, to a name that is free, in the same directory.
Result<void> Tree::Rename(Inode parent, std::string_view name, Inode new_parent,
                          std::string_view new_name, unsigned flags) {
  const auto from = TRY(LocateEntry(parent, name));
  const Dialect& dialect = from.parent.dialect;
  const unsigned known = dialect.rename_takes_flags ? RENAME_NOREPLACE : 0;
  if ((flags & ~known) != 0) return Fail(EINVAL, "rename flags {:#x}", flags);
  const auto to = TRY(LocateEntry(new_parent, new_name));
  TRY(CheckName(new_name, dialect));
  if (!from.node) return Fail(from.node.error());
  if (from.node->row) return Fail(ENOTDIR, "'{}' is a control file", name);
  if (dialect.rename_looks_at_parent_first && parent != new_parent) {
    return Fail(EIO, "'{}' cannot go to another directory", name);
  }
  if (to.node) return Fail(EEXIST, "'{}' exists", new_name);
  if (to.node.error().code != ENOENT) return Fail(to.node.error());
  return registry_.Rename(parent.cgroup(), name, new_parent.cgroup(), new_name);
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
  const CgroupFacts& facts = node->cgroup.facts;
  add("..", facts.is_root() ? inode : Inode::Directory(facts.parent), 2);
  for (unsigned row = 0; row < files_.rows().size(); ++row) {
    if (!InScope(files_.rows()[row], facts)) continue;
    add(NameOf(files_.rows()[row], facts.noprefix), Inode::File(inode.cgroup(), row), kRows + row);
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
  const Dialect& dialect = DialectOf(facts->dialect);
  return std::ranges::all_of(registry_.DirectoriesAbove(cgroup), [&](const NodeAttr& directory) {
    return Permits(directory, dialect, who, X_OK);
  });
}

// Asked when a file is opened: later the opener may be gone, or be somebody else (spec 8.3).
bool Tree::MayWrite(const Caller& opener, const Node& node) const {
  using For = ControlFile::For;
  if (node.row->file.writers == For::kOpeners) return true;
  const Credentials who = machine_.CredentialsOf(opener.tid, opener.uid, opener.gid);
  if (node.row->file.writers == For::kAdmins) return who.Has(Credentials::kSysAdmin);
  return Permits(node.cgroup.above, node.dialect, who, W_OK);
}

std::vector<DirEntry> Tree::SubsystemFiles(CgroupId cgroup) const {
  std::vector<DirEntry> entries;
  const auto node = LocateDirectory(Inode::Directory(cgroup));
  if (!node) return entries;
  for (unsigned number = 0; number < files_.rows().size(); ++number) {
    const ControlFiles::Row& row = files_.rows()[number];
    const CgroupFacts& facts = node->cgroup.facts;
    if (!row.subsystem || !row.file.read || !InScope(row, facts)) continue;
    entries.push_back(
        {std::string(NameOf(row, facts.noprefix)), Inode::File(cgroup, number).number, false});
  }
  return entries;
}

Result<std::unique_ptr<OpenFile>> Tree::Open(const Caller& opener, Inode inode, bool readable) {
  if (inode.is_directory()) return Fail(EISDIR, "inode {:#x} is a directory", inode.number);
  auto cgroup = registry_.View(inode.cgroup());
  if (!cgroup) return Fail(ENODEV, "group {} is gone", inode.cgroup().value);
  const auto node = TRY(NodeIn(*std::move(cgroup), inode));
  const ControlFiles::Row& row = *node.row;
  std::shared_ptr<Css> css;
  if (row.subsystem) {
    css = registry_.CssOf(inode.cgroup(), *row.subsystem);
    if (!css) return Fail(ENODEV, "group {} is gone", inode.cgroup().value);
  }
  auto file = std::make_unique<OpenFile>(ControlContext{.registry = registry_,
                                                        .machine = machine_,
                                                        .dialect = node.dialect,
                                                        .cgroup = inode.cgroup(),
                                                        .opener = opener,
                                                        .opener_may = MayWrite(opener, node)},
                                         row, std::move(css), lists_, budget_.For(opener.uid));
  TRY(file->Begin());
  if (readable) TRY(file->Load());
  return file;
}

Result<void> Tree::SyncDirectory(Inode inode) const {
  const auto node = LocateDirectory(inode);
  if (node && !node->dialect.directories_sync) return Fail(EINVAL, "a directory cannot be synced");
  return {};
}

Result<std::vector<Tgid>> Tree::Kill(CgroupId cgroup) {
  return KillSubtree(registry_, machine_, cgroup);
}

}  // namespace corral
