// CssSetTable: interns "one cgroup per hierarchy" (spec 1.6). The way back, from a cgroup to
// its sets, is ReleaseState::judged.
//
// A css_set is the sorted tuple of the *non-root* cgroups of a task; a hierarchy that is
// not in the tuple means its root. So the initial css_set is the empty tuple, and making
// or destroying a hierarchy rewrites nothing.
//
// Owned by the Registry; `set_mu_` is the second of its two locks. Listing tasks and
// telling of births and deaths take only this one; everything that changes a place holds the tree
// lock as well.
#ifndef CORRAL_CORE_CSS_SET_TABLE_H_
#define CORRAL_CORE_CSS_SET_TABLE_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <corral/tracker.h>

#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "core/subsystem_table.h"

namespace corral {

// One non-root cgroup of a css_set.
struct Member {
  HierarchyId hierarchy;
  CgroupId cgroup;
  auto operator<=>(const Member&) const = default;
};

// Sorted by hierarchy, at most one member for each.
using SetTuple = std::vector<Member>;

// The tuple with `hierarchy`'s place replaced; `cgroup` 0 means its root.
SetTuple WithPlace(SetTuple tuple, HierarchyId hierarchy, CgroupId cgroup);
// The tuple's cgroup in `hierarchy`; id 0 for its root.
CgroupId PlaceIn(const SetTuple& tuple, HierarchyId hierarchy);

class CssSetTable {
 public:
  // The css of a set by subsystem number, from its tuple; asked once for each set, when it comes
  // into the table, by whoever holds the tree.
  using CssOfTuple = std::function<CssList(const SetTuple&)>;
  CssSetTable(Tracker& tracker, CssOfTuple css_of);

  struct Interned {
    CssSetId set;
    bool made = false;         // did not exist before
    std::uint32_t leaves = 0;  // when made: where its links start judged
  };
  // The set with this tuple, made when there is none. ENOSPC: the tracker's table is full.
  Result<Interned> Intern(const SetTuple& tuple);

  // A set's css by subsystem number; null, or beyond the end, for the root's. The one place where
  // this is known, also without the tree. Never changes while the set has a task: a subsystem is
  // not bound elsewhere as long as a cgroup below the root is there.
  CssList CssOf(CssSetId set) const;

  // The tuple of a set that is interned or waits to be retired; empty for any other.
  SetTuple TupleOf(CssSetId set) const;

  // The cgroup a set has in a hierarchy; id 0 for the root.
  CgroupId PlaceIn(CssSetId set, HierarchyId hierarchy) const;

  // Calls fn for every live task whose place in `hierarchy` is `wanted` (id 0 stands for the
  // root), tids ascending. Asks once for each set that a live task has, so the cost grows with
  // tasks, not with sets. Holds set_mu_: no set is made meanwhile, so a task that another
  // hierarchy's move gives another set is seen all the same.
  using Wanted = std::function<bool(CgroupId)>;
  void ForEachTaskIn(HierarchyId hierarchy, const Wanted& wanted,
                     const std::function<void(Tid, Place)>& fn) const;

  // The tids of those in one place.
  std::vector<Tid> TasksAt(HierarchyId hierarchy, CgroupId place) const;

  // Takes a set out of the table: nobody can be moved to it again. Its id stays taken
  // until Retire().
  void Unlink(CssSetId set);
  // REQUIRES: unlinked, count 0, no leaver.
  void Retire(CssSetId set);

  // A set that was there before this process, linked or waiting to be retired; TakenOver() after
  // the last of them. EBADMSG: it cannot be.
  Result<void> TakeOver(CssSetId set, const SetTuple& tuple, bool linked);
  void TakenOver();

  std::size_t size() const;
  // Every interned set, for the search for idle ones when the table is full.
  std::vector<CssSetId> All() const;

 private:
  // Whether a listing wants a set: known when `pass` is that listing's.
  struct Choice {
    std::uint32_t pass = 0;
    bool wanted = false;
  };

  void AddLocked(CssSetId set, const SetTuple& tuple, bool linked) REQUIRES(set_mu_);

  Tracker& tracker_;
  const CssOfTuple css_of_;
  mutable Mutex set_mu_;
  std::map<SetTuple, CssSetId> by_tuple_ GUARDED_BY(set_mu_);
  std::unordered_map<CssSetId, SetTuple> tuples_ GUARDED_BY(set_mu_);  // interned and retiring
  std::unordered_map<CssSetId, CssList> css_ GUARDED_BY(set_mu_);      // of those that have any
  std::vector<CssSetId> free_ GUARDED_BY(set_mu_);
  std::uint32_t next_fresh_ GUARDED_BY(set_mu_);
  mutable std::vector<Choice> choices_ GUARDED_BY(set_mu_);  // by set id
  mutable std::uint32_t pass_ GUARDED_BY(set_mu_) = 0;
};

}  // namespace corral

#endif  // CORRAL_CORE_CSS_SET_TABLE_H_
