// A listing, as one answer to readdir.
#ifndef CORRAL_FUSE_ENTRIES_H_
#define CORRAL_FUSE_ENTRIES_H_

#include <sys/types.h>

#include <cstddef>
#include <vector>

#include "control/tree.h"
#include "fuse/fuse_api.h"

namespace corral {

// As many of `entries` from place `offset` on as `size` bytes hold; none at the end.
void ReplyEntries(fuse_req_t req, const std::vector<DirEntry>& entries, std::size_t size,
                  off_t offset);

}  // namespace corral

#endif  // CORRAL_FUSE_ENTRIES_H_
