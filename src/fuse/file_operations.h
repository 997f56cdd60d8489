// Open files and directories of a mount: one handle of ours for each descriptor.
#ifndef CORRAL_FUSE_FILE_OPERATIONS_H_
#define CORRAL_FUSE_FILE_OPERATIONS_H_

#include "fuse/fuse_api.h"

namespace corral {

// Fills in open, read, write, poll, readdir and their like. No flush: a task that exits
// would wait for us while we may wait for its exit.
void AddFileOperations(fuse_lowlevel_ops* operations);

}  // namespace corral

#endif  // CORRAL_FUSE_FILE_OPERATIONS_H_
