// TreeChanges: makes, renames and removes hierarchies and cgroups, and does what that means for
// all other parts: css, verdicts, css_sets, CPU time, limits, notifications, events.
//
//   Cgroup* const made = TRY(changes.Mkdir(parent, "job", {}, /*clone=*/false));
//   TRY(changes.Remove(*made));   // EBUSY: tasks, children, references
#ifndef CORRAL_CORE_TREE_CHANGES_H_
#define CORRAL_CORE_TREE_CHANGES_H_

#include <functional>
#include <memory>
#include <string_view>

#include "core/cgroup.h"
#include "core/tree_lock.h"
#include "core/types.h"

namespace corral {

class BirthLimits;
class CgroupTree;
class CpuLedger;
class Events;
class LeavingSets;
class Notifications;
class Persistence;
class Releases;
class SetLinks;
struct Core;

class TreeChanges {
 public:
  explicit TreeChanges(Core& core);

  // ---- hierarchies; errors as in registry.h
  Result<Hierarchy*> CreateHierarchy(const HierarchyOptions& options) REQUIRES(the_tree);
  Result<void> DestroyHierarchy(Hierarchy& hierarchy) REQUIRES(the_tree);
  Result<void> Rebind(Hierarchy& hierarchy, SubsystemSet subsystems) REQUIRES(the_tree);

  // ---- cgroups
  // `clone`: subsystems are told so (spec 13.7).
  Result<Cgroup*> Mkdir(Cgroup& parent, std::string_view name, const MkdirOptions& options,
                        bool clone) REQUIRES(the_tree);
  // EEXIST; EIO: to another directory.
  Result<void> Rename(Cgroup& parent, std::string_view name, Cgroup& new_parent,
                      std::string_view new_name) REQUIRES(the_tree);
  // EBUSY.
  Result<void> Remove(Cgroup& child) REQUIRES(the_tree);
  // Takes back a Mkdir() of which nobody has heard. EBUSY: a subsystem has a reference, and that
  // keeps it.
  enum class References { kKeepIt, kDoNotKeepIt };
  Result<void> TakeBack(Cgroup& made, References references) REQUIRES(the_tree);

 private:
  Result<void> Close(Cgroup& child) REQUIRES(the_tree);
  std::unique_ptr<Cgroup> TakeOut(Cgroup& child) REQUIRES(the_tree);
  void TakeOut(Hierarchy& hierarchy) REQUIRES(the_tree);
  void TouchEntries(Cgroup& directory) REQUIRES(the_tree);

  SubsystemTable& subsystems_;
  CgroupTree& tree_;
  Releases& releases_;
  Events& events_;
  Notifications& notifications_;
  SetLinks& set_links_;
  LeavingSets& leaving_sets_;
  BirthLimits& birth_limits_;
  CpuLedger& cpu_ledger_;
  Persistence& persistence_;
  const std::function<void()>& wake_;
};

}  // namespace corral

#endif  // CORRAL_CORE_TREE_CHANGES_H_
