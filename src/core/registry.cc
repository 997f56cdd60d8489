// Topology: hierarchies, cgroups, names, flags, and listing.
#include "core/registry.h"

#include <algorithm>
#include <cerrno>
#include <thread>

#include "base/check.h"
#include "base/errors.h"
#include "base/text.h"

namespace corral {

// Leaves first: a css holds its parent's, and who let go of the last of a chain would go up it on
// the stack.
Cgroup::~Cgroup() {
  std::vector<std::unique_ptr<Cgroup>> below;
  const auto take_children = [&](Cgroup& of) {
    for (auto& [its_name, child] : of.children) below.push_back(std::move(child));
    of.children.clear();
  };
  take_children(*this);
  for (std::size_t i = 0; i < below.size(); ++i) take_children(*below[i]);
  while (!below.empty()) below.pop_back();
}

std::string BuildPath(const Cgroup& cgroup, std::size_t most) {
  std::vector<const Cgroup*> up;
  for (const Cgroup* at = &cgroup; at->parent; at = at->parent) up.push_back(at);
  std::string path;
  for (auto at = up.rbegin(); at != up.rend() && path.size() < most; ++at) {
    path += '/';
    path += (*at)->name;
  }
  if (path.size() > most) path.resize(most);
  return path.empty() ? "/" : path;
}

std::optional<std::string> PathWithin(const Cgroup& cgroup, std::size_t most, std::size_t levels) {
  std::size_t size = 0;
  for (const Cgroup* at = &cgroup; at->parent; at = at->parent) {
    size += 1 + at->name.size();
    if (size > most || levels-- == 0) return std::nullopt;
  }
  return BuildPath(cgroup);
}

std::string ShownPath(const Cgroup& cgroup) {
  constexpr std::size_t kMost = 256;
  if (auto path = PathWithin(cgroup, kMost, kMost)) return Printable(*path);
  std::string end;
  for (const Cgroup* at = &cgroup; end.size() + at->name.size() < kMost; at = at->parent) {
    end.insert(0, "/" + at->name);
  }
  return "..." + Printable(end);
}

Result<Cgroup*> Registry::FindLocked(CgroupId id, int missing) const {
  const auto found = cgroups_.find(id);
  if (found == cgroups_.end()) return Fail(missing, "cgroup {} is gone", id.value);
  return found->second;
}

Result<Hierarchy*> Registry::FindHierarchyLocked(HierarchyId id) const {
  const auto found = hierarchies_.find(id);
  if (found == hierarchies_.end()) return Fail(ENOENT, "hierarchy {} is gone", id.value);
  return found->second.get();
}

// ---- hierarchies

Result<HierarchyId> Registry::CreateHierarchy(const HierarchyOptions& options) {
  Operation lock(*this);
  for (const auto& [id, hierarchy] : hierarchies_) {
    const bool distinct = options.name.empty() && (options.subsystems | hierarchy->subsystems) != 0;
    if (hierarchy->name == options.name && !distinct) {
      return Fail(EEXIST, "there is a hierarchy named '{}' already", options.name);
    }
  }
  TRY(subsystems_.CheckFree(options.subsystems, {}));
  auto hierarchy = std::make_unique<Hierarchy>();
  hierarchy->id = HierarchyId{next_hierarchy_++};
  hierarchy->name = options.name;
  hierarchy->built_in = options.built_in;
  hierarchy->noprefix = options.noprefix;
  hierarchy->css_inherit = options.css_inherit;
  hierarchy->dialect = options.dialect;
  hierarchy->rules = options.rules;
  hierarchy->release_agent = options.release_agent;
  hierarchy->agent_user = options.agent_user;
  hierarchy->root.id = CgroupId{next_cgroup_++};
  hierarchy->root.hierarchy = hierarchy.get();
  hierarchy->root.clone_children = options.clone_children;
  hierarchy->root.quotas = options.quotas;
  hierarchy->root.populated_self = true;  // the machine itself; never judged
  TRY(subsystems_.Bind(options.subsystems, hierarchy->id, hierarchy->root.id));
  hierarchy->subsystems = options.subsystems;
  hierarchy->root.css = subsystems_.Roots(options.subsystems);
  hierarchy->cpu_at_start = MachineCpuTime();
  cgroups_.emplace(hierarchy->root.id, &hierarchy->root);
  const HierarchyId id = hierarchy->id;
  MarkLocked(*hierarchy);
  MarkLocked(hierarchy->root);
  MarkAttributesLocked(hierarchy->root);
  hierarchies_.emplace(id, std::move(hierarchy));
  if (auto kept = CommitRowsLocked(); !kept) {
    TakeOutLocked(*hierarchies_.at(id));
    return Fail(kept.error());
  }
  return id;
}

// No css_set has a member in a hierarchy without child cgroups, so no task's word has to
// change: its tasks are in the root of a hierarchy that is not there any more.
Result<void> Registry::DestroyHierarchy(HierarchyId id) {
  Operation lock(*this);
  auto hierarchy = FindHierarchyLocked(id);
  if (!hierarchy) return Fail(hierarchy.error());
  if ((*hierarchy)->built_in) {
    return Fail(EBUSY, "hierarchy '{}' is built in", (*hierarchy)->name);
  }
  if (!(*hierarchy)->root.children.empty()) {
    return Fail(EBUSY, "hierarchy '{}' has child cgroups", (*hierarchy)->name);
  }
  TakeOutLocked(**hierarchy);
  return {};
}

void Registry::TakeOutLocked(Hierarchy& hierarchy) {
  (void)subsystems_.Bind(hierarchy.subsystems, {}, {});
  MarkLocked(hierarchy);
  MarkLocked(hierarchy.root);
  cgroups_.erase(hierarchy.root.id);
  auto ended = hierarchies_.extract(hierarchy.id);
  if (ended.mapped()->waiting != 0) ended_.insert(std::move(ended));
}

Result<void> Registry::Rebind(HierarchyId id, SubsystemSet subsystems) {
  Operation lock(*this);
  auto found = FindHierarchyLocked(id);
  if (!found) return Fail(found.error());
  Hierarchy& hierarchy = **found;
  if (subsystems == hierarchy.subsystems) return {};
  if (!hierarchy.root.children.empty()) {
    return Fail(EBUSY, "hierarchy '{}' has child cgroups", LabelLocked(hierarchy));
  }
  if (auto free = subsystems_.CheckFree(subsystems, id); !free) return free;
  const SubsystemSet added = subsystems & ~hierarchy.subsystems;
  if (auto bound = subsystems_.Bind(added, id, hierarchy.root.id); !bound) return bound;
  (void)subsystems_.Bind(hierarchy.subsystems & ~subsystems, {}, {});
  hierarchy.subsystems = subsystems;
  hierarchy.root.css = subsystems_.Roots(subsystems);
  hierarchy.cpu_at_start = MachineCpuTime();
  MarkLocked(hierarchy);
  return {};
}

std::string Registry::LabelLocked(const Hierarchy& hierarchy) const {
  return hierarchy.name.empty() ? subsystems_.NamesOf(hierarchy.subsystems) : hierarchy.name;
}

std::optional<HierarchyId> Registry::FindByLabel(std::string_view label) const {
  MutexLock lock(tree_mu_);
  for (const auto& [id, hierarchy] : hierarchies_) {
    if (LabelLocked(*hierarchy) == label) return id;
  }
  const auto subsystem = subsystems_.Find(label);
  const HierarchyId bound = subsystem ? subsystems_.slots()[*subsystem].bound : HierarchyId{};
  return bound.value ? std::optional(bound) : std::nullopt;
}

HierarchyInfo Registry::InfoOfHierarchy(const Hierarchy& hierarchy) const {
  return {.id = hierarchy.id,
          .name = hierarchy.name,
          .label = LabelLocked(hierarchy),
          .subsystems = hierarchy.subsystems,
          .root = hierarchy.root.id,
          .built_in = hierarchy.built_in,
          .clone_children = hierarchy.root.clone_children,
          .noprefix = hierarchy.noprefix,
          .dialect = hierarchy.dialect,
          .release_agent = hierarchy.release_agent,
          .agent_user = hierarchy.agent_user,
          .cgroups = hierarchy.cgroups()};
}

std::optional<HierarchyInfo> Registry::InfoOf(HierarchyId id) const {
  MutexLock lock(tree_mu_);
  auto hierarchy = FindHierarchyLocked(id);
  if (!hierarchy) return std::nullopt;
  return InfoOfHierarchy(**hierarchy);
}

std::vector<HierarchyInfo> Registry::Hierarchies() const {
  MutexLock lock(tree_mu_);
  std::vector<HierarchyInfo> all;
  for (const auto& [id, hierarchy] : hierarchies_) all.push_back(InfoOfHierarchy(*hierarchy));
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return all;
}

Result<CgroupId> Registry::Root(HierarchyId id) const {
  MutexLock lock(tree_mu_);
  auto hierarchy = TRY(FindHierarchyLocked(id));
  return hierarchy->root.id;
}

Result<std::string> Registry::ReleaseAgent(HierarchyId id) const {
  MutexLock lock(tree_mu_);
  auto hierarchy = TRY(FindHierarchyLocked(id));
  return hierarchy->release_agent;
}

Result<void> Registry::SetReleaseAgent(HierarchyId id, std::string_view agent) {
  Operation lock(*this);
  auto hierarchy = FindHierarchyLocked(id);
  if (!hierarchy) return Fail(hierarchy.error());
  (*hierarchy)->release_agent = agent;
  MarkLocked(**hierarchy);
  return {};
}

Result<void> Registry::SetAgentUser(HierarchyId id, std::string_view user) {
  Operation lock(*this);
  auto hierarchy = FindHierarchyLocked(id);
  if (!hierarchy) return Fail(hierarchy.error());
  (*hierarchy)->agent_user = user;
  MarkLocked(**hierarchy);
  return {};
}

// ---- cgroups

Result<CgroupId> Registry::Mkdir(CgroupId parent_id, std::string_view name, MkdirOptions options) {
  Operation lock(*this);
  auto found = FindLocked(parent_id, ENOENT);
  if (!found) return Fail(found.error());
  auto made = MkdirLocked(**found, name, options, /*clone=*/false);
  if (!made) return Fail(made.error());
  if (auto kept = CommitRowsLocked(); !kept) {  // nobody has seen it
    (void)CloseLocked(**made);
    (void)TakeOutLocked(**made);
    return Fail(kept.error());
  }
  return (*made)->id;
}

Result<Cgroup*> Registry::MkdirLocked(Cgroup& parent, std::string_view name, MkdirOptions options,
                                      bool clone) {
  JudgeLocked(parent);  // a child that comes now does not hide that it was idle (I7)
  if (parent.children.contains(name)) {
    return Fail(EEXIST, "'{}' exists in {}", Printable(name), ShownPath(parent));
  }
  TRY(CheckQuotasLocked(parent));
  auto child = std::make_unique<Cgroup>();
  child->id = CgroupId{next_cgroup_++};
  child->hierarchy = parent.hierarchy;
  child->parent = &parent;
  child->name = name;
  child->notify_on_release = parent.notify_on_release;  // now, never later (spec 5.2)
  child->clone_children = parent.clone_children;
  if (!parent.parent) child->quotas.depth = parent.quotas.depth;
  child->auto_remove = options.auto_remove;
  child->attributes.uid = options.uid;
  child->attributes.gid = options.gid;
  if (options.mode) {
    child->attributes.Change(Attributes::kDirectory,
                             {.mode = options.mode, .ctime = child->attributes.made});
  }
  auto css = subsystems_.Create(parent.css, child->id, parent.hierarchy->css_inherit,
                                clone || parent.clone_children);
  if (!css) return Fail(css.error());
  child->css = std::move(*css);
  Cgroup* const made = child.get();
  cgroups_.emplace(made->id, made);
  parent.children.emplace(name, std::move(child));
  parent.by_age.emplace(made->id, made);
  made->level = parent.level + 1;
  made->bound = parent.nearest_bound();
  for (Cgroup* up = made->bound; up; up = up->bound) ++up->descendants;
  MarkLocked(*made);
  MarkAttributesLocked(*made);
  TouchEntriesLocked(parent);
  return made;
}

Result<CgroupId> Registry::Rmdir(CgroupId parent_id, std::string_view name) {
  Operation lock(*this);
  auto found = FindLocked(parent_id, ENOENT);
  if (!found) return Fail(found.error());
  const auto at = (*found)->children.find(name);
  if (at == (*found)->children.end()) {
    return Fail(ENOENT, "no cgroup '{}' in {}", Printable(name), ShownPath(**found));
  }
  const CgroupId id = at->second->id;
  TRY(RemoveLocked(*at->second));
  return id;
}

Result<void> Registry::Remove(CgroupId id) {
  Operation lock(*this);
  auto found = FindLocked(id, ENOENT);
  if (!found) return Fail(found.error());
  if (!(*found)->parent) return Fail(EPERM, "the root of a hierarchy cannot be removed");
  return RemoveLocked(**found);
}

// A removed cgroup has no task and gets none: its sets count 0, births cannot enter a set
// with count 0 (I5), and moves need the lock we hold.
Result<void> Registry::RemoveLocked(Cgroup& child) {
  Cgroup& parent = *child.parent;
  if (!child.children.empty()) return Fail(EBUSY, "{} has child cgroups", ShownPath(child));
  JudgeLocked(parent);
  JudgeLocked(child);
  if (HasLiveTaskLocked(child)) return Fail(EBUSY, "{} has tasks", ShownPath(child));
  if (auto closed = CloseLocked(child); !closed) return closed;

  if (child.populated_self) {
    // Some that left are still on their way out: the parent waits for them instead.
    SetPopulatedLocked(parent, true);
    SetPopulatedLocked(child, false);
    StartSettlingLocked(parent);
  }
  EmitLocked(Event::Kind::kRemoved, child);  // the last that is heard of it
  for (const CssSetId ghost : child.ghosts) AddGhostLocked(parent, ghost);
  DepartLocked(TakeOutLocked(child));

  TouchEntriesLocked(parent);
  parent.releasable = true;  // spec 9.3
  MarkLocked(parent);
  if (parent.parent) {
    parent.unjudged = true;  // the last child leaving may release it (spec 10.2)
    JudgeLocked(parent);
  }
  wake_();  // sets to retire
  return {};
}

// Nobody gets a reference to its css any more, and its sets are to be retired.
Result<void> Registry::CloseLocked(Cgroup& child) {
  if (auto closed = subsystems_.CloseToReferences(child.css); !closed) {
    return Fail(EBUSY, "{} is {}", ShownPath(child), closed.error().message);
  }
  subsystems_.Destroy(child.css);
  std::vector<CssSetId> sets;
  for (const auto& [set, leaves] : child.judged) sets.push_back(set);
  for (const CssSetId set : sets) UnlinkSetLocked(set);
  return {};
}

std::unique_ptr<Cgroup> Registry::TakeOutLocked(Cgroup& child) {
  Cgroup& parent = *child.parent;
  HandCpuTimeUpLocked(child);
  child.settling = false;
  MarkLocked(child);
  cgroups_.erase(child.id);
  for (Cgroup* up = child.bound; up; up = up->bound) --up->descendants;
  parent.by_age.erase(child.id);
  auto taken = std::move(parent.children.extract(child.name).mapped());
  FreeLimitNumberLocked(*taken);
  return taken;
}

Result<void> Registry::Rename(CgroupId parent_id, std::string_view name, CgroupId new_parent_id,
                              std::string_view new_name) {
  Operation lock(*this);
  auto found = FindLocked(parent_id, ENOENT);
  if (!found) return Fail(found.error());
  auto new_found = FindLocked(new_parent_id, ENOENT);
  if (!new_found) return Fail(new_found.error());
  Cgroup& parent = **found;
  const auto at = parent.children.find(name);
  if (at == parent.children.end()) {
    return Fail(ENOENT, "no cgroup '{}' in {}", Printable(name), ShownPath(parent));
  }
  if ((*new_found)->children.contains(new_name)) {
    return Fail(EEXIST, "'{}' exists in {}", Printable(new_name), ShownPath(**new_found));
  }
  if (parent_id != new_parent_id) {
    return Fail(EIO, "{} cannot go to another directory", ShownPath(*at->second));
  }
  auto node = parent.children.extract(at);
  node.key() = new_name;
  node.mapped()->name = new_name;
  node.mapped()->attributes.Change(Attributes::kDirectory, {});
  MarkLocked(*node.mapped());
  MarkAttributesLocked(*node.mapped());
  TouchEntriesLocked(parent);
  parent.children.insert(std::move(node));
  return {};
}

Result<CgroupId> Registry::Child(CgroupId parent, std::string_view name) const {
  MutexLock lock(tree_mu_);
  auto found = FindLocked(parent, ENOENT);
  if (!found) return Fail(found.error());
  const auto child = (*found)->children.find(name);
  if (child == (*found)->children.end()) {
    return Fail(ENOENT, "no cgroup '{}' in {}", Printable(name), ShownPath(**found));
  }
  return child->second->id;
}

Result<std::vector<std::pair<std::string, CgroupId>>> Registry::Children(CgroupId id) const {
  MutexLock lock(tree_mu_);
  auto found = TRY(FindLocked(id, ENOENT));
  std::vector<std::pair<std::string, CgroupId>> children;
  for (const auto& [name, child] : found->children) children.emplace_back(name, child->id);
  return children;
}

Result<std::vector<std::pair<std::string, CgroupId>>> Registry::ChildrenAfter(
    CgroupId id, CgroupId after, std::size_t most) const {
  MutexLock lock(tree_mu_);
  auto found = TRY(FindLocked(id, ENOENT));
  const auto& children = found->by_age;
  std::vector<std::pair<std::string, CgroupId>> some;
  for (auto at = children.upper_bound(after); at != children.end() && some.size() < most; ++at) {
    some.emplace_back(at->second->name, at->first);
  }
  return some;
}

// ---- as directories

CgroupFacts Registry::FactsOf(const Cgroup& cgroup) {
  return {.hierarchy = cgroup.hierarchy->id,
          .parent = cgroup.parent ? cgroup.parent->id : CgroupId{},
          .subsystems = cgroup.hierarchy->subsystems,
          .noprefix = cgroup.hierarchy->noprefix,
          .is_root = cgroup.parent == nullptr,
          .dialect = cgroup.hierarchy->dialect};
}

DirectoryView Registry::ViewOf(const Cgroup& cgroup) {
  const Cgroup& above = cgroup.parent ? *cgroup.parent : cgroup;
  return {.id = cgroup.id,
          .facts = FactsOf(cgroup),
          .children = cgroup.children.size(),
          .attributes = cgroup.attributes,
          .above = above.attributes.Of(Attributes::kDirectory)};
}

std::optional<CgroupFacts> Registry::Facts(CgroupId id) const {
  MutexLock lock(tree_mu_);
  const auto found = cgroups_.find(id);
  return found == cgroups_.end() ? std::nullopt : std::optional(FactsOf(*found->second));
}

bool Registry::IsRoot(CgroupId id) const {
  const auto facts = Facts(id);
  return facts && facts->is_root;
}

Result<DirectoryView> Registry::View(CgroupId id) const {
  MutexLock lock(tree_mu_);
  return ViewOf(*TRY(FindLocked(id, ENOENT)));
}

Result<Registry::Found> Registry::Lookup(CgroupId parent_id, std::string_view name) const {
  MutexLock lock(tree_mu_);
  const Cgroup& parent = *TRY(FindLocked(parent_id, ENOENT));
  Found found{.parent = ViewOf(parent), .child = {}};
  const auto child = parent.children.find(name);
  if (child != parent.children.end()) found.child = ViewOf(*child->second);
  return found;
}

Result<DirectoryView> Registry::SetAttributes(CgroupId id, unsigned slot,
                                              const AttrChange& change) {
  Operation lock(*this);
  Cgroup& cgroup = *TRY(FindLocked(id, ENOENT));
  cgroup.attributes.Change(slot, change);
  MarkAttributesLocked(cgroup);
  return ViewOf(cgroup);
}

// An entry came, went or was renamed.
void Registry::TouchEntriesLocked(Cgroup& directory) {
  directory.attributes.TouchEntries();
  MarkAttributesLocked(directory);
}

std::vector<NodeAttr> Registry::DirectoriesAbove(CgroupId id) const {
  MutexLock lock(tree_mu_);
  std::vector<NodeAttr> above;
  const auto found = cgroups_.find(id);
  if (found == cgroups_.end()) return above;
  for (const Cgroup* up = found->second->parent; up; up = up->parent) {
    above.push_back(up->attributes.Of(Attributes::kDirectory));
  }
  return above;
}

Result<std::size_t> Registry::ChildCount(CgroupId id) const {
  MutexLock lock(tree_mu_);
  auto found = TRY(FindLocked(id, ENOENT));
  return found->children.size();
}

Result<CgroupInfo> Registry::Info(CgroupId id) const {
  MutexLock lock(tree_mu_);
  auto found = FindLocked(id, ENOENT);
  if (!found) return Fail(found.error());
  const Cgroup& cgroup = **found;
  return CgroupInfo{.id = id,
                    .parent = cgroup.parent ? cgroup.parent->id : CgroupId{},
                    .hierarchy = cgroup.hierarchy->id,
                    .hierarchy_name = LabelLocked(*cgroup.hierarchy),
                    .path = BuildPath(cgroup),
                    .children = cgroup.children.size(),
                    .notify_on_release = cgroup.notify_on_release,
                    .auto_remove = cgroup.auto_remove,
                    .populated = cgroup.populated(),
                    .releases = cgroup.releases};
}

Result<std::string> Registry::PathOf(CgroupId id) const {
  MutexLock lock(tree_mu_);
  auto found = FindLocked(id, ENOENT);
  if (!found) return Fail(found.error());
  return BuildPath(**found);
}

Result<std::string> Registry::ToldPathOf(CgroupId id) const {
  MutexLock lock(tree_mu_);
  auto found = FindLocked(id, ENOENT);
  if (!found) return Fail(found.error());
  return PathWithin(**found, kMostTold, kMostLevelsTold).value_or("");
}

Result<CgroupId> Registry::Resolve(HierarchyId id, std::string_view path) const {
  MutexLock lock(tree_mu_);
  auto hierarchy = TRY(FindHierarchyLocked(id));
  const Cgroup* at = &hierarchy->root;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty()) continue;
    const auto child = at->children.find(name);
    if (child == at->children.end()) {
      return Fail(ENOENT, "no cgroup '{}' in {}:{}", Printable(name), hierarchy->name,
                  ShownPath(*at));
    }
    at = child->second.get();
  }
  return at->id;
}

