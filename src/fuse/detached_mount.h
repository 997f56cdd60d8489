// A FUSE mount that is nowhere yet: made with fsopen, fsconfig and fsmount, to be placed
// by whoever gets its descriptor, in their mount namespace: the daemon makes the mount, the
// caller places it (docs/architecture.md, "Mounting").
#ifndef CORRAL_FUSE_DETACHED_MOUNT_H_
#define CORRAL_FUSE_DETACHED_MOUNT_H_

#include <corral/result.h>
#include <sys/types.h>

#include "base/fd.h"
#include "fuse/mount.h"

namespace corral {

struct DetachedMount {
  Fd fuse;   // the connection, an open /dev/fuse, non-blocking
  Fd mount;  // the mount; goes when this and every place it was moved to are gone
  dev_t device = 0;
};

// Errors: the errno of the call that refused. Asks the new file system nothing: nobody
// serves it yet.
Result<DetachedMount> MakeDetachedMount(const FuseMountOptions& options);

}  // namespace corral

#endif  // CORRAL_FUSE_DETACHED_MOUNT_H_
