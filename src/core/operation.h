// Operation: holds the tree for a change. At its end what changed is written to the journal, then
// told as events, then the tree is let go: nobody can see or hear of what is not kept.
#ifndef CORRAL_CORE_OPERATION_H_
#define CORRAL_CORE_OPERATION_H_

#include "core/core.h"

namespace corral {

class SCOPED_CAPABILITY Operation {
 public:
  explicit Operation(Core& core) ACQUIRE(the_tree) : core_(core) { core_.tree_mu.Lock(); }
  ~Operation() RELEASE() {
    core_.persistence.End();
    core_.events.Publish();
    core_.tree_mu.Unlock();
  }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

 private:
  Core& core_;
};

}  // namespace corral

#endif  // CORRAL_CORE_OPERATION_H_
