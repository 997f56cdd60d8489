// What the users of BPF objects share: owners of skeletons, links and rings, mapped arrays, task
// iterators, how programs fare.
//
//   auto skeleton = TRY(OpenSkeleton<task_feed_bpf>("the feed's"));
//   auto lost = TRY(MapArray<const std::uint64_t>(skeleton->maps.lost));
//   for (const auto& task : TRY(RecordsOf<corral_task_record>(link_fd))) ...
//
// Any thread.
#ifndef CORRAL_TRACKERS_BPF_BPF_OBJECT_H_
#define CORRAL_TRACKERS_BPF_BPF_OBJECT_H_

#include <bpf/libbpf.h>
#include <corral/result.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "base/mapping.h"

namespace corral {

// A generated skeleton: its programs detached and closed at the end. Whoever holds one in a class
// may declare its type forward; constructor and destructor are then in the source.
struct DestroySkeleton {
  template <typename T>
  void operator()(T* skeleton) const {
    T::destroy(skeleton);
  }
};
template <typename T>
using Skeleton = std::unique_ptr<T, DestroySkeleton>;

template <typename T>
Result<Skeleton<T>> OpenSkeleton(std::string_view whose) {
  Skeleton<T> skeleton(T::open());
  if (!skeleton) return FailErrno("cannot open {} BPF object", whose);
  return skeleton;
}

struct DestroyLink {
  void operator()(bpf_link* link) const { (void)bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, DestroyLink>;

struct FreeRing {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};
using Ring = std::unique_ptr<ring_buffer, FreeRing>;

// The values of an array that was made with BPF_F_MMAPABLE. `map` may be closed while they live.
template <typename T>
Result<Mapping<T>> MapArray(const bpf_map* map) {
  const std::size_t bytes = std::size_t{bpf_map__value_size(map)} * bpf_map__max_entries(map);
  return MapShared<T>(bpf_map__fd(map), bytes, fmt::format("the BPF table {}", bpf_map__name(map)));
}

// Runs an iterator to its end; all that its program wrote.
Result<std::vector<char>> RunIterator(int link_fd);

// The same, as records of one type. The kernel never leaves out a part of one.
template <typename T>
Result<std::vector<T>> RecordsOf(int link_fd) {
  const auto bytes = TRY(RunIterator(link_fd));
  std::vector<T> records(bytes.size() / sizeof(T));
  std::memcpy(records.data(), bytes.data(), records.size() * sizeof(T));
  return records;
}

// How often the kernel skipped a program because it, or another, was running there already.
std::uint64_t RecursionMisses(int program_fd);

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_BPF_OBJECT_H_
