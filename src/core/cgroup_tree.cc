#include "core/cgroup_tree.h"

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "core/core.h"

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

CgroupTree::CgroupTree(Core& core) : subsystems_(core.subsystems) {}

// ---- hierarchies

Result<Hierarchy*> CgroupTree::FindHierarchy(HierarchyId id) const {
  const auto found = hierarchies_.find(id);
  if (found == hierarchies_.end()) return Fail(ENOENT, "hierarchy {} is gone", id.value);
  return found->second.get();
}

std::string CgroupTree::Label(const Hierarchy& hierarchy) const {
  return hierarchy.name.empty() ? subsystems_.NamesOf(hierarchy.subsystems) : hierarchy.name;
}

std::optional<HierarchyId> CgroupTree::FindByLabel(std::string_view label) const {
  for (const auto& [id, hierarchy] : hierarchies_) {
    if (Label(*hierarchy) == label) return id;
  }
  const auto subsystem = subsystems_.Find(label);
  const HierarchyId bound = subsystem ? subsystems_.slots()[*subsystem].bound : HierarchyId{};
  return bound.value ? std::optional(bound) : std::nullopt;
}

HierarchyInfo CgroupTree::InfoOf(const Hierarchy& hierarchy) const {
  return {.id = hierarchy.id,
          .name = hierarchy.name,
          .label = Label(hierarchy),
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

// ---- cgroups

Result<Cgroup*> CgroupTree::Find(CgroupId id, int missing) const {
  const auto found = cgroups_.find(id);
  if (found == cgroups_.end()) return Fail(missing, "group {} is gone", id.value);
  return found->second;
}

Result<Cgroup*> CgroupTree::FindChild(Cgroup& parent, std::string_view name) const {
  const auto child = parent.children.find(name);
  if (child == parent.children.end()) {
    return Fail(ENOENT, "no group '{}' in {}", Printable(name), ShownPath(parent));
  }
  return child->second.get();
}

Result<Cgroup*> CgroupTree::Resolve(Hierarchy& hierarchy, std::string_view path) const {
  Cgroup* at = &hierarchy.root;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty()) continue;
    const auto child = at->children.find(name);
    if (child == at->children.end()) {
      return Fail(ENOENT, "no group '{}' in {}:{}", Printable(name), hierarchy.name,
                  ShownPath(*at));
    }
    at = child->second.get();
  }
  return at;
}

Cgroup& CgroupTree::CgroupIn(Hierarchy& hierarchy, CgroupId id) const {
  return id.value ? **Find(id, ENODEV) : hierarchy.root;
}

// A set that was taken over and is to be retired may name a cgroup that is gone: its css is gone
// with the process before us, and nobody is in it any more.
CssList CgroupTree::CssOf(const SetTuple& tuple) const {
  CssList all;
  for (const Member& member : tuple) {
    const auto cgroup = Find(member.cgroup, ENODEV);
    if (!cgroup) continue;
    const CssList& own = (*cgroup)->css;
    all.resize(std::max(all.size(), own.size()));
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (own[i]) all[i] = own[i];
    }
  }
  return all;
}

// Walking up from where a set is costs its depth; listing all that is below `top` would cost
// every group there, busy or not. Each cgroup on a way up is looked at once for all sets.
bool CgroupTree::IsBelow(CgroupId id, const Cgroup& top, KnownBelow& known) const {
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

// ---- in and out

void CgroupTree::Insert(std::unique_ptr<Hierarchy> hierarchy) {
  cgroups_.emplace(hierarchy->root.id, &hierarchy->root);
  const HierarchyId id = hierarchy->id;
  hierarchies_.emplace(id, std::move(hierarchy));
}

Cgroup& CgroupTree::Insert(Cgroup& parent, std::unique_ptr<Cgroup> child) {
  Cgroup& made = *child;
  made.hierarchy = parent.hierarchy;
  made.parent = &parent;
  made.level = parent.level + 1;
  made.bound = parent.nearest_bound();
  cgroups_.emplace(made.id, &made);
  parent.by_age.emplace(made.id, &made);
  parent.children.emplace(made.name, std::move(child));
  for (Cgroup* up = made.bound; up; up = up->bound) ++up->descendants;
  return made;
}

std::unique_ptr<Hierarchy> CgroupTree::Extract(Hierarchy& hierarchy) {
  cgroups_.erase(hierarchy.root.id);
  return std::move(hierarchies_.extract(hierarchy.id).mapped());
}

std::unique_ptr<Cgroup> CgroupTree::Extract(Cgroup& child) {
  cgroups_.erase(child.id);
  for (Cgroup* up = child.bound; up; up = up->bound) --up->descendants;
  child.parent->by_age.erase(child.id);
  return std::move(child.parent->children.extract(child.name).mapped());
}

void CgroupTree::Rename(Cgroup& child, std::string_view name) {
  auto node = child.parent->children.extract(child.name);
  node.key() = name;
  child.name = name;
  child.parent->children.insert(std::move(node));
}

}  // namespace corral
