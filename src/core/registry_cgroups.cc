// Registry: cgroups, as nodes of the tree and as directories.
#include <cerrno>

#include "base/errors.h"
#include "core/operation.h"
#include "core/registry.h"

namespace corral {

// ---- made, removed, renamed

Result<CgroupId> Registry::Mkdir(CgroupId parent_id, std::string_view name, MkdirOptions options) {
  Operation operation(*core_);
  Cgroup& parent = *TRY(core_->tree.Find(parent_id, ENOENT));
  Cgroup& made = *TRY(core_->tree_changes.Mkdir(parent, name, options, /*clone=*/false));
  if (auto kept = core_->persistence.Commit(); !kept) {  // nobody has seen it
    // Also from a subsystem that has a reference: who hears of an error must not find it there.
    (void)core_->tree_changes.TakeBack(made, TreeChanges::References::kDoNotKeepIt);
    return Fail(kept.error());
  }
  return made.id;
}

Result<CgroupId> Registry::Rmdir(CgroupId parent_id, std::string_view name) {
  Operation operation(*core_);
  Cgroup& parent = *TRY(core_->tree.Find(parent_id, ENOENT));
  Cgroup& child = *TRY(core_->tree.FindChild(parent, name));
  const CgroupId id = child.id;
  TRY(core_->tree_changes.Remove(child));
  return id;
}

Result<void> Registry::Remove(CgroupId id) {
  Operation operation(*core_);
  Cgroup& cgroup = *TRY(core_->tree.Find(id, ENOENT));
  if (!cgroup.parent) return Fail(EPERM, "the root of a hierarchy cannot be removed");
  return core_->tree_changes.Remove(cgroup);
}

Result<void> Registry::Rename(CgroupId parent_id, std::string_view name, CgroupId new_parent_id,
                              std::string_view new_name) {
  Operation operation(*core_);
  Cgroup& parent = *TRY(core_->tree.Find(parent_id, ENOENT));
  Cgroup& new_parent = *TRY(core_->tree.Find(new_parent_id, ENOENT));
  return core_->tree_changes.Rename(parent, name, new_parent, new_name);
}

// ---- found

Result<CgroupId> Registry::Child(CgroupId parent, std::string_view name) const {
  TreeLock lock(core_->tree_mu);
  return TRY(core_->tree.FindChild(*TRY(core_->tree.Find(parent, ENOENT)), name))->id;
}

Result<std::vector<std::pair<std::string, CgroupId>>> Registry::Children(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  const Cgroup& cgroup = *TRY(core_->tree.Find(id, ENOENT));
  std::vector<std::pair<std::string, CgroupId>> children;
  for (const auto& [name, child] : cgroup.children) children.emplace_back(name, child->id);
  return children;
}

Result<std::vector<std::pair<std::string, CgroupId>>> Registry::ChildrenAfter(
    CgroupId id, CgroupId after, std::size_t most) const {
  TreeLock lock(core_->tree_mu);
  const auto& children = TRY(core_->tree.Find(id, ENOENT))->by_age;
  std::vector<std::pair<std::string, CgroupId>> some;
  for (auto at = children.upper_bound(after); at != children.end() && some.size() < most; ++at) {
    some.emplace_back(at->second->name, at->first);
  }
  return some;
}

Result<CgroupInfo> Registry::Info(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  const Cgroup& cgroup = *TRY(core_->tree.Find(id, ENOENT));
  return CgroupInfo{.id = id,
                    .parent = cgroup.parent ? cgroup.parent->id : CgroupId{},
                    .hierarchy = cgroup.hierarchy->id,
                    .hierarchy_name = core_->tree.Label(*cgroup.hierarchy),
                    .path = BuildPath(cgroup),
                    .children = cgroup.children.size(),
                    .notify_on_release = cgroup.notify_on_release,
                    .auto_remove = cgroup.auto_remove,
                    .populated = cgroup.populated(),
                    .releases = cgroup.shown.releases};
}

Result<std::string> Registry::PathOf(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  return BuildPath(*TRY(core_->tree.Find(id, ENOENT)));
}

Result<std::string> Registry::ToldPathOf(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  const Cgroup& cgroup = *TRY(core_->tree.Find(id, ENOENT));
  return PathWithin(cgroup, kMostTold, kMostLevelsTold).value_or("");
}

Result<CgroupId> Registry::Resolve(HierarchyId id, std::string_view path) const {
  TreeLock lock(core_->tree_mu);
  return TRY(core_->tree.Resolve(*TRY(core_->tree.FindHierarchy(id)), path))->id;
}

// ---- as directories

namespace {

CgroupFacts FactsOf(const Cgroup& cgroup) {
  return {.hierarchy = cgroup.hierarchy->id,
          .parent = cgroup.parent ? cgroup.parent->id : CgroupId{},
          .subsystems = cgroup.hierarchy->subsystems,
          .noprefix = cgroup.hierarchy->noprefix,
          .dialect = cgroup.hierarchy->dialect};
}

DirectoryView ViewOf(const Cgroup& cgroup) {
  const Cgroup& above = cgroup.parent ? *cgroup.parent : cgroup;
  return {.id = cgroup.id,
          .facts = FactsOf(cgroup),
          .children = cgroup.children.size(),
          .attributes = cgroup.attributes,
          .above = above.attributes.Of(Attributes::kDirectory)};
}

}  // namespace

std::optional<CgroupFacts> Registry::Facts(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  const auto found = core_->tree.Find(id, ENOENT);
  return found ? std::optional(FactsOf(**found)) : std::nullopt;
}

bool Registry::IsRoot(CgroupId id) const {
  const auto facts = Facts(id);
  return facts && facts->is_root();
}

Result<DirectoryView> Registry::View(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  return ViewOf(*TRY(core_->tree.Find(id, ENOENT)));
}

Result<Registry::Found> Registry::Lookup(CgroupId parent_id, std::string_view name) const {
  TreeLock lock(core_->tree_mu);
  const Cgroup& parent = *TRY(core_->tree.Find(parent_id, ENOENT));
  Found found{.parent = ViewOf(parent), .child = {}};
  const auto child = parent.children.find(name);
  if (child != parent.children.end()) found.child = ViewOf(*child->second);
  return found;
}

Result<DirectoryView> Registry::SetAttributes(CgroupId id, unsigned slot,
                                              const AttrChange& change) {
  Operation operation(*core_);
  Cgroup& cgroup = *TRY(core_->tree.Find(id, ENOENT));
  cgroup.attributes.Change(slot, change);
  core_->persistence.MarkAttributes(cgroup);
  return ViewOf(cgroup);
}

std::vector<NodeAttr> Registry::DirectoriesAbove(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  std::vector<NodeAttr> above;
  const auto found = core_->tree.Find(id, ENOENT);
  for (const Cgroup* up = found ? (*found)->parent : nullptr; up; up = up->parent) {
    above.push_back(up->attributes.Of(Attributes::kDirectory));
  }
  return above;
}

// ---- quotas

Result<Quotas> Registry::QuotasOf(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  return TRY(core_->tree.Find(id, ENODEV))->quotas;
}

Result<void> Registry::SetQuota(CgroupId id, std::uint64_t Quotas::*which, std::uint64_t most) {
  Operation operation(*core_);
  Cgroup& cgroup = *TRY(core_->tree.Find(id, ENODEV));
  core_->tree.SetQuota(cgroup, which, most);
  core_->persistence.Mark(cgroup);
  return {};
}

}  // namespace corral
