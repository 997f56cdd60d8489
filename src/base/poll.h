// PollAll: poll(2), also where fewer descriptors may be open than it asks about.
#ifndef CORRAL_BASE_POLL_H_
#define CORRAL_BASE_POLL_H_

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>

namespace corral {

// As poll(2). A limit of descriptors below fds.size(), which somebody may set from outside
// (prlimit(2)), is EINVAL there, a lack of memory ENOMEM; then, after a pause, each is asked alone,
// nothing is waited for, and 1 says that any is ready. Below 0: EINTR, or even that fails.
inline int PollAll(std::span<pollfd> fds, int timeout_ms) {
  constexpr useconds_t kPause = 100'000;
  int ready = ::poll(fds.data(), fds.size(), timeout_ms);
  if (ready >= 0 || errno == EINTR) return ready;
  ::usleep(kPause);
  for (pollfd& one : fds) ready = std::max(ready, ::poll(&one, 1, 0));
  return ready;
}

}  // namespace corral

#endif  // CORRAL_BASE_POLL_H_
