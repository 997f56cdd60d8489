// PlainTables: words and counters in plain memory, and the code of bpf/task_hooks.h over them.
//
// For the sources of this folder alone: who includes it has corral_birth(), corral_death() and the
// rest with a PlainTables* as the tables. Any thread; the hooks take no lock but the bells', to
// ring.
#ifndef CORRAL_TRACKERS_INPROC_PLAIN_TABLES_H_
#define CORRAL_TRACKERS_INPROC_PLAIN_TABLES_H_

#include <atomics.h>
#include <shared.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/mutex.h"

namespace corral {

struct PlainTables {
  // The sizes are constant after construction.
  std::vector<std::uint64_t> words;
  std::vector<std::uint64_t> live;
  std::vector<corral_set_entry> sets;
  std::uint64_t counters[CORRAL_COUNTERS] = {};

  std::size_t bell_capacity = 0;
  std::function<void()> rang;

  Mutex bells_mu;  // a leaf
  std::vector<corral_bell> bells GUARDED_BY(bells_mu);
};

// ---- what task_hooks.h asks for
#define CORRAL_TABLES PlainTables

inline std::uint64_t* corral_word(CORRAL_TABLES* t, corral_u32 tid) {
  return tid < t->words.size() ? &t->words[tid] : nullptr;
}
inline std::uint64_t* corral_live(CORRAL_TABLES* t, corral_u32 tid) {
  return tid < t->words.size() ? &t->live[tid / 64] : nullptr;
}
inline corral_set_entry* corral_entry(CORRAL_TABLES* t, corral_u32 set) {
  return set < t->sets.size() ? &t->sets[set] : nullptr;
}
inline void corral_count(CORRAL_TABLES* t, corral_u32 counter) {
  CORRAL_ADD(&t->counters[counter], 1u);
}
inline void corral_ring(CORRAL_TABLES* t, corral_u32 kind, corral_u32 id) {
  CORRAL_INTERLEAVE();
  bool full = false;
  {
    MutexLock lock(t->bells_mu);
    full = t->bells.size() >= t->bell_capacity;
    if (!full) t->bells.push_back({kind, id});
  }
  if (full) corral_count(t, CORRAL_MISS_RING_FULL);
  if (t->rang) t->rang();
}

#include "task_hooks.h"

#undef CORRAL_TABLES

}  // namespace corral

#endif  // CORRAL_TRACKERS_INPROC_PLAIN_TABLES_H_
