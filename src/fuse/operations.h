// What the kernel asks of one mount, answered from a Tree. Called by the mount's one thread.
#ifndef CORRAL_FUSE_OPERATIONS_H_
#define CORRAL_FUSE_OPERATIONS_H_

#include <corral/ids.h>

#include "control/tree.h"
#include "fuse/fuse_api.h"
#include "fuse/kept_sizes.h"
#include "fuse/poll_waiters.h"

namespace corral {

// The user data of the session.
struct MountedTree {
  Tree& tree;
  const CgroupId root;
  KeptSizes kept_sizes;
  PollWaiters waiters;
};

const fuse_lowlevel_ops& Operations();

}  // namespace corral

#endif  // CORRAL_FUSE_OPERATIONS_H_
