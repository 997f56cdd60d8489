// What the users of BPF objects share: mapped arrays, task iterators, how programs fare.
#ifndef CORRAL_TRACKERS_BPF_BPF_OBJECT_H_
#define CORRAL_TRACKERS_BPF_BPF_OBJECT_H_

#include <bpf/libbpf.h>
#include <corral/result.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace corral {

inline std::size_t BytesOf(const bpf_map* map) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (std::size_t{bpf_map__value_size(map)} * bpf_map__max_entries(map) + page - 1) / page *
         page;
}

// The values of an array that was made with BPF_F_MMAPABLE.
template <typename T>
Result<T*> MapArray(bpf_map* map, int protection) {
  void* at = ::mmap(nullptr, BytesOf(map), protection, MAP_SHARED, bpf_map__fd(map), 0);
  if (at == MAP_FAILED) {
    return Fail(errno, "cannot map the BPF table {}: {}", bpf_map__name(map), std::strerror(errno));
  }
  return static_cast<T*>(at);
}

inline void UnmapArray(bpf_map* map, const void* at) {
  if (at) ::munmap(const_cast<void*>(at), BytesOf(map));
}

// Runs an iterator to its end; all that its program wrote.
Result<std::vector<char>> RunIterator(int link_fd);

// The same, as records of one type. The kernel never leaves out a part of one.
template <typename T>
Result<std::vector<T>> RecordsOf(int link_fd) {
  const auto bytes = RunIterator(link_fd);
  if (!bytes) return Fail(bytes.error());
  std::vector<T> records(bytes->size() / sizeof(T));
  std::memcpy(records.data(), bytes->data(), records.size() * sizeof(T));
  return records;
}

// How often the kernel skipped a program because it, or another, was running there already.
std::uint64_t RecursionMisses(int program_fd);

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_BPF_OBJECT_H_
