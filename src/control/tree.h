// Tree: the registry's cgroups as directories and files. Knows names, modes, owners, bytes
// and errnos; knows nothing of FUSE. One Tree serves every mount and the daemon's socket.
//
// Any thread. Modes and owners are kept by the registry, with each cgroup, and enforced by the
// kernel (default_permissions); what goes beyond modes (spec 8.2, 8.4) is enforced here.
//
//   auto dir = tree.Mkdir(caller, Inode::Directory(root), "job", 0755);
//   auto tasks = tree.Lookup(Inode{dir->st_ino}, "tasks");
//   auto file = tree.Open(caller, Inode{tasks->st_ino}, /*readable=*/false);
//   (*file)->Write(caller, "0");     // moves the calling thread
#ifndef CORRAL_CONTROL_TREE_H_
#define CORRAL_CONTROL_TREE_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/control_file.h"
#include "control/inode.h"
#include "control/open_budget.h"
#include "control/open_file.h"

namespace corral {

struct DirEntry {
  std::string name;
  std::uint64_t ino;
  bool is_directory;
  bool is_link = false;
  std::uint64_t next = 0;  // where a listing goes on after it
};

class Tree {
 public:
  Tree(Registry& registry, const Machine& machine);

  // Directories. Errors: spec 5. `stat` results have st_ino, st_mode, st_nlink, st_uid,
  // st_gid, st_size and times filled in.
  Result<struct stat> Lookup(Inode parent, std::string_view name) const;  // ENOENT
  Result<struct stat> GetAttr(Inode inode) const;                         // ENOENT
  Result<struct stat> SetAttr(Inode inode, const AttrChange& change);
  Result<struct stat> Mkdir(const Caller& caller, Inode parent, std::string_view name, mode_t mode,
                            MkdirOptions options = {});
  Result<CgroupId> Rmdir(Inode parent, std::string_view name);
  Result<void> Unlink(Inode parent, std::string_view name);  // always an error (spec 5.3)
  Result<void> Rename(Inode parent, std::string_view name, Inode new_parent,
                      std::string_view new_name, unsigned flags);
  // At most so many entries from `from` on: 0, or the `next` of one that was listed before. Places
  // are by id, so whoever is there all the time is listed once, whatever comes and goes. "." and
  // ".." included. Empty at the end, and for a removed directory (spec 5.6).
  Result<std::vector<DirEntry>> ReadDir(Inode inode, std::uint64_t from = 0,
                                        std::size_t most = SIZE_MAX) const;

  // The readable files that subsystems added to it.
  std::vector<DirEntry> SubsystemFiles(CgroupId cgroup) const;

  // EINVAL in some dialects.
  Result<void> SyncDirectory(Inode inode) const;

  // ENODEV when a file's cgroup is gone, ENOENT for an inode that never was; EMFILE: OpenBudget.
  Result<std::unique_ptr<OpenFile>> Open(const Caller& opener, Inode inode, bool readable);

  // SIGKILL to every process with a member in the subtree (spec 4.6). Returns the processes.
  Result<std::vector<Tgid>> Kill(CgroupId cgroup);

  // Whether all directories above a cgroup let him through (spec 12.2).
  bool MayReach(const Credentials& who, CgroupId cgroup) const;
  OpenBudget& budget() const { return budget_; }

  // Forgets what is kept about a cgroup that is gone.
  void Forget(CgroupId cgroup);

  Registry& registry() const { return registry_; }
  const Machine& machine() const { return machine_; }

 private:
  // A node that was there when it was looked at: of a cgroup that lived, and with a file that its
  // dialect has.
  struct Node {
    DirectoryView cgroup;
    const Dialect& dialect;
    const ControlFiles::Row* row = nullptr;  // null: the directory
    Inode inode = Inode::Directory(cgroup.id);
  };
  // One look at the registry each. ENOENT; ENOTDIR: a file where a directory is asked for.
  Result<Node> Locate(Inode inode) const;
  Result<Node> LocateDirectory(Inode inode) const;
  struct Entry {
    Node parent;
    Result<Node> node;  // ENOENT: nothing has this name; ENAMETOOLONG: nothing could
  };
  Result<Entry> LocateEntry(Inode parent, std::string_view name) const;
  Result<Node> NodeIn(DirectoryView cgroup, Inode inode) const;  // ENOENT
  bool MayWrite(const Caller& opener, const Node& node) const;
  struct stat StatOf(const Node& node) const;

  Registry& registry_;
  const Machine& machine_;
  const ControlFiles files_;  // of the subsystems that were registered before the tree was made
  SharedLists lists_;
  mutable OpenBudget budget_;
};

}  // namespace corral

#endif  // CORRAL_CONTROL_TREE_H_
