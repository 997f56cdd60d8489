#include "control/open_file.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errors.h"

namespace corral {

OpenFile::OpenFile(const ControlContext& context, const ControlFiles::Row& row,
                   std::shared_ptr<Css> css, SharedLists& lists, OpenBudget::Charge charge)
    : context_(context),
      row_(row.file),
      use_{std::move(css), {}},
      lists_(lists),
      charge_(std::move(charge)) {
  if (!row.subsystem) return;
  context_.file = &row.added;
  context_.use = &use_;
}

Result<void> OpenFile::Begin() {
  {
    MutexLock lock(file_mu_);
    TRY(charge_.Resize(0));
  }
  const auto begin = [this]() -> Result<void> {
    return context_.file && context_.file->open ? context_.file->open(use_) : Result<void>{};
  };
  auto begun = HandleAdded(context_, begin);
  begun_ = begun.has_value();
  return begun;
}

OpenFile::~OpenFile() {
  if (!begun_ || !context_.file || !context_.file->release) return;
  (void)HandleAdded(context_, [this] { context_.file->release(use_); });
}

std::optional<std::size_t> OpenFile::kept_size() const {
  if (!row_.list || shares_list()) return std::nullopt;
  MutexLock lock(file_mu_);
  return snapshot_.size();
}

Result<std::string> OpenFile::MakeLocked() {
  if (row_.read) return row_.read(context_);
  const auto view = context_.machine.PidViewOf(context_.opener.tid);
  auto numbers = TRY(row_.list(context_, view.get()));
  return Lines(numbers);
}

Result<void> OpenFile::LoadLocked() {
  if (!readable() || shares_list()) return {};
  std::uint64_t serial = 0;
  if (row_.pollable) {
    // Before the content: a change in between wakes a poller once too often, not once too
    // seldom.
    auto events = TRY(context_.registry.Events(context_.cgroup));
    serial = events.serial;
  }
  auto content = TRY(MakeLocked());
  TRY(charge_.Resize(content.size()));
  snapshot_ = std::move(content);
  seen_serial_ = serial;
  return {};
}

Result<void> OpenFile::Load() {
  MutexLock lock(file_mu_);
  return LoadLocked();
}

// Goes on after the last number until so many bytes are there, a page at a time as the kernel
// does: the next reader may find the list renewed.
Result<void> OpenFile::ExtendLocked(Tid reader, std::uint64_t wanted) {
  constexpr std::size_t kPageOfNumbers = 512;
  while (snapshot_.size() < wanted) {
    const auto list = TRY(lists_.Get(context_, row_, reader, !std::exchange(was_read_, true)));
    auto next = std::upper_bound(list->begin(), list->end(), last_listed_);
    const auto left = static_cast<std::size_t>(list->end() - next);
    if (left == 0) return {};
    const TaskNumbers piece(next,
                            next + static_cast<std::ptrdiff_t>(std::min(left, kPageOfNumbers)));
    const std::string lines = Lines(piece);
    TRY(charge_.Resize(snapshot_.size() + lines.size()));
    snapshot_ += lines;
    last_listed_ = piece.back();
  }
  return {};
}

// What is served from `offset` on: in order, what this descriptor began with; else made anew, but
// for a list that is made once.
Result<void> OpenFile::PrepareLocked(Tid reader, std::uint64_t offset, std::uint64_t end) {
  const bool in_order = was_read_ && offset != 0 && offset == next_offset_;
  if (shares_list()) {
    if (!in_order) {
      snapshot_.clear();
      last_listed_ = 0;
    }
    return ExtendLocked(reader, end);
  }
  was_read_ = true;
  if (row_.list) return {};
  if (!in_order) return LoadLocked();
  const bool at_end = offset >= snapshot_.size();
  if (at_end && removed()) return Fail(ENODEV, "group {} is gone", context_.cgroup.value);
  return {};
}

Result<std::string> OpenFile::Read(Tid reader, std::size_t size, std::uint64_t offset) {
  if (!readable()) return Fail(EINVAL, "'{}' cannot be read", row_.name);
  MutexLock lock(file_mu_);
  const auto ready = PrepareLocked(reader, offset, offset + size);
  if (!ready) {
    const bool served_on = context_.dialect.serves_after_removal
                               ? !row_.pollable
                               : offset != 0 && offset < snapshot_.size();
    if (ready.error().code != ENODEV || !served_on) return Fail(ready.error());
  }
  std::string bytes = offset >= snapshot_.size() ? std::string() : snapshot_.substr(offset, size);
  next_offset_ = offset + bytes.size();
  return bytes;
}

Result<void> OpenFile::Write(const Caller& caller, std::string_view bytes) {
  if (bytes.size() > MaxWrite(context_.dialect)) {
    return Fail(E2BIG, "a write of {} bytes to '{}'", bytes.size(), row_.name);
  }
  if (removed()) return Fail(ENODEV, "group {} is gone", context_.cgroup.value);
  if (!row_.write) return Fail(EINVAL, "'{}' cannot be written", row_.name);
  return row_.write(context_, caller, bytes);
}

bool OpenFile::removed() const { return !context_.registry.Exists(context_.cgroup); }

Result<bool> OpenFile::Changed() {
  if (!row_.pollable) return Fail(EINVAL, "'{}' cannot be waited for", row_.name);
  auto events = context_.registry.Events(context_.cgroup);
  if (!events) return true;
  MutexLock lock(file_mu_);
  return events->serial != seen_serial_;
}

}  // namespace corral
