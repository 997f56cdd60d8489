#include "control/attributes.h"

#include <unistd.h>

#include "base/log.h"
#include "core/row_bytes.h"

namespace corral {
namespace {

// Instead of an uid or gid: that of the directory which AsMade names, as it is then. No user has
// it.
constexpr std::uint32_t kParents = UINT32_MAX;

timespec Now() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

NodeAttr MadeNow(uid_t uid, gid_t gid) {
  const timespec now = Now();
  return {.uid = uid, .gid = gid, .atime = now, .mtime = now, .ctime = now};
}

void Write(RowWriter& note, const NodeAttr& attr) {
  note.Number(attr.mode).Number(attr.uid).Number(attr.gid);
  for (const timespec* time : {&attr.atime, &attr.mtime, &attr.ctime}) {
    note.Number(static_cast<std::uint64_t>(time->tv_sec));
    note.Number(static_cast<std::uint64_t>(time->tv_nsec));
  }
}

NodeAttr ReadAttr(RowReader& note) {
  NodeAttr attr;
  attr.mode = static_cast<mode_t>(note.Number());
  attr.uid = static_cast<uid_t>(note.Number());
  attr.gid = static_cast<gid_t>(note.Number());
  for (timespec* time : {&attr.atime, &attr.mtime, &attr.ctime}) {
    time->tv_sec = static_cast<time_t>(note.Number());
    time->tv_nsec = static_cast<long>(note.Number());
  }
  return attr;
}

std::uint64_t SlotOf(Inode inode) { return inode.number & 0xff; }

}  // namespace

bool Permits(const NodeAttr& directory, const Credentials& who, int want) {
  if (who.Has(Credentials::kDacOverride)) return true;
  if (who.Has(Credentials::kDacReadSearch) && (want & W_OK) == 0) return true;
  const int shift = who.uid == directory.uid ? 6 : who.InGroup(directory.gid) ? 3 : 0;
  return ((static_cast<int>(directory.mode) >> shift) & want) == want;
}

std::string Attributes::NoteOf(const CgroupAttr& attr) {
  RowWriter note;
  Write(note, attr.made);
  note.Number(attr.changed.size());
  for (const auto& [slot, changed] : attr.changed) {
    note.Number(slot);
    Write(note, changed);
  }
  return note.Take();
}

std::optional<Attributes::CgroupAttr> Attributes::FromNote(std::string_view bytes) {
  RowReader note(bytes);
  CgroupAttr attr{.made = ReadAttr(note), .changed = {}};
  for (std::uint64_t left = note.Count(); left != 0; --left) {
    const std::uint64_t slot = note.Number();
    attr.changed[slot] = ReadAttr(note);
  }
  return note.good() ? std::optional(std::move(attr)) : std::nullopt;
}

// The roots' own times and owner are the note of no cgroup.
Attributes::Attributes(Registry& registry) : registry_(registry), roots_(MadeNow(0, 0)) {
  MutexLock lock(attr_mu_);
  for (const auto& [id, note] : registry_.TakeNotes()) {
    auto attr = FromNote(note);
    if (!attr) {
      log::Error("owner, modes and times of cgroup {} are damaged; it is root's now", id.value);
    } else if (id.value == 0) {
      roots_ = attr->made;
    } else {
      cgroups_.emplace(id, *std::move(attr));
    }
  }
  registry_.SetNote({}, NoteOf({roots_, {}}));
}

void Attributes::KeepLocked(CgroupId cgroup) {
  registry_.SetNote(cgroup, NoteOf(cgroups_.at(cgroup)));
}

Result<CgroupId> Attributes::Create(uid_t uid, gid_t gid, mode_t mode,
                                    const std::function<Result<CgroupId>(std::string)>& make) {
  MutexLock lock(attr_mu_);
  CgroupAttr attr{.made = MadeNow(uid, gid), .changed = {}};
  NodeAttr directory = attr.made;
  directory.mode = mode;
  attr.changed.emplace(SlotOf(Inode::Directory({})), directory);
  auto id = make(NoteOf(attr));
  if (id) cgroups_.emplace(*id, std::move(attr));
  return id;
}

NodeAttr Attributes::RawLocked(Inode inode, AsMade made) const {
  const auto cgroup = cgroups_.find(inode.cgroup());
  NodeAttr attr = roots_;
  if (cgroup != cgroups_.end()) {
    const auto changed = cgroup->second.changed.find(SlotOf(inode));
    if (changed != cgroup->second.changed.end()) return changed->second;
    attr = cgroup->second.made;
  }
  if (made.owner.number != 0) {
    attr.uid = kParents;
    attr.gid = kParents;
  }
  attr.mode = made.mode;
  return attr;
}

NodeAttr Attributes::GetLocked(Inode inode, AsMade made) const {
  NodeAttr attr = RawLocked(inode, made);
  if (attr.uid != kParents && attr.gid != kParents) return attr;
  const NodeAttr owner = RawLocked(made.owner, {});
  if (attr.uid == kParents) attr.uid = owner.uid;
  if (attr.gid == kParents) attr.gid = owner.gid;
  return attr;
}

NodeAttr& Attributes::ChangedLocked(Inode inode, AsMade made) {
  const NodeAttr now = RawLocked(inode, made);
  CgroupAttr& cgroup = cgroups_.try_emplace(inode.cgroup(), CgroupAttr{roots_, {}}).first->second;
  return cgroup.changed.try_emplace(SlotOf(inode), now).first->second;
}

NodeAttr Attributes::Get(Inode inode, AsMade made) const {
  MutexLock lock(attr_mu_);
  return GetLocked(inode, made);
}

NodeAttr Attributes::Change(Inode inode, AsMade made, const AttrChange& change) {
  MutexLock lock(attr_mu_);
  NodeAttr& attr = ChangedLocked(inode, made);
  if (change.mode) attr.mode = *change.mode & 07777;
  if (change.uid) attr.uid = *change.uid;
  if (change.gid) attr.gid = *change.gid;
  if (change.atime) attr.atime = *change.atime;
  if (change.mtime) attr.mtime = *change.mtime;
  attr.ctime = Now();
  KeepLocked(inode.cgroup());
  return GetLocked(inode, made);
}

void Attributes::Touch(Inode directory, AsMade made) {
  MutexLock lock(attr_mu_);
  NodeAttr& attr = ChangedLocked(directory, made);
  attr.mtime = attr.ctime = Now();
  KeepLocked(directory.cgroup());
}

void Attributes::TouchChangeTime(Inode directory, AsMade made) {
  MutexLock lock(attr_mu_);
  ChangedLocked(directory, made).ctime = Now();
  KeepLocked(directory.cgroup());
}

void Attributes::Forget(CgroupId cgroup) {
  MutexLock lock(attr_mu_);
  cgroups_.erase(cgroup);
}

}  // namespace corral
