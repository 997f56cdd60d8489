// What the kernel asks of the proc view's mount. Called by its one thread; the session's user
// data is the ProcView.
#ifndef CORRAL_FUSE_PROC_OPERATIONS_H_
#define CORRAL_FUSE_PROC_OPERATIONS_H_

#include "fuse/fuse_api.h"

namespace corral {

const fuse_lowlevel_ops& ProcOperations();

}  // namespace corral

#endif  // CORRAL_FUSE_PROC_OPERATIONS_H_
