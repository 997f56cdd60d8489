// Attributes: owners, modes and times of directories and control files.
//
// Kept for as long as a cgroup lives, by its id, so renames change nothing (spec 4.4), and across
// a crash of the daemon as the registry's notes. Owned by the Tree; any thread.
//
//   attributes.Create(1000, 1000, 0755, [&](std::string note) { return registry.Mkdir(...); });
//   attributes.Change(Inode::Directory(id), {.mode = 0700});
#ifndef CORRAL_CONTROL_ATTRIBUTES_H_
#define CORRAL_CONTROL_ATTRIBUTES_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <sys/types.h>
#include <time.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/mutex.h"
#include "control/host.h"
#include "control/inode.h"
#include "core/registry.h"

namespace corral {

struct NodeAttr {
  mode_t mode = 0;  // permission bits only
  uid_t uid = 0;
  gid_t gid = 0;
  timespec atime{}, mtime{}, ctime{};
};

// What chmod, chown and utimes may change; unset members stay.
struct AttrChange {
  std::optional<mode_t> mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<timespec> atime;
  std::optional<timespec> mtime;
};

// What a node has until it is changed.
struct AsMade {
  mode_t mode = 0;
  Inode owner =
      {};  // a directory whose owner it has, also later; 0: the cgroup's maker is its owner
};

// Whether a directory lets him do what `want` says (R_OK, W_OK, X_OK).
bool Permits(const NodeAttr& directory, const Credentials& who, int want);

class Attributes {
 public:
  // Takes over what the registry has kept of an earlier process's.
  explicit Attributes(Registry& registry);

  // A directory made by `uid`, `gid` with `mode`; its files will be theirs too (spec 4.2).
  // `make` makes the cgroup, with this note, and runs under our lock, so that nobody can see it
  // before its owner is known. It may take the registry's locks.
  Result<CgroupId> Create(uid_t uid, gid_t gid, mode_t mode,
                          const std::function<Result<CgroupId>(std::string note)>& make)
      EXCLUDES(attr_mu_);

  // What Create() never saw (the roots, and what the library made) is root's, from when this object
  // was made.
  NodeAttr Get(Inode inode, AsMade made) const EXCLUDES(attr_mu_);
  NodeAttr Change(Inode inode, AsMade made, const AttrChange& change) EXCLUDES(attr_mu_);

  // An entry of this directory came, went or changed its name.
  void Touch(Inode directory, AsMade made) EXCLUDES(attr_mu_);
  // The node itself was renamed.
  void TouchChangeTime(Inode directory, AsMade made) EXCLUDES(attr_mu_);

  // The cgroup is gone.
  void Forget(CgroupId cgroup) EXCLUDES(attr_mu_);

 private:
  struct CgroupAttr {
    NodeAttr made;  // owner and times every node of the cgroup began with
    std::unordered_map<std::uint64_t, NodeAttr> changed;  // by slot
  };
  static std::string NoteOf(const CgroupAttr& attr);
  static std::optional<CgroupAttr> FromNote(std::string_view note);
  NodeAttr RawLocked(Inode inode, AsMade made) const REQUIRES(attr_mu_);
  NodeAttr GetLocked(Inode inode, AsMade made) const REQUIRES(attr_mu_);
  NodeAttr& ChangedLocked(Inode inode, AsMade made) REQUIRES(attr_mu_);
  void KeepLocked(CgroupId cgroup) REQUIRES(attr_mu_);

  Registry& registry_;
  NodeAttr roots_;  // constant once constructed
  // Before the registry's locks (Create); nothing of ours is called with those held.
  mutable Mutex attr_mu_;
  std::unordered_map<CgroupId, CgroupAttr> cgroups_ GUARDED_BY(attr_mu_);
};

}  // namespace corral

#endif  // CORRAL_CONTROL_ATTRIBUTES_H_
