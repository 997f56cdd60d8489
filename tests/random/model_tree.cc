// Directories and permissions (spec 4.2 to 4.4, 5, 8.1). The order of errors is the file
// system layer's, as mkdir(2), rmdir(2) and rename(2) show it on any file system.
#include <algorithm>
#include <cerrno>

#include "random/model.h"

namespace corral::random {
namespace {

constexpr unsigned kRead = 4, kWrite = 2, kSearch = 1;

unsigned Octal(const std::string& text) {
  return static_cast<unsigned>(std::stoul(text, nullptr, 8));
}

}  // namespace

bool May(const Owner& owner, unsigned uid, unsigned want, bool directory) {
  if (uid == 0) return directory || want != kSearch || (owner.mode & 0111) != 0;
  const unsigned shift = uid == owner.uid ? 6 : uid == owner.gid ? 3 : 0;
  return (owner.mode >> shift & want) == want;
}

std::string Model::PathOf(const ModelGroup& group) const {
  if (!group.parent) return "/";
  const std::string up = PathOf(*group.parent);
  return (up == "/" ? "" : up) + "/" + group.name;
}

const SpecFile* Model::FileIn(const ModelGroup& group, std::string_view name) const {
  for (const SpecFile& file : group.hierarchy->dialect->files) {
    if (file.name != name) continue;
    if (file.where == SpecFile::kTop && group.parent) return nullptr;
    if (file.where == SpecFile::kBelowTop && !group.parent) return nullptr;
    return &file;
  }
  return nullptr;
}

Model::Spot Model::Walk(const std::string& mount, const std::string& path, unsigned uid) const {
  ModelGroup* at = mounts_.at(mount).hierarchy->root.get();
  Spot spot{.error = 0, .parent = nullptr, .name = "/", .group = at, .file = nullptr};
  for (std::size_t begin = 1; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (spot.file) return {.error = ENOTDIR};
    if (!spot.group) return {.error = ENOENT};
    if (!May(spot.group->directory, uid, kSearch, true)) return {.error = EACCES};
    if (name.size() > spot.group->hierarchy->dialect->longest_name) return {.error = ENAMETOOLONG};
    const auto child = spot.group->children.find(name);
    spot = {.error = 0,
            .parent = spot.group,
            .name = name,
            .group = child == spot.group->children.end() ? nullptr : child->second.get(),
            .file = FileIn(*spot.group, name)};
  }
  return spot;
}

Owner& Model::OwnAttr(const Spot& spot) const {
  return spot.group ? spot.group->directory : spot.parent->files.at(std::string(spot.file->name));
}

Owner Model::Seen(const ModelGroup& group, const Owner& file) {
  Owner seen = file;
  if (seen.uid == kParentsOwner) seen.uid = group.parent->directory.uid;
  if (seen.gid == kParentsOwner) seen.gid = group.parent->directory.gid;
  return seen;
}

Owner Model::OwnerOf(const Spot& spot) const {
  return spot.group ? spot.group->directory : Seen(*spot.parent, OwnAttr(spot));
}

static long CountBelow(const ModelGroup& group) {
  long count = 0;
  for (const auto& [name, child] : group.children) count += 1 + CountBelow(*child);
  return count;
}

// For one more group there: of levels and of groups below each one above (spec 4.6).
bool Model::HasRoom(const ModelGroup& parent) const {
  long levels = 1;
  for (const ModelGroup* up = &parent; up; up = up->parent, ++levels) {
    const auto depth = up->quotas.find("cgroup.max.depth");
    if (depth != up->quotas.end() && levels > depth->second) return false;
    const auto count = up->quotas.find("cgroup.max.descendants");
    if (count != up->quotas.end() && CountBelow(*up) >= count->second) return false;
  }
  return true;
}

std::unique_ptr<ModelGroup> Model::NewGroup(ModelHierarchy& hierarchy, ModelGroup* parent,
                                            const std::string& name, const Owner& owner) {
  auto group = std::make_unique<ModelGroup>();
  group->id = next_group_++;
  group->name = name;
  group->parent = parent;
  group->hierarchy = &hierarchy;
  group->directory = owner;
  if (parent && options_.mistake != Mistake::kChildInheritsNothing) {
    group->notify = parent->notify;  // spec 5.2
    group->clone_children = parent->clone_children;
  }
  if (parent && !parent->parent) group->quotas["cgroup.max.depth"] = 512;  // spec 4.6
  for (const SpecFile& file : hierarchy.dialect->files) {
    if (!FileIn(*group, file.name)) continue;
    group->files[std::string(file.name)] = {
        .mode = file.writable ? 0644 : hierarchy.dialect->unwritable_mode,
        .uid = file.quota ? kParentsOwner : owner.uid,
        .gid = file.quota ? kParentsOwner : owner.gid};
  }
  return group;
}

Errnos Model::Mkdir(const Step& step) {
  const ModelMount& mount = mounts_.at(step.arg(0));
  const Spot spot = Walk(step.arg(0), step.arg(1), step.uid);
  if (spot.error) return {spot.error};
  if (spot.exists()) return {EEXIST};
  if (mount.read_only) return {EROFS};
  const Owner& parent = spot.parent->directory;
  if (!May(parent, step.uid, kWrite | kSearch, true)) return {EACCES};
  const SpecDialect& dialect = *mount.hierarchy->dialect;
  if (!dialect.newline_in_names && spot.name.find('\n') != spot.name.npos) return {EINVAL};
  Owner owner{
      .mode = Octal(step.arg(2)) & ~Octal(step.arg(3)) & 01777, .uid = step.uid, .gid = step.uid};
  if (dialect.setgid_inherited && (parent.mode & 02000) != 0) {
    owner.gid = parent.gid;
    owner.mode |= 02000;
  }
  if (!HasRoom(*spot.parent)) return {EAGAIN};
  auto& made = spot.parent->children[spot.name] =
      NewGroup(*mount.hierarchy, spot.parent, spot.name, owner);
  // The anonymous hierarchy has every subsystem (spec 3.3).
  const bool has_cpuset = mount.hierarchy->name.empty() && !dialect.one_hierarchy;
  made->has_cpus = !has_cpuset || dialect.settings_inherited ||
                   (spot.parent->clone_children && spot.parent->has_cpus);
  return {0};
}

// Whether an entry may be taken out of its directory; 0 or an errno.
static int MayRemove(const Owner& directory, const Owner& entry, unsigned uid) {
  if (!May(directory, uid, kWrite | kSearch, true)) return EACCES;
  const bool sticky = (directory.mode & 01000) != 0;
  return sticky && uid != 0 && uid != entry.uid && uid != directory.uid ? EPERM : 0;
}

Errnos Model::Rmdir(const Step& step) {
  const Spot spot = Walk(step.arg(0), step.arg(1), step.uid);
  if (spot.error && spot.error != ENAMETOOLONG) return {spot.error};
  if (mounts_.at(step.arg(0)).read_only) return {EROFS};
  if (spot.error) return {spot.error};
  if (!spot.exists()) return {ENOENT};
  if (const int error = MayRemove(spot.parent->directory, OwnerOf(spot), step.uid)) return {error};
  if (spot.file) return {ENOTDIR};
  if (!spot.group->children.empty()) return {EBUSY};
  if (HasTasks(*spot.group)) {
    if (options_.mistake != Mistake::kRmdirOfAPopulatedGroup) return {EBUSY};
    for (auto& [name, task] : tasks_) {
      if (task.where.contains(spot.group->hierarchy)) task.where.erase(spot.group->hierarchy);
    }
  }
  ModelGroup& parent = *spot.parent;
  parent.children.erase(spot.name);
  parent.releasable = true;  // spec 9.3
  ReleaseIfIdle(parent);
  return {0};
}

Errnos Model::Unlink(const Step& step) {
  const Spot spot = Walk(step.arg(0), step.arg(1), step.uid);
  if (spot.error && spot.error != ENAMETOOLONG) return {spot.error};
  if (mounts_.at(step.arg(0)).read_only) return {EROFS};
  if (spot.error) return {spot.error};
  if (!spot.exists()) return {ENOENT};
  if (const int error = MayRemove(spot.parent->directory, OwnerOf(spot), step.uid)) return {error};
  return {spot.group ? EISDIR : EPERM};
}

// creat, mkfifo, symlink (spec 5.4): never anything but a refusal.
Errnos Model::MakeOdd(const Step& step) {
  const Spot spot = Walk(step.arg(0), step.arg(1), step.uid);
  if (spot.error) return {spot.error};
  if (spot.exists()) return {EEXIST};
  if (mounts_.at(step.arg(0)).read_only) return {EROFS};
  if (!May(spot.parent->directory, step.uid, kWrite | kSearch, true)) return {EACCES};
  return step.verb == "create" ? Errnos{EACCES, EPERM} : Errnos{EPERM};
}

Errnos Model::Rename(const Step& step) {
  const Spot from = Walk(step.arg(0), step.arg(1), step.uid);
  const Spot to = Walk(step.arg(0), step.arg(2), step.uid);
  // The directories of both are found before anything else, the first one's first.
  if (from.error && from.error != ENAMETOOLONG) return {from.error};
  if (to.error && to.error != ENAMETOOLONG) return {to.error};
  if (mounts_.at(step.arg(0)).read_only) return {EROFS};
  if (from.error || to.error) return {ENAMETOOLONG, ENOENT};
  if (!from.exists()) return {ENOENT};
  for (const ModelGroup* up = to.parent; from.group && up; up = up->parent) {
    if (up == from.group) return {EINVAL};
  }
  for (const ModelGroup* up = from.parent; to.group && up; up = up->parent) {
    if (up == to.group) return {ENOTEMPTY};
  }
  if (from.parent == to.parent && from.name == to.name) return {0};
  if (const int error = MayRemove(from.parent->directory, OwnerOf(from), step.uid)) return {error};
  const bool elsewhere = from.parent != to.parent;
  if (!to.exists()) {
    if (!May(to.parent->directory, step.uid, kWrite | kSearch, true)) return {EACCES};
  } else {
    if (const int error = MayRemove(to.parent->directory, OwnerOf(to), step.uid)) return {error};
    if (from.group && !to.group) return {ENOTDIR};
    if (from.file && to.group) return {EISDIR};
  }
  if (from.group && elsewhere && !May(from.group->directory, step.uid, kWrite, true)) {
    return {EACCES};
  }
  const SpecDialect& dialect = *from.parent->hierarchy->dialect;
  // Before all that spec 5.5 says, as today's kernel does it; the text is silent.
  if (!dialect.newline_in_names && to.name.find('\n') != to.name.npos) return {EINVAL};
  if (from.file) return {ENOTDIR};  // spec 5.5
  if (to.exists()) return {elsewhere ? dialect.rename_onto_elsewhere : EEXIST};
  if (elsewhere) return {EIO};
  auto moved = from.parent->children.extract(from.name);
  moved.key() = to.name;
  moved.mapped()->name = to.name;
  if (options_.mistake == Mistake::kRenameForgetsFlags) moved.mapped()->notify = false;
  from.parent->children.insert(std::move(moved));
  return {0};
}

// 0: the attributes of what a step names may change.
int Model::WhyNotChanged(const Step& step, const Spot& spot) const {
  if (spot.error) return spot.error;
  if (!spot.exists()) return ENOENT;
  return mounts_.at(step.arg(0)).read_only ? EROFS : 0;
}

Errnos Model::Chmod(const Step& step) {
  const Spot spot = Walk(step.arg(0), step.arg(1), step.uid);
  if (const int error = WhyNotChanged(step, spot)) return {error};
  if (step.uid != 0 && step.uid != OwnerOf(spot).uid) return {EPERM};
  Owner& owner = OwnAttr(spot);
  owner.mode = Octal(step.arg(2));
  return {0};
}

Errnos Model::Chown(const Step& step) {
  const Spot spot = Walk(step.arg(0), step.arg(1), step.uid);
  if (const int error = WhyNotChanged(step, spot)) return {error};
  Owner& owner = OwnAttr(spot);
  owner.uid = static_cast<unsigned>(std::stoul(step.arg(2)));
  owner.gid = static_cast<unsigned>(std::stoul(step.arg(3)));
  return {0};
}

}  // namespace corral::random
