#include "control/attributes.h"

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

}  // namespace

Attributes::Attributes() : roots_(MadeNow(0, 0)) {}

Result<CgroupId> Attributes::Create(uid_t uid, gid_t gid, mode_t mode,
                                    const std::function<Result<CgroupId>()>& make) {
  MutexLock lock(attr_mu_);
  auto id = make();
  if (!id) return id;
  CgroupAttr attr{.made = MadeNow(uid, gid), .changed = {}};
  NodeAttr directory = attr.made;
  directory.mode = mode;
  attr.changed.emplace(Inode::Directory(*id).number, directory);
  cgroups_.emplace(*id, std::move(attr));
  return id;
}

NodeAttr Attributes::GetLocked(Inode inode, mode_t mode) const {
  const auto cgroup = cgroups_.find(inode.cgroup());
  NodeAttr attr = roots_;
  if (cgroup != cgroups_.end()) {
    const auto changed = cgroup->second.changed.find(inode.number);
    if (changed != cgroup->second.changed.end()) return changed->second;
    attr = cgroup->second.made;
  }
  attr.mode = mode;
  return attr;
}

NodeAttr& Attributes::ChangedLocked(Inode inode, mode_t mode) {
  const NodeAttr now = GetLocked(inode, mode);
  CgroupAttr& cgroup = cgroups_.try_emplace(inode.cgroup(), CgroupAttr{roots_, {}}).first->second;
  return cgroup.changed.try_emplace(inode.number, now).first->second;
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
  return attr;
}

void Attributes::Touch(Inode directory, mode_t mode) {
  MutexLock lock(attr_mu_);
  NodeAttr& attr = ChangedLocked(directory, mode);
  attr.mtime = attr.ctime = Now();
}

void Attributes::TouchChangeTime(Inode directory, mode_t mode) {
  MutexLock lock(attr_mu_);
  ChangedLocked(directory, mode).ctime = Now();
}

void Attributes::Forget(CgroupId cgroup) {
  MutexLock lock(attr_mu_);
  cgroups_.erase(cgroup);
}

}  // namespace corral
