#include "core/task_callbacks.h"

#include <algorithm>
#include <unordered_set>

#include "base/errors.h"
#include "core/foreign_calls.h"

namespace corral {
namespace {

bool IsSame(const TaskName& a, const TaskName& b) {
  const auto fits = [](std::uint64_t x, std::uint64_t y) { return x == y || x == 0 || y == 0; };
  return a.tid == b.tid && fits(a.tgid.value, b.tgid.value) && fits(a.start, b.start);
}

}  // namespace

// A css_set's css, for those who want to be told.
CssList TaskCallbacks::Wanted(const CssList& of) const {
  CssList all;
  for (const Wanting& wanting : wanting_) {
    const bool below = wanting.number < of.size() && of[wanting.number];
    all.push_back(below ? of[wanting.number] : wanting.root);
  }
  return all;
}

void TaskCallbacks::Add(std::shared_ptr<Subsystem> subsystem, std::size_t number,
                        std::shared_ptr<Css> root) {
  wanting_.push_back(
      {.subsystem = std::move(subsystem), .number = number, .root = std::move(root)});
  const Wanting& added = wanting_.back();
  for (auto& [tid, task] : known_) {
    task.css.push_back(Wanted(sets_.CssOf(task.set)).back());
    GuardedTell(*added.subsystem, "Fork", [&] { added.subsystem->Fork(*task.css.back(), tid); });
  }
}

void TaskCallbacks::Leaving(const TaskName& task, const CssList& from) {
  CssList css = Wanted(from);
  const auto known = known_.find(task.tid);
  if (known != known_.end() && known->second.css == css) return;
  if (known != known_.end()) Exited(TaskName(known->second.name));
  Begin(task, kInitialSet, std::move(css));  // Moved() says which set
}

void TaskCallbacks::Moved(Tid tid, CssSetId set) {
  const auto task = known_.find(tid);
  if (task == known_.end()) return;
  task->second.set = set;
  task->second.css = Wanted(sets_.CssOf(set));
}

Result<void> TaskCallbacks::CanFork(Tid parent, CssSetId set) {
  const CssList css = Wanted(sets_.CssOf(set));
  for (std::size_t i = 0; i < wanting_.size(); ++i) {
    Subsystem& subsystem = *wanting_[i].subsystem;
    TRY(Guarded(subsystem, "CanFork", [&] { return subsystem.CanFork(*css[i], parent); }));
  }
  return {};
}

void TaskCallbacks::Forked(const TaskName& task, CssSetId set) {
  if (const auto known = known_.find(task.tid); known != known_.end()) {
    TaskName& name = known->second.name;
    if (IsSame(name, task) &&
        (known->second.set == set || known->second.css == Wanted(sets_.CssOf(set)))) {
      name.tgid.value = std::max(name.tgid.value, task.tgid.value);
      name.start = std::max(name.start, task.start);
      known->second.set = set;
      return;
    }
    // Of whose end nothing was heard; or it changed its place without a move: taken along by its
    // birth (I5) after it was told of, or put in every root for lack of a better (I8).
    Exited(TaskName(name));
  }
  Begin(task, set, Wanted(sets_.CssOf(set)));
}

void TaskCallbacks::Begin(const TaskName& task, CssSetId set, CssList css) {
  const Known& known =
      known_.emplace(task.tid, Known{.name = task, .set = set, .css = std::move(css)})
          .first->second;
  for (std::size_t i = 0; i < wanting_.size(); ++i) {
    Subsystem& subsystem = *wanting_[i].subsystem;
    GuardedTell(subsystem, "Fork", [&] { subsystem.Fork(*known.css[i], task.tid); });
  }
}

void TaskCallbacks::TellExit(const Known& task) {
  for (std::size_t i = wanting_.size(); i-- > 0;) {
    Subsystem& subsystem = *wanting_[i].subsystem;
    GuardedTell(subsystem, "Exit", [&] { subsystem.Exit(*task.css[i], task.name.tid); });
  }
}

void TaskCallbacks::Exited(const TaskName& task) {
  const auto known = known_.find(task.tid);
  if (known == known_.end() || !IsSame(known->second.name, task)) return;
  TellExit(known->second);
  known_.erase(known);
}

void TaskCallbacks::Existing(const std::vector<ExistingTask>& all) {
  std::unordered_set<Tid> stays;
  for (const ExistingTask& task : all) {
    const auto known = known_.find(task.name.tid);
    if (known != known_.end() && IsSame(known->second.name, task.name)) {
      stays.insert(task.name.tid);
    }
  }
  for (auto known = known_.begin(); known != known_.end();) {
    if (!stays.contains(known->first)) TellExit(known->second);
    known = stays.contains(known->first) ? std::next(known) : known_.erase(known);
  }
  for (const ExistingTask& task : all) Forked(task.name, task.set);
}

}  // namespace corral
