#include "core/tree_changes.h"

#include <cerrno>

#include "base/errors.h"
#include "base/text.h"
#include "core/core.h"

namespace corral {

TreeChanges::TreeChanges(Core& core)
    : subsystems_(core.subsystems),
      tree_(core.tree),
      releases_(core.releases),
      events_(core.events),
      notifications_(core.notifications),
      set_links_(core.set_links),
      leaving_sets_(core.leaving_sets),
      birth_limits_(core.birth_limits),
      cpu_ledger_(core.cpu_ledger),
      persistence_(core.persistence),
      wake_(core.wake) {}

// ---- hierarchies

Result<Hierarchy*> TreeChanges::CreateHierarchy(const HierarchyOptions& options) {
  for (const auto& [id, hierarchy] : tree_.hierarchies()) {
    const bool distinct = options.name.empty() && (options.subsystems | hierarchy->subsystems) != 0;
    if (hierarchy->name == options.name && !distinct) {
      return Fail(EEXIST, "there is a hierarchy named '{}' already", options.name);
    }
  }
  TRY(subsystems_.CheckFree(options.subsystems, {}));
  auto made = std::make_unique<Hierarchy>();
  Hierarchy& hierarchy = *made;
  hierarchy.id = HierarchyId{tree_.next_ids().hierarchy++};
  hierarchy.name = options.name;
  hierarchy.built_in = options.built_in;
  hierarchy.noprefix = options.noprefix;
  hierarchy.css_inherit = options.css_inherit;
  hierarchy.dialect = options.dialect;
  hierarchy.rules = options.rules;
  hierarchy.release_agent = options.release_agent;
  hierarchy.agent_user = options.agent_user;
  hierarchy.root.id = CgroupId{tree_.next_ids().cgroup++};
  hierarchy.root.hierarchy = &hierarchy;
  hierarchy.root.clone_children = options.clone_children;
  hierarchy.root.quotas = options.quotas;
  hierarchy.root.shown.populated_self = true;  // the machine itself; never judged
  TRY(subsystems_.Bind(options.subsystems, hierarchy.id, hierarchy.root.id));
  hierarchy.subsystems = options.subsystems;
  hierarchy.root.css = subsystems_.Roots(options.subsystems);
  hierarchy.cpu_at_start = cpu_ledger_.OfMachine();
  persistence_.Mark(hierarchy);
  persistence_.Mark(hierarchy.root);
  persistence_.MarkAttributes(hierarchy.root);
  tree_.Insert(std::move(made));
  if (auto kept = persistence_.Commit(); !kept) {
    TakeOut(hierarchy);
    return Fail(kept.error());
  }
  return &hierarchy;
}

// No css_set has a member in a hierarchy without child cgroups, so no task's word has to
// change: its tasks are in the root of a hierarchy that is not there any more.
Result<void> TreeChanges::DestroyHierarchy(Hierarchy& hierarchy) {
  if (hierarchy.built_in) return Fail(EBUSY, "hierarchy '{}' is built in", hierarchy.name);
  if (!hierarchy.root.children.empty()) {
    return Fail(EBUSY, "hierarchy '{}' has child groups", hierarchy.name);
  }
  TakeOut(hierarchy);
  return {};
}

void TreeChanges::TakeOut(Hierarchy& hierarchy) {
  (void)subsystems_.Bind(hierarchy.subsystems, {}, {});
  persistence_.Mark(hierarchy);
  persistence_.Mark(hierarchy.root);
  persistence_.MarkAttributes(hierarchy.root);
  notifications_.Depart(tree_.Extract(hierarchy));
}

Result<void> TreeChanges::Rebind(Hierarchy& hierarchy, SubsystemSet subsystems) {
  if (subsystems == hierarchy.subsystems) return {};
  if (!hierarchy.root.children.empty()) {
    return Fail(EBUSY, "hierarchy '{}' has child groups", tree_.Label(hierarchy));
  }
  TRY(subsystems_.CheckFree(subsystems, hierarchy.id));
  const SubsystemSet added = subsystems & ~hierarchy.subsystems;
  TRY(subsystems_.Bind(added, hierarchy.id, hierarchy.root.id));
  (void)subsystems_.Bind(hierarchy.subsystems & ~subsystems, {}, {});
  hierarchy.subsystems = subsystems;
  hierarchy.root.css = subsystems_.Roots(subsystems);
  hierarchy.cpu_at_start = cpu_ledger_.OfMachine();
  persistence_.Mark(hierarchy);
  return {};
}

// ---- cgroups

Result<Cgroup*> TreeChanges::Mkdir(Cgroup& parent, std::string_view name,
                                   const MkdirOptions& options, bool clone) {
  releases_.Judge(parent);  // a child that comes now does not hide that it was idle (I7)
  if (parent.children.contains(name)) {
    return Fail(EEXIST, "'{}' exists in {}", Printable(name), ShownPath(parent));
  }
  TRY(tree_.CheckQuotas(parent));
  auto child = std::make_unique<Cgroup>();
  child->id = CgroupId{tree_.next_ids().cgroup++};
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
  child->css = TRY(subsystems_.Create(parent.css, child->id, parent.hierarchy->css_inherit,
                                      clone || parent.clone_children));
  Cgroup& made = tree_.Insert(parent, std::move(child));
  persistence_.Mark(made);
  persistence_.MarkAttributes(made);
  TouchEntries(parent);
  return &made;
}

Result<void> TreeChanges::Rename(Cgroup& parent, std::string_view name, Cgroup& new_parent,
                                 std::string_view new_name) {
  Cgroup& child = *TRY(tree_.FindChild(parent, name));
  if (new_parent.children.contains(new_name)) {
    return Fail(EEXIST, "'{}' exists in {}", Printable(new_name), ShownPath(new_parent));
  }
  if (&parent != &new_parent) {
    return Fail(EIO, "{} cannot go to another directory", ShownPath(child));
  }
  // Whoever emptied under the old name is told of with that (spec 2.16).
  if (child.hierarchy->rules.per_emptying) releases_.JudgeBelow(child);
  tree_.Rename(child, new_name);
  child.attributes.Change(Attributes::kDirectory, {});
  persistence_.Mark(child);
  persistence_.MarkAttributes(child);
  TouchEntries(parent);
  return {};
}

// A removed cgroup has no task and gets none: its sets count 0, births cannot enter a set
// with count 0 (I5), and moves need the lock we hold.
Result<void> TreeChanges::Remove(Cgroup& child) {
  Cgroup& parent = *child.parent;
  if (!child.children.empty()) return Fail(EBUSY, "{} has child groups", ShownPath(child));
  releases_.Judge(parent);
  releases_.Judge(child);
  if (releases_.HasLiveTask(child)) return Fail(EBUSY, "{} has tasks", ShownPath(child));
  TRY(Close(child));

  if (child.shown.populated_self) {
    // Some that left are still on their way out: the parent waits for them instead.
    events_.SetPopulated(parent, true);
    events_.SetPopulated(child, false);
    releases_.StartSettling(parent);
  }
  events_.Emit(Event::Kind::kRemoved, child);  // the last that is heard of it
  for (const CssSetId ghost : child.ghosts) leaving_sets_.AddGhost(parent, ghost);
  notifications_.Depart(TakeOut(child));

  TouchEntries(parent);
  parent.releasable = true;  // spec 9.3
  persistence_.Mark(parent);
  if (parent.parent) {
    parent.release.unjudged = true;  // the last child leaving may release it (spec 10.2)
    releases_.Judge(parent);
  }
  wake_();  // sets to retire
  return {};
}

Result<void> TreeChanges::TakeBack(Cgroup& made, References references) {
  auto closed = Close(made);
  if (!closed && references == References::kKeepIt) return closed;
  for (const CssSetId ghost : made.ghosts) leaving_sets_.AddGhost(*made.parent, ghost);
  (void)TakeOut(made);
  wake_();
  return {};
}

// An entry came, went or was renamed.
void TreeChanges::TouchEntries(Cgroup& directory) {
  directory.attributes.TouchEntries();
  persistence_.MarkAttributes(directory);
}

// Nobody gets a reference to its css any more, and its sets are to be retired.
Result<void> TreeChanges::Close(Cgroup& child) {
  if (auto closed = subsystems_.CloseToReferences(child.css); !closed) {
    return Fail(EBUSY, "{} is {}", ShownPath(child), closed.error().message);
  }
  subsystems_.Destroy(child.css);
  set_links_.UnlinkAll(child);
  return {};
}

// It still knows its parent.
std::unique_ptr<Cgroup> TreeChanges::TakeOut(Cgroup& child) {
  cpu_ledger_.HandUp(child);
  child.release.settling = false;
  persistence_.Mark(child);
  persistence_.MarkAttributes(child);
  auto taken = tree_.Extract(child);
  birth_limits_.Free(*taken);
  return taken;
}

}  // namespace corral
