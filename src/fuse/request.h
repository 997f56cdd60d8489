// What every request brings: the mount, the node, the caller.
//
// FUSE's node ids are our inode numbers, but for the root of a mount, which FUSE wants to
// be 1. So no node is ever counted or remembered: lookups and forgets need no bookkeeping.
#ifndef CORRAL_FUSE_REQUEST_H_
#define CORRAL_FUSE_REQUEST_H_

#include "control/tree.h"
#include "fuse/fuse_api.h"
#include "fuse/operations.h"

namespace corral {

inline MountedTree& Mounted(fuse_req_t req) {
  return *static_cast<MountedTree*>(fuse_req_userdata(req));
}

inline Inode InodeOf(fuse_req_t req, fuse_ino_t node) {
  return node == FUSE_ROOT_ID ? Inode::Directory(Mounted(req).root) : Inode{node};
}

inline fuse_ino_t NodeOf(fuse_req_t req, Inode inode) {
  return inode == Inode::Directory(Mounted(req).root) ? FUSE_ROOT_ID : inode.number;
}

inline Caller CallerOf(fuse_req_t req) {
  const fuse_ctx* context = fuse_req_ctx(req);
  return {.tid = Tid{static_cast<std::uint32_t>(context->pid)},
          .uid = context->uid,
          .gid = context->gid,
          .umask = context->umask};
}

// Nothing is remembered about a node, so nothing is forgotten.
inline void Forget(fuse_req_t req, fuse_ino_t, std::uint64_t) { fuse_reply_none(req); }
inline void ForgetMulti(fuse_req_t req, std::size_t, fuse_forget_data*) { fuse_reply_none(req); }

}  // namespace corral

#endif  // CORRAL_FUSE_REQUEST_H_
