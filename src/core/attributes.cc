#include "core/attributes.h"

#include <algorithm>
#include <chrono>

#include "core/row_bytes.h"

namespace corral {
namespace {

// In a row: not changed. No user, no group, no mode and no part of a second is this number.
constexpr std::uint32_t kUnset = UINT32_MAX;

// Those that are set, over what is there.
template <typename To>
void Assign(To& to, const AttrChange& change) {
  if (change.mode) to.mode = *change.mode & 07777;
  if (change.uid) to.uid = *change.uid;
  if (change.gid) to.gid = *change.gid;
  if (change.atime) to.atime = *change.atime;
  if (change.mtime) to.mtime = *change.mtime;
  if (change.ctime) to.ctime = *change.ctime;
}

void Write(RowWriter& row, const AttrChange& change) {
  row.Number(change.mode.value_or(kUnset));
  row.Number(change.uid.value_or(kUnset));
  row.Number(change.gid.value_or(kUnset));
  for (const auto& time : {change.atime, change.mtime, change.ctime}) {
    row.Number(time ? static_cast<std::uint64_t>(time->tv_sec) : 0);
    row.Number(time ? static_cast<std::uint64_t>(time->tv_nsec) : kUnset);
  }
}

AttrChange Read(RowReader& row) {
  const auto number = [&]() -> std::optional<std::uint32_t> {
    const auto value = static_cast<std::uint32_t>(row.Number());
    return value == kUnset ? std::nullopt : std::optional(value);
  };
  AttrChange change{.mode = number(), .uid = number(), .gid = number()};
  for (auto* time : {&change.atime, &change.mtime, &change.ctime}) {
    const auto seconds = static_cast<time_t>(row.Number());
    if (const auto rest = number()) *time = timespec{seconds, static_cast<long>(*rest)};
  }
  return change;
}

}  // namespace

timespec TimeNow() {
  using std::chrono::nanoseconds, std::chrono::seconds;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto whole = std::chrono::floor<seconds>(now);
  return {static_cast<time_t>(whole.count()), static_cast<long>(nanoseconds(now - whole).count())};
}

void NodeAttr::Apply(const AttrChange& change) { Assign(*this, change); }

const AttrChange* Attributes::ChangesOf(unsigned slot) const {
  const auto at = std::ranges::find(changed_, slot, &Changed::slot);
  return at == changed_.end() ? nullptr : &at->to;
}

NodeAttr Attributes::Of(unsigned slot) const {
  NodeAttr attr = AsMade();
  if (const AttrChange* const changes = ChangesOf(slot)) attr.Apply(*changes);
  return attr;
}

void Attributes::Change(unsigned slot, const AttrChange& change) {
  auto at = std::ranges::find(changed_, slot, &Changed::slot);
  if (at == changed_.end()) at = changed_.insert(at, {slot, {}});
  Assign(at->to, change);
  if (!change.ctime) at->to.ctime = TimeNow();
}

void Attributes::TouchEntries() {
  const timespec now = TimeNow();
  Change(kDirectory, {.mtime = now, .ctime = now});
}

std::string Attributes::Row() const {
  RowWriter row;
  Write(row, {.mode = 0, .uid = uid, .gid = gid, .atime = made, .mtime = made, .ctime = made});
  row.Number(changed_.size());
  for (const Changed& changed : changed_) {
    row.Number(changed.slot);
    Write(row, changed.to);
  }
  return row.Take();
}

Attributes Attributes::FromRow(RowReader& row) {
  Attributes attributes;
  const AttrChange made = Read(row);
  attributes.uid = made.uid.value_or(0);
  attributes.gid = made.gid.value_or(0);
  attributes.made = made.ctime.value_or(attributes.made);
  for (std::uint64_t left = row.Count(); left != 0; --left) {
    const auto slot = static_cast<unsigned>(row.Number());
    attributes.changed_.push_back({slot, Read(row)});
  }
  return attributes;
}

}  // namespace corral
