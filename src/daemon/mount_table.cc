#include "daemon/mount_table.h"

#include <pwd.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/log.h"

namespace corral {
namespace {

// The mount points of a device in our mount namespace, the newest first.
std::vector<std::string> MountPointsOf(dev_t device) {
  std::vector<std::string> points;
  std::ifstream mounts("/proc/self/mountinfo");
  const std::string wanted = fmt::format("{}:{}", major(device), minor(device));
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string id, parent, dev, root, point;
    words >> id >> parent >> dev >> root >> point;
    if (dev != wanted) continue;
    std::string path;  // \ooo for blanks and backslashes
    for (std::size_t i = 0; i < point.size(); ++i) {
      if (point[i] == '\\' && i + 3 < point.size()) {
        path += static_cast<char>(std::stoi(point.substr(i + 1, 3), nullptr, 8));
        i += 3;
      } else {
        path += point[i];
      }
    }
    points.insert(points.begin(), path);
  }
  return points;
}

}  // namespace

std::string MountTable::OptionsText(const HierarchyInfo& info) {
  std::string text;
  const auto add = [&](std::string_view option) {
    if (!text.empty()) text += ',';
    text += option;
  };
  if (!info.release_agent.empty()) add("release_agent=" + info.release_agent);
  if (!info.agent_user.empty()) add("agent_user=" + info.agent_user);
  if (!info.name.empty()) add("name=" + info.name);
  return text;
}

Result<HierarchyId> MountTable::FindOrCreateLocked(const MountOptions& options, bool* created) {
  Registry& registry = tree_.registry();
  const std::string name = options.name.value_or("");
  if (const auto known = registry.FindHierarchy(name)) {
    return *known;  // the same tree, whatever other options are given (spec 3.7)
  }
  if (!options.none && options.name) {
    return Fail(EINVAL, "there is no hierarchy named '{}'; 'none,name={}' makes one", name, name);
  }
  const std::string agent = options.release_agent.value_or("");
  if (!agent.empty()) {
    if (auto ok = tree_.host().CheckAgent(agent); !ok) return Fail(ok.error());
  }
  if (!options.agent_user.empty() && !::getpwnam(options.agent_user.c_str())) {
    return Fail(EINVAL, "agent_user={}: there is no such user", options.agent_user);
  }
  *created = true;
  return registry.CreateHierarchy(
      {.name = name, .release_agent = agent, .agent_user = options.agent_user});
}

Result<MountTable::Mounted> MountTable::Mount(std::string_view text, const std::string& source) {
  auto options = ParseMountOptions(text);
  if (!options) return Fail(options.error());
  MutexLock lock(mounts_mu_);
  SweepLocked();
  bool created = false;
  auto hierarchy = FindOrCreateLocked(*options, &created);
  if (!hierarchy) return Fail(hierarchy.error());
  Registry& registry = tree_.registry();
  std::string shown;
  for (const HierarchyInfo& info : registry.Hierarchies()) {
    if (info.id == *hierarchy) shown = OptionsText(info);
  }
  auto mount = FuseMount::Create(tree_, *registry.Root(*hierarchy),
                                 {.source = shown.empty() ? source : shown,
                                  .read_only = options->read_only,
                                  .nosuid = options->nosuid,
                                  .nodev = options->nodev,
                                  .noexec = options->noexec});
  if (!mount) {
    if (created) (void)registry.DestroyHierarchy(*hierarchy);
    return Fail(mount.error());
  }
  Mounted result{.descriptor = (*mount)->TakeMountFd(), .hierarchy = options->name.value_or("")};
  mounts_.push_back({*hierarchy, std::move(*mount)});
  log::Info("hierarchy '{}' mounted ({})", options->name.value_or(""), text);
  return result;
}

// Mounts whose last user is gone, and hierarchies nobody can reach any more: not mounted,
// no child cgroup, not built in (spec 3.11).
void MountTable::SweepLocked() {
  std::erase_if(mounts_, [](const Entry& entry) { return entry.mount->Ended(); });
  Registry& registry = tree_.registry();
  for (const HierarchyInfo& info : registry.Hierarchies()) {
    const bool mounted = std::any_of(mounts_.begin(), mounts_.end(), [&](const Entry& entry) {
      return entry.hierarchy == info.id;
    });
    if (mounted || info.built_in || info.cgroups > 1) continue;
    if (registry.DestroyHierarchy(info.id)) {
      log::Info("hierarchy '{}' ended: unmounted and without cgroups", info.name);
    }
  }
}

std::optional<CgroupId> MountTable::RootOnDevice(dev_t device) {
  MutexLock lock(mounts_mu_);
  for (const Entry& entry : mounts_) {
    if (entry.mount->device() == device && !entry.mount->Ended()) return entry.mount->root();
  }
  return std::nullopt;
}

std::size_t MountTable::CountOf(HierarchyId hierarchy) {
  MutexLock lock(mounts_mu_);
  SweepLocked();
  return static_cast<std::size_t>(
      std::count_if(mounts_.begin(), mounts_.end(),
                    [&](const Entry& entry) { return entry.hierarchy == hierarchy; }));
}

std::size_t MountTable::size() {
  MutexLock lock(mounts_mu_);
  SweepLocked();
  return mounts_.size();
}

void MountTable::NotifyChanged(CgroupId cgroup) {
  std::vector<std::shared_ptr<FuseMount>> mounts;
  {
    MutexLock lock(mounts_mu_);
    for (const Entry& entry : mounts_) mounts.push_back(entry.mount);
  }
  for (const auto& mount : mounts) mount->NotifyChanged(cgroup);
}

void MountTable::EndAll() {
  std::list<Entry> ending;
  {
    MutexLock lock(mounts_mu_);
    ending.swap(mounts_);
  }
  for (const Entry& entry : ending) {
    for (const std::string& point : MountPointsOf(entry.mount->device())) {
      if (::umount2(point.c_str(), MNT_DETACH) != 0) {
        log::Warn("cannot unmount {}: {}", point, std::strerror(errno));
      }
    }
  }
}

}  // namespace corral
