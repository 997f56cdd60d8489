#include "fuse/poll_waiters.h"

#include <utility>

namespace corral {

PollWaiters::~PollWaiters() {
  for (const auto& [cgroup, files] : waiters_) {
    for (const auto& [key, handle] : files) fuse_pollhandle_destroy(handle);
  }
}

void PollWaiters::Add(CgroupId cgroup, const void* key, fuse_pollhandle* handle) {
  MutexLock lock(waiters_mu_);
  auto [at, fresh] = waiters_[cgroup].try_emplace(key, handle);
  if (!fresh) fuse_pollhandle_destroy(std::exchange(at->second, handle));
}

void PollWaiters::Remove(CgroupId cgroup, const void* key) {
  MutexLock lock(waiters_mu_);
  const auto files = waiters_.find(cgroup);
  if (files == waiters_.end()) return;
  const auto file = files->second.find(key);
  if (file == files->second.end()) return;
  fuse_pollhandle_destroy(file->second);
  files->second.erase(file);
  if (files->second.empty()) waiters_.erase(files);
}

void PollWaiters::Wake(CgroupId cgroup) {
  MutexLock lock(waiters_mu_);
  const auto files = waiters_.find(cgroup);
  if (files == waiters_.end()) return;
  // An error means that the file or the mount is going; its release follows.
  for (const auto& [key, handle] : files->second) fuse_lowlevel_notify_poll(handle);
}

}  // namespace corral
