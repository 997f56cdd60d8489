// Open directories of a mount. A listing from its start takes a snapshot; positions are places in
// it, so names that come and go meanwhile make no other name appear twice or not at all.
#ifndef CORRAL_FUSE_ENTRIES_H_
#define CORRAL_FUSE_ENTRIES_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <vector>

#include "control/tree.h"
#include "fuse/fuse_api.h"

namespace corral {

void OpenEntries(fuse_req_t req, fuse_ino_t node, fuse_file_info* info);
void ReleaseEntries(fuse_req_t req, fuse_ino_t node, fuse_file_info* info);

// Answers with as many entries from place `offset` on as `size` bytes hold; with none at the end.
// `list` is asked at the start.
void ReplyEntries(fuse_req_t req, std::size_t size, off_t offset, fuse_file_info* info,
                  const std::function<Result<std::vector<DirEntry>>()>& list);

}  // namespace corral

#endif  // CORRAL_FUSE_ENTRIES_H_
