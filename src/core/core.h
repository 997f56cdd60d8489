// Core: the parts behind the Registry; nothing outside src/core sees them. Each has a header that
// says what it is about, fields of its own, and most a piece of `Cgroup` that only it changes. They
// know each other by reference; the fields of a part say whom it uses.
//
//   tree           hierarchies and cgroups: by id, by name, below each other
//   tree_changes   what making and removing one does to all other parts
//   moves          tasks to another cgroup
//   set_links      css_sets: made for a move, unlinked with their cgroups
//   leaving_sets   css_sets that are unlinked, until nobody is on the way out of them
//   releases       verdicts: who is empty, and when that may be told
//   events         what cgroup.events shows, and who is told that it changed
//   notifications  release agents to be started
//   births         subsystems that are told of births and deaths
//   birth_limits   limits on births, as the tracker is told them
//   cpu_ledger     CPU time
//   puts           references to css that somebody let go of
//   groups         what subsystems may ask
//   sets           css_sets: tuples and numbers, interning, listing (own lock)
//   subsystems     the registered subsystems, and every call of one
//   persistence    what outlives the process
//
// All of them work with the tree locked (tree_lock.h); what has a lock of its own says so.
#ifndef CORRAL_CORE_CORE_H_
#define CORRAL_CORE_CORE_H_

#include <corral/tracker.h>

#include <functional>
#include <memory>

#include "core/birth_limits.h"
#include "core/births.h"
#include "core/cgroup_tree.h"
#include "core/cpu_ledger.h"
#include "core/css_set_table.h"
#include "core/events.h"
#include "core/leaving_sets.h"
#include "core/moves.h"
#include "core/notifications.h"
#include "core/persistence.h"
#include "core/puts.h"
#include "core/releases.h"
#include "core/set_links.h"
#include "core/subsystem_table.h"
#include "core/tree_changes.h"
#include "core/tree_lock.h"

namespace corral {

struct Core {
  Core(Tracker& with_tracker, std::function<void()> call_wake);

  Tracker& tracker;
  const std::function<void()> wake;  // Registry::Registry

  Mutex settle_mu;  // one walk for leavers at a time: who waited finds most of it done
  TreeMutex tree_mu;

  Puts puts{*this};  // outlives every css
  SubsystemTable subsystems;
  std::unique_ptr<Groups> groups;  // what subsystems may ask
  CgroupTree tree{*this};
  CssSetTable sets;  // own lock (set_mu_)
  Persistence persistence{*this};
  Events events{*this};
  CpuLedger cpu_ledger{*this};
  LeavingSets leaving_sets{*this};
  BirthLimits birth_limits{*this};
  Notifications notifications{*this};
  Releases releases{*this};
  SetLinks set_links{*this};
  Births births{*this};
  Moves moves{*this};
  TreeChanges tree_changes{*this};
};

}  // namespace corral

#endif  // CORRAL_CORE_CORE_H_
