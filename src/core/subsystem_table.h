// SubsystemTable: the registered subsystems, where each is bound, and every call of one.
//
// Owned by the Registry, whose tree lock guards it. A plug-in is not trusted: an exception that
// leaves a callback becomes an error, or a line of the log where there is nobody to answer.
// What comes in several steps is done by all subsystems or taken back.
#ifndef CORRAL_CORE_SUBSYSTEM_TABLE_H_
#define CORRAL_CORE_SUBSYSTEM_TABLE_H_

#include <corral/subsystem.h>

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/tree_lock.h"
#include "core/types.h"

namespace corral {

// A cgroup's css by subsystem number; null where the subsystem is not of its hierarchy.
using CssList = std::vector<std::shared_ptr<Css>>;

class SubsystemTable {
 public:
  static constexpr std::size_t kMost = 16;

  struct Slot {
    std::shared_ptr<Subsystem> subsystem;
    std::shared_ptr<Css> root;
    HierarchyId bound;  // 0: nowhere
    // Whose Destroy() threw. The subsystem may have them in lists of its own still: they are kept.
    std::vector<std::shared_ptr<Css>> undestroyed;
  };

  // EEXIST: the name is taken; EINVAL: it is none; ENOSPC: too many; or what Start or Create say.
  Result<void> Register(std::shared_ptr<Subsystem> subsystem, Groups& groups, CssOwner& owner)
      REQUIRES(the_tree);

  const std::vector<Slot>& slots() const REQUIRES(the_tree) { return slots_; }
  std::optional<std::size_t> Find(std::string_view name) const REQUIRES(the_tree);
  std::string NamesOf(SubsystemSet set) const
      REQUIRES(the_tree);  // comma separated, in their order
  SubsystemSet All() const REQUIRES(the_tree) { return (SubsystemSet{1} << slots_.size()) - 1; }

  // EBUSY: one of them is bound to another hierarchy.
  Result<void> CheckFree(SubsystemSet set, HierarchyId hierarchy) const REQUIRES(the_tree);
  // The roots' css become those of `root` of `hierarchy`, or (both 0) of none.
  // REQUIRES: CheckFree(). All of them or none; EIO when one throws.
  Result<void> Bind(SubsystemSet set, HierarchyId hierarchy, CgroupId root) REQUIRES(the_tree);
  CssList Roots(SubsystemSet set) const REQUIRES(the_tree);

  // ---- the life of a cgroup. On failure nothing is left.
  Result<CssList> Create(const CssList& parent, CgroupId cgroup, bool inherits, bool clone)
      REQUIRES(the_tree);
  // EBUSY: somebody holds a reference.
  Result<void> CloseToReferences(const CssList& all) REQUIRES(the_tree);
  void Destroy(const CssList& all) REQUIRES(the_tree);
  static bool AnyReference(const CssList& all);
  // Css::task_limit() is `max` from here on; what it was.
  static std::uint64_t ExchangeTaskLimit(Css& css, std::uint64_t max);

  // ---- moves (spec 13.2)
  Result<void> CanAttach(const CssList& to, const CssList& from, Tid task) REQUIRES(the_tree);
  void Attach(const CssList& to, const CssList& from, Tid task) REQUIRES(the_tree);
  void Cancel(const CssList& to, const CssList& from, Tid task) REQUIRES(the_tree);

 private:
  void CancelFirst(std::size_t count, const CssList& to, const CssList& from, Tid task)
      REQUIRES(the_tree);

  std::vector<Slot> slots_ GUARDED_BY(the_tree);
};

}  // namespace corral

#endif  // CORRAL_CORE_SUBSYSTEM_TABLE_H_
