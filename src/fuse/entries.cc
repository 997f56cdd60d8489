#include "fuse/entries.h"

#include <sys/stat.h>

namespace corral {

// Answered, rather than not there: without them the kernel would keep listings by itself.
void OpenEntries(fuse_req_t req, fuse_ino_t, fuse_file_info* info) { fuse_reply_open(req, info); }

void ReleaseEntries(fuse_req_t req, fuse_ino_t, fuse_file_info*) { fuse_reply_err(req, 0); }

void ReplyEntries(fuse_req_t req, std::size_t size, off_t offset, const ListEntries& list) {
  constexpr std::size_t kShortest = 32;  // an entry with a name of a letter
  const auto entries = list(static_cast<std::uint64_t>(offset), size / kShortest + 1);
  if (!entries) {
    fuse_reply_err(req, entries.error().code);
    return;
  }
  std::vector<char> reply(size);
  std::size_t used = 0;
  for (const DirEntry& entry : *entries) {
    struct stat attr {};
    attr.st_ino = entry.ino;
    attr.st_mode = entry.is_directory ? S_IFDIR : entry.is_link ? S_IFLNK : S_IFREG;
    const std::size_t length =
        fuse_add_direntry(req, reply.data() + used, size - used, entry.name.c_str(), &attr,
                          static_cast<off_t>(entry.next));
    if (length > size - used) break;
    used += length;
  }
  fuse_reply_buf(req, reply.data(), used);
}

}  // namespace corral
