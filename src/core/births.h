// Births: which subsystems are told of births and deaths, and since when (spec 13.3). What they are
// told, and of whom they know: task_callbacks.h.
//
//   births.Want(number);              // registered, and wants forks
//   TRY(births.Tell());               // hears of every task, and of births and deaths from now on
//   if (births.callbacks()) ...       // somebody does
#ifndef CORRAL_CORE_BIRTHS_H_
#define CORRAL_CORE_BIRTHS_H_

#include <corral/tracker.h>

#include <memory>
#include <vector>

#include "core/task_callbacks.h"
#include "core/tree_lock.h"

namespace corral {

class SubsystemTable;
struct Core;

class Births {
 public:
  explicit Births(Core& core);

  // The tracker tells us of births and deaths; it does so from the first call on.
  Result<void> Listen() REQUIRES(the_tree);
  // Not any more, if nobody was added since Listen().
  void StopIfUnused() REQUIRES(the_tree);

  // A subsystem that wants them, by its number, and those that Tell() has not told yet.
  void Want(std::size_t number) REQUIRES(the_tree) { untold_.push_back(number); }
  Result<void> Tell() REQUIRES(the_tree);

  // Null: nobody wants to hear of births. REQUIRES, to use it: Tracker::HoldTasks.
  TaskCallbacks* callbacks() const REQUIRES(the_tree) { return callbacks_.get(); }

 private:
  Tracker& tracker_;
  const CssSetTable& sets_;
  const SubsystemTable& subsystems_;

  std::unique_ptr<TaskCallbacks> callbacks_ GUARDED_BY(the_tree);
  std::vector<std::size_t> untold_ GUARDED_BY(the_tree);
};

}  // namespace corral

#endif  // CORRAL_CORE_BIRTHS_H_
