#include "control/open_file.h"

#include <algorithm>
#include <cerrno>

namespace corral {

std::optional<std::size_t> OpenFile::kept_size() const {
  if (!row_.list || shares_list()) return std::nullopt;
  MutexLock lock(file_mu_);
  return snapshot_.size();
}

Result<std::string> OpenFile::MakeLocked() {
  if (row_.read) return row_.read(context_);
  auto numbers = row_.list(context_);
  if (!numbers) return Fail(numbers.error());
  return Lines(*numbers);
}

Result<void> OpenFile::LoadLocked() {
  if (!readable() || shares_list()) return {};
  std::uint64_t serial = 0;
  if (row_.pollable) {
    // Before the content: a change in between wakes a poller once too often, not once too
    // seldom.
    auto events = context_.registry.Events(context_.cgroup);
    if (!events) return Fail(events.error());
    serial = events->serial;
  }
  auto content = MakeLocked();
  if (!content) return Fail(content.error());
  snapshot_ = std::move(*content);
  seen_serial_ = serial;
  return {};
}

Result<void> OpenFile::Load() {
  MutexLock lock(file_mu_);
  return LoadLocked();
}

// Goes on after the last number until so many bytes are there, a page at a time as the kernel
// does: the next reader may find the list renewed.
Result<void> OpenFile::ExtendLocked(std::size_t wanted, bool fresh) {
  constexpr std::size_t kPageOfNumbers = 512;
  if (fresh) {
    snapshot_.clear();
    last_listed_ = 0;
  }
  while (fresh || snapshot_.size() < wanted) {
    const auto list = lists_.Get(context_, row_, fresh);
    if (!list) return Fail(list.error());
    fresh = false;
    auto next = std::upper_bound((*list)->begin(), (*list)->end(), last_listed_);
    const auto left = static_cast<std::size_t>((*list)->end() - next);
    if (left == 0) return {};
    const TaskNumbers piece(next, next + static_cast<std::ptrdiff_t>(std::min(left, kPageOfNumbers)));
    snapshot_ += Lines(piece);
    last_listed_ = piece.back();
  }
  return {};
}

Result<std::string> OpenFile::Read(std::size_t size, std::uint64_t offset) {
  if (!readable()) return Fail(EINVAL, "'{}' cannot be read", row_.name);
  MutexLock lock(file_mu_);
  const bool served_on = context_.dialect.serves_after_removal && !row_.pollable;
  Result<void> loaded;
  if (shares_list()) {
    loaded = ExtendLocked(offset + size, offset == 0);
  } else if (offset == 0 && (!row_.list || !context_.dialect.serves_after_removal)) {
    loaded = LoadLocked();
  }
  const bool has_rest = offset != 0 && offset < snapshot_.size();
  if (!loaded && !(loaded.error().code == ENODEV && (served_on || has_rest))) {
    return Fail(loaded.error());
  }
  if (offset >= snapshot_.size()) return std::string();
  return snapshot_.substr(offset, size);
}

Result<void> OpenFile::Write(const Caller& caller, std::string_view bytes) {
  if (bytes.size() > MaxWrite(context_.dialect)) {
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