// ---- listing

// Walking up from where a set is costs its depth; listing all that is below `top` would cost
// every group there, busy or not. Each cgroup on a way up is looked at once for all sets.
bool Registry::IsBelowLocked(CgroupId id, const Cgroup& top, KnownBelow& known) const {
  if (!top.parent) return true;  // every place of its hierarchy is
  const auto found = cgroups_.find(id);
  std::vector<const Cgroup*> way;
  bool below = false;
  for (const Cgroup* at = found == cgroups_.end() ? nullptr : found->second; at; at = at->parent) {
    const auto before = known.find(at);
    below = at == &top || (before != known.end() && before->second);
    if (below || before != known.end()) break;
    way.push_back(at);
  }
  for (const Cgroup* at : way) known.emplace(at, below);
  return below;
}

Result<std::pair<HierarchyId, CgroupId>> Registry::PlaceOf(CgroupId id) const {
  MutexLock lock(tree_mu_);
  auto found = TRY(FindLocked(id, ENODEV));
  return std::pair{found->hierarchy->id, found->place()};
}

Result<std::vector<Tid>> Registry::Tasks(CgroupId id) const {
  auto place = TRY(PlaceOf(id));
  return TasksAt(place.first, place.second);
}

std::vector<Tid> Registry::TasksAt(HierarchyId hierarchy, CgroupId place) const {
  std::vector<Tid> tids;
  sets_.ForEachTaskIn(
      hierarchy, [&](CgroupId at) { return at == place; },
      [&](Tid tid, Place) { tids.push_back(tid); });
  return tids;
}

