#include "daemon/mount_table.h"

#include <pwd.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>
#include <vector>

#include "base/errors.h"
#include "base/log.h"
#include "base/mountinfo.h"
#include "base/text.h"
#include "wire/bytes.h"

namespace corral {
namespace {

// The mount points of a device in our mount namespace, the newest first.
std::vector<std::string> MountPointsOf(dev_t device) {
  std::vector<std::string> points;
  for (MountLine& mount : MountsOf("self")) {
    if (mount.device == device) points.insert(points.begin(), std::move(mount.point));
  }
  return points;
}

// As in /proc/mounts, with what a terminal would act on as well.
std::string Escaped(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    std::uint32_t code = 0;
    const std::string_view sequence =
        text.substr(0, std::max(Utf8Length(text, code), std::size_t{1}));
    text.remove_prefix(sequence.size());
    const bool separates = std::string_view(" \\,").contains(sequence.front());
    if (!separates && Harmless(sequence) == sequence) {
      escaped += sequence;
      continue;
    }
    for (const char c : sequence) {
      escaped += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

}  // namespace

std::string MountTable::OptionsText(const HierarchyInfo& info, bool escaped) const {
  const Dialect& dialect = DialectOf(info.dialect);
  const auto value = [&](const std::string& text) { return escaped ? Escaped(text) : text; };
  std::string text;
  const auto add = [&](bool shown, std::string_view option) {
    if (!shown) return;
    if (!text.empty()) text += ',';
    text += option;
  };
  add(info.subsystems != 0, tree_.registry().NamesOf(info.subsystems));
  add(info.noprefix, "noprefix");
  add(!info.release_agent.empty(), "release_agent=" + value(info.release_agent));
  add(!info.agent_user.empty(), "agent_user=" + value(info.agent_user));
  add(info.clone_children, "clone_children");
  add(!info.name.empty() && !dialect.one_hierarchy, "name=" + info.name);
  add(&dialect != &DefaultDialect(), fmt::format("compat={}", dialect.name));
  return text;
}

// `now`: what stays where the options do not say. An agent may be the user's that it runs as: so it
// is looked at again when that is to be another one.
Result<void> MountTable::CheckAgent(const MountOptions& options, const HierarchyInfo& now) const {
  if (!options.agent_user.empty() && !::getpwnam(options.agent_user.c_str())) {
    return Fail(EINVAL, "agent_user={}: there is no such user", options.agent_user);
  }
  if (!options.release_agent && options.agent_user.empty()) return {};
  const std::string& agent = options.release_agent ? *options.release_agent : now.release_agent;
  if (agent.empty()) return {};
  return tree_.machine().CheckAgent(
      agent, options.agent_user.empty() ? now.agent_user : options.agent_user);
}

SubsystemSet MountTable::Wanted(const MountOptions& options, const Dialect& dialect) const {
  Registry& registry = tree_.registry();
  if (dialect.one_hierarchy) return 0;
  const bool silent = options.subsystems.empty() && !options.none && !options.name;
  if (options.all || silent) return registry.AllSubsystems();
  SubsystemSet wanted = 0;
  for (const std::string& name : options.subsystems) {
    wanted |= SubsystemSet{1} << registry.FindSubsystem(name).value();
  }
  return wanted;
}

// The same tree, whatever other options are given (spec 3.7), for the same name; without a name
// for the same subsystems.
Result<HierarchyId> MountTable::FindOrCreateLocked(const MountOptions& options,
                                                   const Result<void>& agent, bool* created) {
  Registry& registry = tree_.registry();
  const Dialect& dialect = DialectOf(options.dialect);
  const SubsystemSet wanted = Wanted(options, dialect);
  const bool says_which = options.none || options.all || !options.subsystems.empty();
  const std::string name =
      dialect.one_hierarchy ? std::string(dialect.name) : options.name.value_or("");
  for (const HierarchyInfo& info : registry.Hierarchies()) {
    if (!name.empty() && info.name != name) continue;
    if (info.subsystems == wanted && (!name.empty() || wanted != 0 || info.name.empty())) {
      return info.id;
    }
    if (name.empty()) continue;
    if (!says_which) return info.id;
    return Fail(EBUSY, "hierarchy '{}' has other subsystems ({})", name,
                info.subsystems ? registry.NamesOf(info.subsystems) : "none");
  }
  if (options.name && !says_which) {
    return Fail(EINVAL, "there is no hierarchy named '{}'; 'none,name={}' makes one", name, name);
  }
  if (!agent) return Fail(agent.error());
  *created = true;
  return registry.CreateHierarchy(
      {.name = name,
       .subsystems = wanted,
       .release_agent = options.release_agent.value_or(std::string(dialect.default_agent)),
       .agent_user = options.agent_user,
       .built_in = dialect.one_hierarchy,  // there until shutdown (spec 2)
       .clone_children = options.clone_children,
       .noprefix = options.noprefix,
       .css_inherit = dialect.css_inherit,
       .quotas = kHierarchyQuotas,
       .dialect = &dialect,
       .rules = dialect.releases});
}

Result<MountTable::Mounted> MountTable::Mount(std::string_view text, const std::string& source) {
  auto options = TRY(ParseMountOptions(text, tree_.registry().SubsystemNames()));
  if (options.remount) return Fail(EINVAL, "'remount' changes a mount that is there");
  // Before the table is locked: the agent's file system may take its time to answer.
  const Result<void> agent = CheckAgent(options, {});
  MutexLock lock(mounts_mu_);
  SweepLocked();
  bool created = false;
  auto hierarchy = FindOrCreateLocked(options, agent, &created);
  if (!hierarchy) return Fail(hierarchy.error());
  Registry& registry = tree_.registry();
  const HierarchyInfo info = registry.InfoOf(*hierarchy).value();
  const std::string shown = OptionsText(info, /*escaped=*/false);
  auto mount = FuseMount::Create(tree_, info.root,
                                 {.source = shown.empty() ? source : shown,
                                  .read_only = options.read_only,
                                  .nosuid = options.nosuid,
                                  .nodev = options.nodev});
  if (!mount) {
    if (created) (void)registry.DestroyHierarchy(*hierarchy);
    return Fail(mount.error());
  }
  Mounted result{.descriptor = (*mount)->TakeMountFd(), .hierarchy = info.name};
  mounts_.push_back({*hierarchy, source, std::move(*mount)});
  bereft_.erase(*hierarchy);
  log::Info("hierarchy '{}' mounted ({})", info.label, text);
  return result;
}

// Everything is looked at before anything is changed.
Result<MountOptions> MountTable::Remount(dev_t device, std::string_view text) {
  const auto hierarchy = HierarchyOnDevice(device);
  const auto info = hierarchy ? tree_.registry().InfoOf(*hierarchy) : std::nullopt;
  if (!info) return Fail(ENOENT, "no mount of this instance");
  const Dialect& dialect = DialectOf(info->dialect);
  auto options = ParseMountOptions(text, tree_.registry().SubsystemNames(), &dialect);
  if (!options) return options;
  if (options->dialect && options->dialect != &dialect) {
    return Fail(EINVAL, "the dialect of a hierarchy cannot be changed (it is {})", dialect.name);
  }
  if (!dialect.one_hierarchy && options->name && *options->name != info->name) {
    return Fail(EINVAL, "the name of a hierarchy cannot be changed (it is '{}')", info->name);
  }
  if (options->noprefix != info->noprefix) {
    return Fail(EINVAL, "'noprefix' cannot be changed while a hierarchy is there");
  }
  if (info->cgroups > 1) {
    return Fail(EBUSY, "hierarchy '{}' has child groups; only one without can be remounted",
                info->label);
  }
  TRY(CheckAgent(*options, *info));
  Registry& registry = tree_.registry();
  TRY(registry.Rebind(info->id, Wanted(*options, dialect)));
  if (options->release_agent) (void)registry.SetReleaseAgent(info->id, *options->release_agent);
  if (!options->agent_user.empty()) (void)registry.SetAgentUser(info->id, options->agent_user);
  log::Info("hierarchy '{}' remounted ({})", info->label, text);
  return options;
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
    if (mounted || info.built_in || info.cgroups > 1 || bereft_.contains(info.id)) continue;
    if (registry.DestroyHierarchy(info.id)) {
      log::Info("hierarchy '{}' ended: unmounted and without groups", info.label);
    }
  }
}

std::optional<HierarchyId> MountTable::HierarchyOnDevice(dev_t device) {
  MutexLock lock(mounts_mu_);
  for (const Entry& entry : mounts_) {
    if (entry.mount->device() == device && !entry.mount->Ended()) return entry.hierarchy;
  }
  return std::nullopt;
}

std::optional<CgroupId> MountTable::RootOnDevice(dev_t device) {
  const auto hierarchy = HierarchyOnDevice(device);
  if (!hierarchy) return std::nullopt;
  const auto root = tree_.registry().Root(*hierarchy);
  return root ? std::optional(*root) : std::nullopt;
}

std::size_t MountTable::CountOf(HierarchyId hierarchy) {
  MutexLock lock(mounts_mu_);
  SweepLocked();
  return static_cast<std::size_t>(
      std::count_if(mounts_.begin(), mounts_.end(),
                    [&](const Entry& entry) { return entry.hierarchy == hierarchy; }));
}

std::string MountTable::MountsText() {
  std::vector<std::tuple<std::string, dev_t, HierarchyId>> mounts;
  {
    MutexLock lock(mounts_mu_);
    for (const Entry& entry : mounts_) {
      if (!entry.mount->Ended()) {
        mounts.emplace_back(entry.source, entry.mount->device(), entry.hierarchy);
      }
    }
  }
  std::string text;
  for (const auto& [source, device, hierarchy] : mounts) {
    const auto info = tree_.registry().InfoOf(hierarchy);
    if (!info) continue;
    auto points = MountPointsOf(device);
    if (points.empty()) points.emplace_back("-");
    const std::string options = OptionsText(*info, /*escaped=*/true);
    for (const std::string& point : points) {
      text += fmt::format("{} {} container {} 0 0\n", Escaped(source), Escaped(point),
                          options.empty() ? "rw" : options);
    }
  }
  return text;
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

void MountTable::KeepUntilMounted() {
  MutexLock lock(mounts_mu_);
  for (const HierarchyInfo& info : tree_.registry().Hierarchies()) bereft_.insert(info.id);
}

void MountTable::EndAll() {
  std::list<Entry> ending;
  {
    MutexLock lock(mounts_mu_);
    ending.swap(mounts_);
  }
  for (const Entry& entry : ending) Detach(*entry.mount);
}

void Detach(const FuseMount& mount) {
  // The number of one that has ended may be another file system's by now.
  if (mount.Ended()) return;
  for (const std::string& point : MountPointsOf(mount.device())) {
    if (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
      log::Warn("cannot unmount {}: {}", point, std::strerror(errno));
    }
  }
}

}  // namespace corral
