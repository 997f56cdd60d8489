// Small things that the tracker and its feed ask libbpf.
#ifndef CORRAL_TRACKERS_BPF_BPF_UTIL_H_
#define CORRAL_TRACKERS_BPF_BPF_UTIL_H_

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdint>

namespace corral {

// How often the kernel skipped a program because it, or another, was running there already.
inline std::uint64_t RecursionMisses(int program) {
  bpf_prog_info info = {};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(program, &info, &size) != 0) return 0;
  return info.recursion_misses;
}

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_BPF_UTIL_H_