std::vector<Tgid> ProcessesOf(const std::vector<TaskMember>& tasks) {
  std::vector<Tgid> tgids;
  for (const TaskMember& task : tasks) tgids.push_back(task.tgid);
  std::sort(tgids.begin(), tgids.end());
  tgids.erase(std::unique(tgids.begin(), tgids.end()), tgids.end());
  return tgids;
}

Result<std::vector<Tgid>> Registry::Processes(CgroupId id) const {
  auto place = TRY(PlaceOf(id));
  std::vector<TaskMember> tasks;
  sets_.ForEachTaskIn(
      place.first, [&](CgroupId at) { return at == place.second; },
      [&](Tid tid, Place at) {
        tasks.push_back({tid, at.tgid, at.set});
      });
  return ProcessesOf(tasks);
}

Result<std::vector<TaskMember>> Registry::SubtreeTasks(CgroupId id) const {
  MutexLock lock(tree_mu_);
  auto found = FindLocked(id, ENODEV);
  if (!found) return Fail(found.error());
  const Cgroup& top = **found;
  std::vector<TaskMember> tasks;
  KnownBelow known;
  sets_.ForEachTaskIn(
      top.hierarchy->id,
      [&](CgroupId at) REQUIRES(tree_mu_) { return IsBelowLocked(at, top, known); },
      [&](Tid tid, Place place) {
        tasks.push_back({.tid = tid, .tgid = place.tgid, .set = place.set});
      });
  return tasks;
}

Result<CgroupId> Registry::CgroupOf(Tid tid, HierarchyId id) const {
  MutexLock lock(tree_mu_);
  auto hierarchy = TRY(FindHierarchyLocked(id));
  auto place = TRY(tracker_.Describe(tid));
  const CgroupId cgroup = sets_.PlaceIn(place.set, id);
  return cgroup.value ? cgroup : hierarchy->root.id;
}

Result<Tgid> Registry::ProcessOfLive(Tid tid) const { return TRY(tracker_.Describe(tid)).tgid; }

void Registry::ForEachTask(const std::function<void(Tid, Tgid)>& fn) const {
  tracker_.ForEachTask([&](Tid tid, Place place) { fn(tid, place.tgid); });
}

CgroupId Registry::CgroupOfSet(CssSetId set, HierarchyId hierarchy) const {
  const CgroupId cgroup = sets_.PlaceIn(set, hierarchy);
  return cgroup.value ? cgroup : Root(hierarchy).value_or(CgroupId{});
}

}  // namespace corral
