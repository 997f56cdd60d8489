#include "control/open_file.h"

#include <cerrno>

namespace corral {

std::optional<std::size_t> OpenFile::kept_size() const {
  if (row_.snapshot != Snapshot::kAtOpen) return std::nullopt;
  MutexLock lock(file_mu_);
  return snapshot_.size();
}

Result<void> OpenFile::LoadLocked() {
  if (!row_.read) return {};  // reading says EINVAL
  std::uint64_t serial = 0;
  if (row_.pollable) {
    // Before the content: a change in between wakes a poller once too often, not once too
    // seldom.
    auto events = context_.registry.Events(context_.cgroup);
    if (!events) return Fail(events.error());
    serial = events->serial;
  }
  auto content = row_.read(context_);
  if (!content) return Fail(content.error());
  snapshot_ = std::move(*content);
  seen_serial_ = serial;
  return {};
}

Result<void> OpenFile::Load() {
  MutexLock lock(file_mu_);
  return LoadLocked();
}

Result<std::string> OpenFile::Read(std::size_t size, std::uint64_t offset) {
  if (!row_.read) return Fail(EINVAL, "'{}' cannot be read", row_.name);
  MutexLock lock(file_mu_);
  if (offset == 0 && row_.snapshot == Snapshot::kAtEachStart) {
    auto loaded = LoadLocked();
    const bool served_still = !loaded && loaded.error().code == ENODEV && !row_.pollable;
    if (!loaded && !served_still) return Fail(loaded.error());
  }
  if (offset >= snapshot_.size()) return std::string();
  return snapshot_.substr(offset, size);
}

Result<void> OpenFile::Write(const Caller& caller, std::string_view bytes) {
  if (bytes.size() > context_.dialect.max_write) {
    return Fail(E2BIG, "a write of {} bytes to '{}'", bytes.size(), row_.name);
  }
  if (!context_.registry.Exists(context_.cgroup)) {
    return Fail(ENODEV, "cgroup {} is gone", context_.cgroup.value);
  }
  if (!row_.write) return Fail(EINVAL, "'{}' cannot be written", row_.name);
  return row_.write(context_, caller, bytes);
}

Result<bool> OpenFile::Changed() {
  if (!row_.pollable) return Fail(EINVAL, "'{}' cannot be waited for", row_.name);
  auto events = context_.registry.Events(context_.cgroup);
  if (!events) return true;
  MutexLock lock(file_mu_);
  return events->serial != seen_serial_;
}

}  // namespace corral
