// FuseMount: one mounted view of one hierarchy, libfuse's low-level API over a Tree; or of the
// proc view.
//
// Made in two steps, for the daemon makes the mount and its caller places it: Create()
// opens /dev/fuse, builds a detached mount with fsopen/fsconfig/fsmount and starts the one
// thread that serves it; the caller passes mount_fd() to whoever move_mount()s it. Ends by
// itself when the last user of the mount is gone.
#ifndef CORRAL_FUSE_MOUNT_H_
#define CORRAL_FUSE_MOUNT_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <sys/types.h>

#include <memory>
#include <string>

#include "base/fd.h"
#include "control/proc_view.h"
#include "control/tree.h"

namespace corral {

struct FuseMountOptions {
  std::string source;  // shown in /proc/mounts
  std::string subtype = "container";
  bool read_only = false;
  bool nosuid = false;
  bool nodev = false;
};

class FuseMount {
 public:
  // Errors: the errno of the kernel call that refused, named in the sentence.
  static Result<std::unique_ptr<FuseMount>> Create(Tree& tree, CgroupId root,
                                                   const FuseMountOptions& options);
  // The same for the proc view, which must outlive it.
  static Result<std::unique_ptr<FuseMount>> Create(const ProcView& view,
                                                   const FuseMountOptions& options);
  // Ends the connection (users get ENOTCONN) and joins the thread.
  virtual ~FuseMount() = default;

  // The detached mount, to be placed. Once taken, this object does not keep it alive.
  virtual Fd TakeMountFd() = 0;
  virtual dev_t device() const = 0;  // st_dev of everything in it
  // The mount is gone: unmounted everywhere. Noticed by its descriptor, at once.
  virtual bool Ended() const = 0;

  // Wakes pollers of a cgroup's events. From a thread that serves no requests.
  virtual void NotifyChanged(CgroupId cgroup) = 0;
};

}  // namespace corral

#endif  // CORRAL_FUSE_MOUNT_H_
