// libfuse's low-level API, in the one version this folder is written for.
#ifndef CORRAL_FUSE_FUSE_API_H_
#define CORRAL_FUSE_FUSE_API_H_

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#endif  // CORRAL_FUSE_FUSE_API_H_
