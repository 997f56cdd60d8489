// Moves: tasks and whole processes to another cgroup, with the subsystems' consent.
//
// Every method is called with the tree and the births held (Tracker::HoldTasks), and all of a move
// stays, or none of it (spec 6.8).
//
//   const auto still = tracker.HoldTasks();
//   std::vector<Moves::Moved> moved;
//   auto done = moves.MoveTask(to, tid, tgid, &moved);
//   return moves.Finish(to, std::move(done), moved, guard);   // undone unless all is well
#ifndef CORRAL_CORE_MOVES_H_
#define CORRAL_CORE_MOVES_H_

#include <corral/tracker.h>

#include <set>
#include <unordered_map>
#include <vector>

#include "core/cgroup.h"
#include "core/css_set_table.h"
#include "core/tree_lock.h"
#include "core/types.h"

namespace corral {

class Births;
class CgroupTree;
class CpuLedger;
class Events;
class Persistence;
class Releases;
class SetLinks;
struct Core;

class Moves {
 public:
  struct Moved {
    Tid tid;
    Tgid tgid;
    SetTuple from;
    CssList from_css;  // only where somebody is told of births
    CssSetId to;
  };
  enum class Seen {
    kYes,     // it is where it was to go, or ended on the way
    kNobody,  // no live task of it: it is gone, or was inside exec each time (I6)
  };

  explicit Moves(Core& core);

  void KeepInRoots(std::set<Tgid> processes) REQUIRES(the_tree);
  // EPERM: it is kept in the roots.
  Result<void> CheckMayGo(const Cgroup& to, Tgid process) const REQUIRES(the_tree);

  // The process of any of its tids. ESRCH. Without a lock.
  static Result<Tgid> ProcessOf(const Tracker& tracker, Tid tid);

  // One task of process `tgid`, wherever it is. Fills `moved` when it was elsewhere; then the
  // subsystems wait for Finish().
  Result<void> MoveTask(Cgroup& to, Tid tid, Tgid tgid, std::vector<Moved>* moved)
      REQUIRES(the_tree);
  // All threads of a process.
  Result<Seen> MoveProcess(Cgroup& to, Tgid tgid, std::vector<Moved>* moved) REQUIRES(the_tree);
  // Commits what was moved; or undoes it, where `done` is an error or `guard` says one.
  Result<void> Finish(Cgroup& to, Result<void> done, const std::vector<Moved>& moved,
                      const AttachGuard& guard) REQUIRES(the_tree);

 private:
  // Tasks that the subsystems agreed to move, and from where (spec 13.2).
  using Agreed = std::unordered_map<Tid, const Cgroup*>;

  void Introduce(Tid tid, const Place& place) REQUIRES(the_tree);

  // What one pass over the words saw of a process.
  struct Pass {
    bool seen = false;
    std::vector<Tid> elsewhere;
  };
  Pass LookFor(Tgid tgid, const Cgroup& to) const REQUIRES(the_tree);
  Result<void> MoveAll(Cgroup& to, const std::vector<Tid>& tids, Tgid tgid,
                       std::vector<Moved>* moved) REQUIRES(the_tree);
  Result<Agreed> Ask(Cgroup& to, const std::vector<Tid>& tids, Tgid tgid) REQUIRES(the_tree);
  void CallOff(Cgroup& to, const Agreed& agreed) REQUIRES(the_tree);
  Result<void> MoveAgreed(Cgroup& to, Tid tid, Tgid tgid, const Cgroup* agreed,
                          std::vector<Moved>* moved) REQUIRES(the_tree);
  void Commit(Cgroup& to, const std::vector<Moved>& moved) REQUIRES(the_tree);
  std::vector<Moved> Undo(Cgroup& to, const std::vector<Moved>& moved) REQUIRES(the_tree);
  Result<void> MoveBack(const Moved& move) REQUIRES(the_tree);
  void ForgetLeave(Cgroup& to, const Moved& move, bool died) REQUIRES(the_tree);

  Tracker& tracker_;
  SubsystemTable& subsystems_;
  CgroupTree& tree_;
  const CssSetTable& sets_;
  SetLinks& set_links_;
  Releases& releases_;
  Events& events_;
  Births& births_;
  CpuLedger& cpu_ledger_;
  Persistence& persistence_;

  std::set<Tgid> kept_in_roots_ GUARDED_BY(the_tree);
};

}  // namespace corral

#endif  // CORRAL_CORE_MOVES_H_
