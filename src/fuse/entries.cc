#include "fuse/entries.h"

#include <sys/stat.h>

namespace corral {

void ReplyEntries(fuse_req_t req, const std::vector<DirEntry>& entries, std::size_t size,
                  off_t offset) {
  std::vector<char> reply(size);
  std::size_t used = 0;
  for (auto next = static_cast<std::size_t>(offset); next < entries.size(); ++next) {
    const DirEntry& entry = entries[next];
    struct stat attr {};
    attr.st_ino = entry.ino;
    attr.st_mode = entry.is_directory ? S_IFDIR : entry.is_link ? S_IFLNK : S_IFREG;
    const std::size_t length =
        fuse_add_direntry(req, reply.data() + used, size - used, entry.name.c_str(), &attr,
                          static_cast<off_t>(next + 1));
    if (length > size - used) break;
    used += length;
  }
  fuse_reply_buf(req, reply.data(), used);
}

}  // namespace corral
