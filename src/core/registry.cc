// Registry: subsystems and hierarchies. Cgroups: registry_cgroups.cc; tasks: registry_tasks.cc;
// releases and what is told of them: registry_releases.cc.
#include "core/registry.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/errors.h"
#include "core/foreign_calls.h"
#include "core/groups.h"
#include "core/operation.h"

namespace corral {

Registry::Registry(Tracker& tracker, std::function<void()> wake)
    : core_(std::make_unique<Core>(tracker, std::move(wake))) {
  core_->groups = MakeGroups(*this, *core_);
}

Registry::~Registry() {
  for (std::size_t i = 0; const auto subsystem = SubsystemAt(i); ++i) {
    GuardedTell(*subsystem, "Stop", [&] { subsystem->Stop(); });
  }
  const bool listens = [&] {
    TreeLock lock(core_->tree_mu);
    return core_->births.callbacks() != nullptr;
  }();
  // Not with the tree locked: it waits for a subsystem that is being told, and that may ask us.
  if (listens) (void)core_->tracker.Listen(nullptr);
}

Tracker& Registry::tracker() { return core_->tracker; }
std::size_t Registry::css_sets() const { return core_->sets.size(); }

// ---- subsystems

Result<void> Registry::Register(std::shared_ptr<Subsystem> subsystem, Births births) {
  Operation operation(*core_);
  const bool wants_forks = subsystem->WantsForks();
  const bool now = wants_forks && births == Births::kToldNow;
  if (now) TRY(core_->births.Listen());
  auto registered = core_->subsystems.Register(std::move(subsystem), *core_->groups, core_->puts);
  if (!registered) {
    if (now) core_->births.StopIfUnused();
    return registered;
  }
  if (wants_forks) core_->births.Want(core_->subsystems.slots().size() - 1);
  return now ? core_->births.Tell() : Result<void>();
}

Result<void> Registry::TellOfBirths() {
  Operation operation(*core_);
  return core_->births.Tell();
}

std::vector<SubsystemInfo> Registry::Subsystems() const {
  TreeLock lock(core_->tree_mu);
  std::vector<SubsystemInfo> all;
  for (const SubsystemTable::Slot& slot : core_->subsystems.slots()) {
    SubsystemInfo info{.name = std::string(slot.subsystem->name()), .hierarchy = slot.bound};
    if (auto hierarchy = core_->tree.FindHierarchy(slot.bound)) {
      info.cgroups = (*hierarchy)->cgroups();
    }
    all.push_back(std::move(info));
  }
  return all;
}

std::optional<std::size_t> Registry::FindSubsystem(std::string_view name) const {
  TreeLock lock(core_->tree_mu);
  return core_->subsystems.Find(name);
}

std::vector<std::string> Registry::SubsystemNames() const {
  TreeLock lock(core_->tree_mu);
  std::vector<std::string> names;
  for (const auto& slot : core_->subsystems.slots()) names.emplace_back(slot.subsystem->name());
  return names;
}

SubsystemSet Registry::AllSubsystems() const {
  TreeLock lock(core_->tree_mu);
  return core_->subsystems.All();
}

std::string Registry::NamesOf(SubsystemSet subsystems) const {
  TreeLock lock(core_->tree_mu);
  return core_->subsystems.NamesOf(subsystems);
}

std::shared_ptr<Subsystem> Registry::SubsystemAt(std::size_t number) const {
  TreeLock lock(core_->tree_mu);
  const auto& slots = core_->subsystems.slots();
  return number < slots.size() ? slots[number].subsystem : nullptr;
}

std::shared_ptr<Css> Registry::CssOf(CgroupId id, std::size_t subsystem) const {
  TreeLock lock(core_->tree_mu);
  auto found = core_->tree.Find(id, ENODEV);
  return found && subsystem < (*found)->css.size() ? (*found)->css[subsystem] : nullptr;
}

// ---- what outlives the process

Result<void> Registry::Keep(Journal& journal, DialectNames dialects) {
  Operation operation(*core_);
  CORRAL_CHECK(!core_->births.callbacks());  // somebody was told of tasks whose css are not known
  return core_->persistence.TakeOver(journal, std::move(dialects));
}

// ---- hierarchies

Result<HierarchyId> Registry::CreateHierarchy(const HierarchyOptions& options) {
  Operation operation(*core_);
  return TRY(core_->tree_changes.CreateHierarchy(options))->id;
}

Result<void> Registry::DestroyHierarchy(HierarchyId id) {
  Operation operation(*core_);
  return core_->tree_changes.DestroyHierarchy(*TRY(core_->tree.FindHierarchy(id)));
}

Result<void> Registry::Rebind(HierarchyId id, SubsystemSet subsystems) {
  Operation operation(*core_);
  return core_->tree_changes.Rebind(*TRY(core_->tree.FindHierarchy(id)), subsystems);
}

std::optional<HierarchyId> Registry::FindByLabel(std::string_view label) const {
  TreeLock lock(core_->tree_mu);
  return core_->tree.FindByLabel(label);
}

std::optional<HierarchyInfo> Registry::InfoOf(HierarchyId id) const {
  TreeLock lock(core_->tree_mu);
  auto hierarchy = core_->tree.FindHierarchy(id);
  if (!hierarchy) return std::nullopt;
  return core_->tree.InfoOf(**hierarchy);
}

std::vector<HierarchyInfo> Registry::Hierarchies() const {
  TreeLock lock(core_->tree_mu);
  std::vector<HierarchyInfo> all;
  for (const auto& [id, hierarchy] : core_->tree.hierarchies()) {
    all.push_back(core_->tree.InfoOf(*hierarchy));
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return all;
}

Result<CgroupId> Registry::Root(HierarchyId id) const {
  TreeLock lock(core_->tree_mu);
  return TRY(core_->tree.FindHierarchy(id))->root.id;
}

Result<std::string> Registry::ReleaseAgent(HierarchyId id) const {
  TreeLock lock(core_->tree_mu);
  return TRY(core_->tree.FindHierarchy(id))->release_agent;
}

Result<void> Registry::SetReleaseAgent(HierarchyId id, std::string_view agent) {
  Operation operation(*core_);
  Hierarchy& hierarchy = *TRY(core_->tree.FindHierarchy(id));
  hierarchy.release_agent = agent;
  core_->persistence.Mark(hierarchy);
  return {};
}

Result<void> Registry::SetAgentUser(HierarchyId id, std::string_view user) {
  Operation operation(*core_);
  Hierarchy& hierarchy = *TRY(core_->tree.FindHierarchy(id));
  hierarchy.agent_user = user;
  core_->persistence.Mark(hierarchy);
  return {};
}

}  // namespace corral
