// Sight: what /proc shows one caller of the machine's processes, with the hidepid= and gid= it is
// mounted with (proc(5)). For one request: he waits for the answer meanwhile.
//
//   Sight sight(machine, registry, caller);
//   if (sight.Of(Tid{42}) == Sight::kNothing) ...   // for him there is no process 42
#ifndef CORRAL_CONTROL_SIGHT_H_
#define CORRAL_CONTROL_SIGHT_H_

#include <corral/ids.h>

#include <optional>

#include "control/control_file.h"
#include "control/machine.h"
#include "core/registry.h"

namespace corral {

class Sight {
 public:
  Sight(const Machine& machine, Registry& registry, const Caller& caller)
      : machine_(machine), registry_(registry), caller_(caller), hiding_(machine.HidingOfProc()) {}

  enum What { kNothing, kName, kAll };
  What Of(Tid task) const;
  // Whether he is told where a task is whatever is above that: of his own process, of tasks that he
  // may move (spec 8.2), and of those whose memory he may read.
  bool MayFollow(Tid task) const;
  const Credentials& who() const;

 private:
  // His own process, or one whose memory he may read.
  bool Owns(Tid task) const;

  const Machine& machine_;
  Registry& registry_;
  const Caller caller_;
  const ProcHiding hiding_;
  mutable std::optional<Credentials> who_;  // read when it is needed
};

}  // namespace corral

#endif  // CORRAL_CONTROL_SIGHT_H_
