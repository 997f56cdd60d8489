// Open directories. Nothing is kept for one: each part of a listing says where the next begins, by
// what does not change while names come and go. So it costs nothing to have many open.
#ifndef CORRAL_FUSE_ENTRIES_H_
#define CORRAL_FUSE_ENTRIES_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "control/tree.h"
#include "fuse/fuse_api.h"

namespace corral {

void OpenEntries(fuse_req_t req, fuse_ino_t node, fuse_file_info* info);
void ReleaseEntries(fuse_req_t req, fuse_ino_t node, fuse_file_info* info);

// At most so many entries from a place on: 0, or DirEntry::next of one before. None: the end.
using ListEntries =
    std::function<Result<std::vector<DirEntry>>(std::uint64_t from, std::size_t most)>;

// Answers with as many entries from `offset` on as `size` bytes hold; with none at the end.
void ReplyEntries(fuse_req_t req, std::size_t size, off_t offset, const ListEntries& list);

}  // namespace corral

#endif  // CORRAL_FUSE_ENTRIES_H_
