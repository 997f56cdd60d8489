// Quotas of delegated trees (spec 4.6). A mkdir asks those above that have any, and counts with
// them: it costs as many steps as there are quotas above, however deep the tree is.
#include <cerrno>
#include <vector>

#include "core/cgroup_tree.h"

namespace corral {

// For one more cgroup there. What the root says of depth is where its children begin (Mkdir).
Result<void> CgroupTree::CheckQuotas(Cgroup& parent) const {
  for (const Cgroup* up = parent.nearest_bound(); up; up = up->bound) {
    if (up->parent && parent.level + 1 - up->level > up->quotas.depth) {
      return Fail(EAGAIN, "{} may have {} levels of groups below it, and no more", ShownPath(*up),
                  up->quotas.depth);
    }
    if (up->descendants >= up->quotas.descendants) {
      return Fail(EAGAIN, "{} may have {} groups below it, and has {}", ShownPath(*up),
                  up->quotas.descendants, up->descendants);
    }
  }
  return {};
}

void CgroupTree::SetQuota(Cgroup& cgroup, std::uint64_t Quotas::*which, std::uint64_t most) {
  const Cgroup* const before = cgroup.nearest_bound();
  cgroup.quotas.*which = most;
  Cgroup* const now = cgroup.nearest_bound();
  if (now == before) return;
  // It is asked from now on, or not any more: who is below it learns that, and is counted. Who is
  // below another with quotas asks that one.
  std::vector<Cgroup*> todo{&cgroup};
  while (!todo.empty()) {
    const Cgroup& at = *todo.back();
    todo.pop_back();
    for (const auto& [name, child] : at.children) {
      child->bound = now;
      if (!child->has_quotas()) todo.push_back(child.get());
    }
  }
  if (now == &cgroup) cgroup.descendants = WithAllBelow(cgroup).size() - 1;
}

}  // namespace corral
