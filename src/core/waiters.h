// Waiters: whoever wants to know when something about a cgroup changed.
//
// A waiter registers *before* it looks at the state, looks, and waits for its descriptor if
// it is not satisfied; so nothing that happens in between is missed.
#ifndef CORRAL_CORE_WAITERS_H_
#define CORRAL_CORE_WAITERS_H_

#include <corral/ids.h>
#include <sys/eventfd.h>

#include <map>

#include "base/fd.h"
#include "base/mutex.h"

namespace corral {

class Waiters {
 public:
  // Registered as long as it lives.
  class Waiter {
   public:
    Waiter(Waiters& all, CgroupId cgroup)
        : all_(all), cgroup_(cgroup), signal_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
      MutexLock lock(all_.waiters_mu_);
      all_.waiting_.emplace(cgroup_, this);
    }
    ~Waiter() {
      MutexLock lock(all_.waiters_mu_);
      auto [at, end] = all_.waiting_.equal_range(cgroup_);
      while (at != end && at->second != this) ++at;
      if (at != end) all_.waiting_.erase(at);
    }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    int fd() const { return signal_.get(); }  // readable after a change
    void Reset() {
      eventfd_t changes;
      (void)::eventfd_read(signal_.get(), &changes);
    }

   private:
    friend class Waiters;
    Waiters& all_;
    const CgroupId cgroup_;
    const Fd signal_;
  };

  void Signal(CgroupId cgroup) {
    MutexLock lock(waiters_mu_);
    const auto [begin, end] = waiting_.equal_range(cgroup);
    for (auto at = begin; at != end; ++at) (void)::eventfd_write(at->second->signal_.get(), 1);
  }

 private:
  Mutex waiters_mu_;  // a leaf
  std::multimap<CgroupId, Waiter*> waiting_ GUARDED_BY(waiters_mu_);
};

}  // namespace corral

#endif  // CORRAL_CORE_WAITERS_H_
