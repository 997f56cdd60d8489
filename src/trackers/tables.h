// Tables: the memory both trackers share the shape of, and what reads it.
//
// In the kernel tracker these are mapped BPF arrays, in the in-process tracker plain
// memory; bpf/shared.h says what the words mean. Any thread; nothing here takes a lock.
#ifndef CORRAL_TRACKERS_TABLES_H_
#define CORRAL_TRACKERS_TABLES_H_

#include <atomics.h>
#include <corral/tracker.h>
#include <shared.h>

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

namespace corral {

struct Tables {
  const std::uint64_t* words = nullptr;     // [tid_capacity]
  const std::uint64_t* live = nullptr;      // [tid_capacity / 64], a superset of the live words
  corral_set_entry* sets = nullptr;         // [set_capacity]
  const std::uint64_t* counters = nullptr;  // [CORRAL_COUNTERS]
  std::uint32_t tid_capacity = 0;
  std::uint32_t set_capacity = 0;
};

template <typename T>
T Load(const T& word) {
  return CORRAL_LOAD(&word);
}

inline Place PlaceOf(std::uint64_t word) {
  return {Tgid{corral_word_tgid(word)}, CssSetId{corral_word_set(word)}};
}

inline std::uint64_t WordOf(Place place) {
  return corral_make_word(place.tgid.value, place.set.value);
}

// One pass over the live words, tids ascending.
template <typename Fn>
void ScanLiveWords(const Tables& t, Fn&& fn) {
  for (std::uint32_t piece = 0; piece < t.tid_capacity / 64; ++piece) {
    for (std::uint64_t bits = Load(t.live[piece]); bits != 0; bits &= bits - 1) {
      const std::uint32_t tid = piece * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
      const std::uint64_t word = Load(t.words[tid]);
      if (corral_word_alive(word)) fn(Tid{tid}, word);
    }
  }
}

// All live words of one moment without a handover: a pass during which an exec took a word
// from one tid to another may have missed it or seen it twice, and is done again.
inline std::vector<std::pair<Tid, std::uint64_t>> LiveWords(const Tables& t) {
  constexpr int kPasses = 16;
  std::vector<std::pair<Tid, std::uint64_t>> found;
  for (int pass = 0; pass < kPasses; ++pass) {
    const std::uint64_t begun = Load(t.counters[CORRAL_HANDOVER_BEGUN]);
    const bool quiet = Load(t.counters[CORRAL_HANDOVER_ENDED]) == begun;
    found.clear();
    ScanLiveWords(t, [&](Tid tid, std::uint64_t word) { found.emplace_back(tid, word); });
    if (quiet && Load(t.counters[CORRAL_HANDOVER_BEGUN]) == begun) break;
  }
  return found;
}

inline SetCount CountOf(const Tables& t, CssSetId set) {
  if (set.value >= t.set_capacity) return {};
  const std::uint64_t counter = Load(t.sets[set.value].counter);
  return {static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32)};
}

inline Result<Place> DescribeTask(const Tables& t, Tid tid) {
  const std::uint64_t word = tid.value < t.tid_capacity ? Load(t.words[tid.value]) : 0;
  if (!corral_word_alive(word)) return Fail(ESRCH, "no live task {}", tid.value);
  return PlaceOf(word);
}

// Clears the pending mark; the counter is to be read after this, never before (I7).
inline bool TakePending(const Tables& t, CssSetId set) {
  return set.value < t.set_capacity && CORRAL_XCHG(&t.sets[set.value].pending, 0u) != 0;
}

inline MissCounts MissesOf(const Tables& t) {
  MissCounts misses = {.bells = Load(t.counters[CORRAL_MISS_RING_FULL]),
                       .out_of_table = Load(t.counters[CORRAL_MISS_OUT_OF_TABLE]),
                       .unknown_deaths = Load(t.counters[CORRAL_MISS_UNKNOWN_DEATH]),
                       .adopted = Load(t.counters[CORRAL_MISS_ADOPTED]),
                       .displaced = Load(t.counters[CORRAL_MISS_DISPLACED]),
                       .retries = Load(t.counters[CORRAL_MISS_RETRIES])};
  const auto take = [&](std::uint64_t& all, corral_counter hidden) {
    const std::uint64_t part = Load(t.counters[hidden]);
    all -= std::min(all, part);
    misses.hidden += part;
  };
  take(misses.unknown_deaths, CORRAL_HIDDEN_UNKNOWN_DEATH);
  take(misses.adopted, CORRAL_HIDDEN_ADOPTED);
  return misses;
}

// I2 on the live tables: for every set whose counter stands still, count equals the live
// words that hold it. A set that differs is looked at again until its counter stood still
// with the same difference for `patience_ms`; sets that never stand still are not judged.
std::vector<std::string> AuditCounts(const Tables& t, int patience_ms);

}  // namespace corral

#endif  // CORRAL_TRACKERS_TABLES_H_
