// Waiters: whoever wants to know when something about a cgroup changed.
//
// Any thread waits, the one that dispatches events signals. A waiter registers *before* it looks
// at the state, looks, and waits to be woken if it is not satisfied; so nothing that happens in
// between is missed.
//
//   EventFd changed;
//   Waiters::Entry entry(waiters, cgroup, changed);
//   for (;;) {
//     changed.Reset();
//     if (!registry.Events(cgroup)->populated) break;
//     poll(changed.fd()) ...
//   }
#ifndef CORRAL_CORE_WAITERS_H_
#define CORRAL_CORE_WAITERS_H_

#include <corral/ids.h>

#include <map>

#include "base/mutex.h"
#include "base/wakeable.h"

namespace corral {

class Waiters {
 public:
  // `who` is woken at each change as long as this lives.
  class Entry {
   public:
    Entry(Waiters& all, CgroupId cgroup, Wakeable& who) : all_(all) {
      MutexLock lock(all_.waiters_mu_);
      at_ = all_.by_cgroup_.emplace(cgroup, &who);
    }
    ~Entry() {
      MutexLock lock(all_.waiters_mu_);
      all_.by_cgroup_.erase(at_);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    Waiters& all_;
    std::multimap<CgroupId, Wakeable*>::iterator at_;
  };

  void Signal(CgroupId cgroup) {
    MutexLock lock(waiters_mu_);
    const auto [begin, end] = by_cgroup_.equal_range(cgroup);
    for (auto at = begin; at != end; ++at) at->second->Wake();
  }

 private:
  Mutex waiters_mu_;  // a leaf
  std::multimap<CgroupId, Wakeable*> by_cgroup_ GUARDED_BY(waiters_mu_);
};

}  // namespace corral

#endif  // CORRAL_CORE_WAITERS_H_
