#include "trackers/bpf/bpf_object.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"

namespace corral {

Result<std::vector<char>> RunIterator(int link_fd) {
  const Fd iterator(bpf_iter_create(link_fd));
  if (!iterator) return FailErrno("cannot start a task iterator");
  std::vector<char> bytes;
  std::vector<char> chunk(64 * 1024);
  for (;;) {
    const ssize_t n = ::read(iterator.get(), chunk.data(), chunk.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return FailErrno("cannot read a task iterator");
    if (n == 0) return bytes;
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + n);
  }
}

std::uint64_t RecursionMisses(int program_fd) {
  bpf_prog_info info = {};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(program_fd, &info, &size) != 0) return 0;
  return info.recursion_misses;
}

}  // namespace corral
