#include "fuse/entries.h"

#include <sys/stat.h>

#include <memory>

namespace corral {
namespace {

using Entries = std::vector<DirEntry>;

Entries* EntriesOf(const fuse_file_info* info) { return reinterpret_cast<Entries*>(info->fh); }

}  // namespace

void OpenEntries(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  auto entries = std::make_unique<Entries>();
  info->fh = reinterpret_cast<std::uint64_t>(entries.get());
  if (fuse_reply_open(req, info) == 0) entries.release();
}

void ReleaseEntries(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  delete EntriesOf(info);
  fuse_reply_err(req, 0);
}

void ReplyEntries(fuse_req_t req, std::size_t size, off_t offset, fuse_file_info* info,
                  const std::function<Result<Entries>()>& list) {
  Entries& entries = *EntriesOf(info);
  if (offset == 0) {
    auto listed = list();
    if (!listed) {
      fuse_reply_err(req, listed.error().code);
      return;
    }
    entries = std::move(*listed);
  }
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
