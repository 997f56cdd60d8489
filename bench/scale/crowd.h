// Crowd: idle tasks by the ten thousand, with tids of our choosing, gone with their maker.
//
// A task costs the kernel about 25 KB and us nothing: all threads of a process share one small
// stack, which they never use. Tids are asked for one by one (clone3, needs root), so that a few
// tasks can be spread over a large table, and so that the kernel's own numbering, and with it
// everybody else's tids, stays where it is.
//
//   Crowd crowd;
//   crowd.Start({.processes = 1000, .threads_each = 100, .first_tid = 40000, .step = 40},
//               [](unsigned i) { ... });   // in process i, before it makes its threads
//   crowd.Kill();                          // and reaps
#ifndef CORRAL_BENCH_SCALE_CROWD_H_
#define CORRAL_BENCH_SCALE_CROWD_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace corral {

struct CrowdPlan {
  unsigned processes = 1;
  unsigned threads_each = 1;    // the leader included
  std::uint32_t first_tid = 0;  // 0: whatever the kernel gives
  std::uint32_t step = 1;       // from each tid to the next
};

class Crowd {
 public:
  Crowd() = default;
  ~Crowd();
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // False, with a message on standard error, when the machine does not give that many.
  bool Start(const CrowdPlan& plan, const std::function<bool(unsigned)>& enter);
  const std::vector<pid_t>& processes() const { return processes_; }
  // SIGKILL to all at once, then waits for each.
  void Kill();

 private:
  std::vector<pid_t> processes_;
};

}  // namespace corral

#endif  // CORRAL_BENCH_SCALE_CROWD_H_
