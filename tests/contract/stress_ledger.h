// StressLedger: what the stress knows by itself about releases, to hold against the registry's.
//
// It counts who tried to enter each cgroup *before* he tries, so at every instant a cgroup was
// released no more often than it can have emptied. Simple on purpose: it shares nothing with
// what it checks.
#ifndef CORRAL_TESTS_CONTRACT_STRESS_LEDGER_H_
#define CORRAL_TESTS_CONTRACT_STRESS_LEDGER_H_

#include <gtest/gtest.h>

#include <map>

#include "base/mutex.h"
#include "core/registry.h"

namespace corral {

class StressLedger {
 public:
  // ---- told by those who do it
  void MayEnter(CgroupId id) { Add(id, &Entry::tries); }
  void DidEnter(CgroupId id) { Add(id, &Entry::entered); }
  void MayLoseChild(CgroupId id) { Add(id, &Entry::children_lost); }

  // ---- told by the looker
  void Heard(const Event& event) {
    MutexLock lock(mu_);
    Entry& entry = entries_[event.cgroup];
    EXPECT_FALSE(entry.removed) << "an event of " << event.path << " after its removal";
    if (event.kind == Event::Kind::kReleased) ++entry.released;
    if (event.kind == Event::Kind::kRemoved) {
      entry.removed = true;
      ++removals_;
    }
  }
  void Told(CgroupId id) { Add(id, &Entry::told); }

  std::uint64_t released(CgroupId id) { return Get(id).released; }
  std::uint64_t told(CgroupId id) { return Get(id).told; }
  std::uint64_t removals() {
    MutexLock lock(mu_);
    return removals_;
  }
  std::uint64_t all_releases() {
    MutexLock lock(mu_);
    std::uint64_t all = 0;
    for (const auto& [id, entry] : entries_) all += entry.released;
    return all;
  }

  // At any time: none was invented. `releases` was read before this call.
  void CheckNoneInvented(CgroupId id, std::uint64_t releases) {
    const Entry entry = Get(id);
    EXPECT_LE(releases, entry.tries + entry.children_lost) << "cgroup " << id.value;
  }
  // When all is quiet and every task is gone: none was lost, for a cgroup without children.
  void CheckNoneLost(const CgroupInfo& info) {
    const Entry entry = Get(info.id);
    EXPECT_FALSE(info.populated) << info.path;
    EXPECT_EQ(info.releases, entry.released) << info.path;  // each was told, once
    if (entry.entered != 0) {
      EXPECT_GE(info.releases, 1u) << info.path;
    }
    CheckNoneInvented(info.id, info.releases);
  }

 private:
  struct Entry {
    std::uint64_t tries = 0;
    std::uint64_t entered = 0;
    std::uint64_t children_lost = 0;
    std::uint64_t released = 0;
    std::uint64_t told = 0;
    bool removed = false;
  };
  void Add(CgroupId id, std::uint64_t Entry::*what) {
    MutexLock lock(mu_);
    ++(entries_[id].*what);
  }
  Entry Get(CgroupId id) {
    MutexLock lock(mu_);
    return entries_[id];
  }

  Mutex mu_;
  std::map<CgroupId, Entry> entries_ GUARDED_BY(mu_);
  std::uint64_t removals_ GUARDED_BY(mu_) = 0;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CONTRACT_STRESS_LEDGER_H_
