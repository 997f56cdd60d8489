#include "control/attributes.h"

#include "base/log.h"
#include "core/row_bytes.h"

namespace corral {
namespace {

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

NodeAttr Attributes::GetLocked(Inode inode, mode_t mode) const {
  const auto cgroup = cgroups_.find(inode.cgroup());
  NodeAttr attr = roots_;
  if (cgroup != cgroups_.end()) {
    const auto changed = cgroup->second.changed.find(SlotOf(inode));
    if (changed != cgroup->second.changed.end()) return changed->second;
    attr = cgroup->second.made;
  }
  attr.mode = mode;
  return attr;
}

NodeAttr& Attributes::ChangedLocked(Inode inode, mode_t mode) {
  const NodeAttr now = GetLocked(inode, mode);
  CgroupAttr& cgroup = cgroups_.try_emplace(inode.cgroup(), CgroupAttr{roots_, {}}).first->second;
  return cgroup.changed.try_emplace(SlotOf(inode), now).first->second;
}

NodeAttr Attributes::Get(Inode inode, mode_t mode) const {
  MutexLock lock(attr_mu_);
  return GetLocked(inode, mode);
}

NodeAttr Attributes::Change(Inode inode, mode_t mode, const AttrChange& change) {
  MutexLock lock(attr_mu_);
  NodeAttr& attr = ChangedLocked(inode, mode);
  if (change.mode) attr.mode = *change.mode & 07777;
  if (change.uid) attr.uid = *change.uid;
  if (change.gid) attr.gid = *change.gid;
  if (change.atime) attr.atime = *change.atime;
  if (change.mtime) attr.mtime = *change.mtime;
  attr.ctime = Now();
  KeepLocked(inode.cgroup());
  return attr;
}

void Attributes::Touch(Inode directory, mode_t mode) {
  MutexLock lock(attr_mu_);
  NodeAttr& attr = ChangedLocked(directory, mode);
  attr.mtime = attr.ctime = Now();
  KeepLocked(directory.cgroup());
}

void Attributes::TouchChangeTime(Inode directory, mode_t mode) {
  MutexLock lock(attr_mu_);
  ChangedLocked(directory, mode).ctime = Now();
  KeepLocked(directory.cgroup());
}

void Attributes::Forget(CgroupId cgroup) {
  MutexLock lock(attr_mu_);
  cgroups_.erase(cgroup);
}

}  // namespace corral
