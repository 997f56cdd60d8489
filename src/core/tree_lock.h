// The tree's lock: one for each registry, taken in three ways. A look that passes a verdict is a
// change.
//
//   TreeLock lock(core.tree_mu);  // to look
//   Operation operation(core);    // to change; what changed is kept and told (operation.h)
//   groups.HoldTree();            // by a subsystem (groups.cc); clang does not check this one
//
// The parts of the core are in classes of their own, and all work under this one lock. `the_tree`
// is its name in annotations: a field of a part is GUARDED_BY(the_tree), a method that uses one
// REQUIRES(the_tree). So clang follows the lock from class to class, where it cannot know that two
// references are of one mutex. (It does not tell the trees of two registries apart.)
#ifndef CORRAL_CORE_TREE_LOCK_H_
#define CORRAL_CORE_TREE_LOCK_H_

#include "base/mutex.h"

namespace corral {

class CAPABILITY("tree") TreeCapability {};
inline TreeCapability the_tree;

class TreeMutex {
 public:
  void Lock() ACQUIRE(the_tree) NO_THREAD_SAFETY_ANALYSIS { mu_.Lock(); }
  void Unlock() RELEASE(the_tree) NO_THREAD_SAFETY_ANALYSIS { mu_.Unlock(); }

 private:
  Mutex mu_;
};

class SCOPED_CAPABILITY TreeLock {
 public:
  explicit TreeLock(TreeMutex& mu) ACQUIRE(the_tree) : mu_(mu) { mu_.Lock(); }
  ~TreeLock() RELEASE() { mu_.Unlock(); }
  TreeLock(const TreeLock&) = delete;
  TreeLock& operator=(const TreeLock&) = delete;

 private:
  TreeMutex& mu_;
};

}  // namespace corral

#endif  // CORRAL_CORE_TREE_LOCK_H_
