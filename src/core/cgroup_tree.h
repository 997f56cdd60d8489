// CgroupTree: hierarchies and cgroups by id, by name and below each other; labels, paths, quotas.
//
// Knows nothing of tasks. What else has to happen when one is made or removed: tree_changes.h.
//
//   Cgroup* const cgroup = TRY(tree.Find(id, ENODEV));
//   std::string label = tree.Label(*cgroup->hierarchy);
#ifndef CORRAL_CORE_CGROUP_TREE_H_
#define CORRAL_CORE_CGROUP_TREE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/cgroup.h"
#include "core/css_set_table.h"
#include "core/tree_lock.h"
#include "core/types.h"

namespace corral {

struct Core;

class CgroupTree {
 public:
  explicit CgroupTree(Core& core);

  // ---- hierarchies
  Result<Hierarchy*> FindHierarchy(HierarchyId id) const REQUIRES(the_tree);  // ENOENT
  std::string Label(const Hierarchy& hierarchy) const REQUIRES(the_tree);
  std::optional<HierarchyId> FindByLabel(std::string_view label) const REQUIRES(the_tree);
  HierarchyInfo InfoOf(const Hierarchy& hierarchy) const REQUIRES(the_tree);
  const auto& hierarchies() const REQUIRES(the_tree) { return hierarchies_; }

  // ---- cgroups. `missing` is the error where it is gone.
  Result<Cgroup*> Find(CgroupId id, int missing) const REQUIRES(the_tree);
  Result<Cgroup*> FindChild(Cgroup& parent, std::string_view name) const REQUIRES(the_tree);
  // "/a/b" of a hierarchy. ENOENT.
  Result<Cgroup*> Resolve(Hierarchy& hierarchy, std::string_view path) const REQUIRES(the_tree);
  // As css_sets name it: id 0 is the root. REQUIRES: it is there.
  Cgroup& CgroupIn(Hierarchy& hierarchy, CgroupId id) const REQUIRES(the_tree);
  // The css of a set's cgroups, for CssSetTable, which keeps it.
  CssList CssOf(const SetTuple& tuple) const REQUIRES(the_tree);
  const auto& cgroups() const REQUIRES(the_tree) { return cgroups_; }

  // Whether `id` is `top` or below it. `known` is one listing's: what it has seen already.
  using KnownBelow = std::unordered_map<const Cgroup*, bool>;
  bool IsBelow(CgroupId id, const Cgroup& top, KnownBelow& known) const REQUIRES(the_tree);

  // ---- quotas (spec 4.6; quotas.cc)
  // EAGAIN: no more cgroups in `parent`.
  Result<void> CheckQuotas(Cgroup& parent) const REQUIRES(the_tree);
  void SetQuota(Cgroup& cgroup, std::uint64_t Quotas::*which, std::uint64_t most)
      REQUIRES(the_tree);

  // ---- in and out, by who knows what else there is to do
  struct NextIds {
    std::uint64_t cgroup = 1;
    std::uint32_t hierarchy = 1;
  };
  NextIds& next_ids() REQUIRES(the_tree) { return next_ids_; }
  void Insert(std::unique_ptr<Hierarchy> hierarchy) REQUIRES(the_tree);
  // Below `parent`; those above with quotas count it.
  Cgroup& Insert(Cgroup& parent, std::unique_ptr<Cgroup> child) REQUIRES(the_tree);
  std::unique_ptr<Hierarchy> Extract(Hierarchy& hierarchy) REQUIRES(the_tree);
  std::unique_ptr<Cgroup> Extract(Cgroup& child) REQUIRES(the_tree);
  void Rename(Cgroup& child, std::string_view name) REQUIRES(the_tree);

 private:
  const SubsystemTable& subsystems_;

  std::unordered_map<HierarchyId, std::unique_ptr<Hierarchy>> hierarchies_ GUARDED_BY(the_tree);
  std::unordered_map<CgroupId, Cgroup*> cgroups_ GUARDED_BY(the_tree);
  NextIds next_ids_ GUARDED_BY(the_tree);
};

// Of a cgroup, never recursively. REQUIRES: the tree is locked.
// The path from its root; no more than the first `most` bytes.
std::string BuildPath(const Cgroup& cgroup, std::size_t most = SIZE_MAX);
// The path, if it has no more bytes and levels than that; costs no more either.
std::optional<std::string> PathWithin(const Cgroup& cgroup, std::size_t most, std::size_t levels);
// For sentences: printable, and of a long path only the end.
std::string ShownPath(const Cgroup& cgroup);
// It and all below it, parents before their children.
template <typename MaybeConst>  // Cgroup or const Cgroup
std::vector<MaybeConst*> WithAllBelow(MaybeConst& top) {
  std::vector<MaybeConst*> all{&top};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const auto& [name, child] : all[i]->children) all.push_back(child.get());
  }
  return all;
}

}  // namespace corral

#endif  // CORRAL_CORE_CGROUP_TREE_H_
