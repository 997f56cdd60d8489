// TaskCallbacks: births and deaths, from the tracker to the subsystems that want them (spec 13.3).
//
// It remembers, for each task it told of, each subsystem's css as that subsystem knows it. So
// whatever happens meanwhile, a subsystem hears of each task Fork, then Attach each time it is
// moved, then Exit, each with the css that the call before ended with. That makes a count of such
// calls right, also where the tracker tells late: who is about to be moved is told of first, and an
// Exit names the css last told, not the one that a move had begun to give it.
//
// Owned by the Registry. Every method is called with the tracker's births and deaths held
// (Tracker::HoldTasks, or by the tracker itself): that lock guards what is here. The tree's lock is
// not needed: css come from CssSetTable, which knows them by css_set.
#ifndef CORRAL_CORE_TASK_CALLBACKS_H_
#define CORRAL_CORE_TASK_CALLBACKS_H_

#include <corral/subsystem.h>
#include <corral/tracker.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "core/css_set_table.h"

namespace corral {

class TaskCallbacks final : public TaskListener {
 public:
  explicit TaskCallbacks(const CssSetTable& sets) : sets_(sets) {}

  bool empty() const { return wanting_.empty(); }
  // Tells it of every task there is. `number` and `root` as in SubsystemTable.
  void Add(std::shared_ptr<Subsystem> subsystem, std::size_t number, std::shared_ptr<Css> root);
  // Before an Attach(): the task comes from where these css are, by subsystem number. It may be
  // another one than we know by that tid: a process can be moved while a thread of it execs, and
  // its leader's tid is moved twice then, for the old one and the new.
  void Leaving(const TaskName& task, const CssList& from);
  // The task was moved to `set`, and the subsystems have been told. Does nothing for one not known.
  void Moved(Tid tid, CssSetId set);

  Result<void> CanFork(Tid parent, CssSetId set) override;
  void Forked(const TaskName& task, CssSetId set) override;
  void Exited(const TaskName& task) override;
  void Existing(const std::vector<ExistingTask>& all) override;

 private:
  struct Wanting {
    std::shared_ptr<Subsystem> subsystem;
    std::size_t number;
    std::shared_ptr<Css> root;
  };
  struct Known {
    TaskName name;
    CssSetId set;
    CssList css;  // as it was told last, in the order of wanting_
  };

  CssList Wanted(const CssList& of) const;
  void Begin(const TaskName& task, CssSetId set, CssList css);
  void TellExit(const Known& task);

  const CssSetTable& sets_;
  std::vector<Wanting> wanting_;
  std::unordered_map<Tid, Known> known_;
};

}  // namespace corral

#endif  // CORRAL_CORE_TASK_CALLBACKS_H_
