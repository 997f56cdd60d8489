#include "fuse/file_operations.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/log.h"
#include "fuse/entries.h"
#include "fuse/request.h"
#include "fuse/survives.h"

namespace corral {
namespace {

template <typename T>
T* HandleOf(const fuse_file_info* info) {
  return reinterpret_cast<T*>(info->fh);
}

// ---- control files

void Open(fuse_req_t req, fuse_ino_t node, fuse_file_info* info) {
  const bool readable = (info->flags & O_ACCMODE) != O_WRONLY;
  auto file = Mounted(req).tree.Open(CallerOf(req), InodeOf(req, node), readable);
  if (!file) {
    fuse_reply_err(req, file.error().code);
    return;
  }
  info->direct_io = 1;
  info->noflush = 1;  // a task that closes us while it exits shall not have to wait for us
  info->fh = reinterpret_cast<std::uint64_t>(file->get());
  MountedTree& mounted = Mounted(req);
  const auto size = (*file)->kept_size();
  if (size) mounted.kept_sizes.Add(node, *size);
  if (fuse_reply_open(req, info) == 0) {
    (void)file->release();  // Release() takes it back
  } else if (size) {        // the opener was interrupted
    mounted.kept_sizes.Remove(node, *size);
  }
}

void Release(fuse_req_t req, fuse_ino_t node, fuse_file_info* info) {
  const std::unique_ptr<OpenFile> file(HandleOf<OpenFile>(info));
  MountedTree& mounted = Mounted(req);
  mounted.waiters.Remove(file->cgroup(), file.get());
  if (const auto size = file->kept_size()) mounted.kept_sizes.Remove(node, *size);
  fuse_reply_err(req, 0);
}

void Read(fuse_req_t req, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  const auto bytes =
      HandleOf<OpenFile>(info)->Read(CallerOf(req).tid, size, static_cast<std::uint64_t>(offset));
  if (!bytes) {
    fuse_reply_err(req, bytes.error().code);
    return;
  }
  fuse_reply_buf(req, bytes->data(), bytes->size());
}

void Write(fuse_req_t req, fuse_ino_t, const char* bytes, std::size_t size, off_t,
           fuse_file_info* info) {
  const auto done = HandleOf<OpenFile>(info)->Write(CallerOf(req), {bytes, size});
  if (!done) {
    log::Debug("write refused: {} ({})", done.error().message, std::strerror(done.error().code));
    fuse_reply_err(req, done.error().code);
    return;
  }
  fuse_reply_write(req, size);
}

// SEEK_DATA and SEEK_HOLE only, as the kernel's control files answer them. A guess from the
// size would make cp fill the copy up with zeros and grep see a binary file.
void Lseek(fuse_req_t req, fuse_ino_t, off_t, int, fuse_file_info*) { fuse_reply_err(req, EINVAL); }

void Poll(fuse_req_t req, fuse_ino_t, fuse_file_info* info, fuse_pollhandle* handle) {
  OpenFile& file = *HandleOf<OpenFile>(info);
  unsigned events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
  if (handle && file.pollable()) {
    Mounted(req).waiters.Add(file.cgroup(), &file, handle);
  } else if (handle) {
    fuse_pollhandle_destroy(handle);
  }
  if (file.removed() || (file.pollable() && file.Changed().value_or(true))) {
    events |= POLLPRI | POLLERR;
  }
  fuse_reply_poll(req, events);
}

// ---- listing

void ReadDir(fuse_req_t req, fuse_ino_t node, std::size_t size, off_t offset, fuse_file_info*) {
  ReplyEntries(req, size, offset, [&](std::uint64_t from, std::size_t most) {
    return Mounted(req).tree.ReadDir(InodeOf(req, node), from, most);
  });
}

void SyncDirectory(fuse_req_t req, fuse_ino_t node, int, fuse_file_info*) {
  const auto done = Mounted(req).tree.SyncDirectory(InodeOf(req, node));
  fuse_reply_err(req, done ? 0 : done.error().code);
}

}  // namespace

void AddFileOperations(fuse_lowlevel_ops* operations) {
  operations->open = Survives<Open>;
  operations->release = Survives<Release>;
  operations->read = Survives<Read>;
  operations->write = Survives<Write>;
  operations->lseek = Survives<Lseek>;
  operations->poll = Survives<Poll>;
  operations->opendir = Survives<OpenEntries>;
  operations->releasedir = Survives<ReleaseEntries>;
  operations->readdir = Survives<ReadDir>;
  operations->fsyncdir = Survives<SyncDirectory>;
}

}  // namespace corral
