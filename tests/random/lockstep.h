// Lockstep: a machine and a model that do the same, compared after every step; and the search
// for a short script that still shows a difference.
//
//   Machine machine;
//   Lockstep lockstep(machine);
//   if (auto difference = lockstep.Do(step)) ...       // what differs, in words
//   Script little = Shrink(script, Mistake::kNone, 200);
#ifndef CORRAL_TESTS_RANDOM_LOCKSTEP_H_
#define CORRAL_TESTS_RANDOM_LOCKSTEP_H_

#include <map>
#include <optional>
#include <string>

#include "random/machine.h"
#include "random/model.h"
#include "random/step.h"

namespace corral::random {

class Lockstep {
 public:
  // REQUIRES: the machine is as good as new, and outlives it.
  explicit Lockstep(Machine& machine, Mistake mistake = Mistake::kNone);

  const Model& model() const { return model_; }
  // Passes over a step that is not applicable. Not to be called again after a difference.
  std::optional<std::string> Do(const Step& step);
  // After the last step: nothing more comes, and the daemon's audit is clean.
  std::optional<std::string> Finish();

 private:
  std::optional<std::string> CompareOutcome(const Step& step, const Errnos& allowed,
                                            const Machine::Done& done);
  std::optional<std::string> AwaitEnds(const std::map<std::string, ModelTask>& before);
  using Views = std::map<std::string, Machine::Seen>;  // by mount
  Views Look(const ModelHierarchy* only);
  const ModelHierarchy* OnlyHierarchyOf(const Step& step) const;
  std::optional<std::string> CompareNow(const Views& views);
  std::optional<std::string> CompareInodes(const std::string& mount,
                                           const std::map<std::string, ino_t>& seen);
  std::optional<std::string> CompareLater(Views views);
  std::optional<std::string> HearCalls();

  Machine& machine_;
  Model model_;
  std::size_t steps_ = 0;
  std::multiset<Call> expected_;           // calls that are still to come
  std::map<std::string, ino_t> inode_of_;  // by what the model calls it
  std::map<ino_t, std::string> named_by_;  // and the other way
};

struct Difference {
  std::size_t step;  // the number of the step after which it was seen
  std::string what;
};

// Runs a script from the start, on a machine of its own. Without `finish` only what differs
// after a step is looked for: the wait at the end takes longer than a short script.
std::optional<Difference> Replay(const Script& script, Mistake mistake, bool finish = true);

// A part of the script that still shows a difference, found with at most `attempts` replays.
// `at_end`: the difference was seen after the last step.
Script Shrink(Script script, Mistake mistake, int attempts, bool at_end = false);

}  // namespace corral::random

#endif  // CORRAL_TESTS_RANDOM_LOCKSTEP_H_
