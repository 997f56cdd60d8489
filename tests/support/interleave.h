// Schedule exploration: bpf/atomics.h stops at CORRAL_INTERLEAVE() before every atomic step, so
// between any two steps of task_hooks.h and of what reads the tables; here that sometimes gives
// the processor away, sometimes spins. Two processors then see orders that a free run meets once
// in a million.
//
// A test may also say exactly what happens where:
//
//   AtSteps script({{2, [&] { Move(parent, kB); }}});   // before this thread's second step
//   tracker.Birth(parent, child, ...);
#ifndef CORRAL_TESTS_SUPPORT_INTERLEAVE_H_
#define CORRAL_TESTS_SUPPORT_INTERLEAVE_H_

#ifdef __cplusplus
#include <functional>
#include <map>
#include <semaphore>
#include <thread>

namespace corral {

void Interleave();

// While it lives, this thread's stops are counted from 1 and run what is written for them
// instead of pausing. What is run makes no stops of its own.
class AtSteps {
 public:
  explicit AtSteps(std::map<int, std::function<void()>> script);
  ~AtSteps();
  AtSteps(const AtSteps&) = delete;
  AtSteps& operator=(const AtSteps&) = delete;
  int stops() const { return stops_; }

 private:
  friend void Interleave();
  std::map<int, std::function<void()>> script_;
  int stops_ = 0;
  bool running_ = false;
};

// Another thread that stands still at its `step`th stop, if it comes that far, until Finish().
//
//   Halted exec(4, [&] { tracker.Exec(thread, leader); });
//   ... what happens while it stands there ...
//   exec.Finish();
class Halted {
 public:
  Halted(int step, std::function<void()> run)
      : thread_([this, step, run = std::move(run)] {
          {
            AtSteps script({{step, [this] {
                               reached_.release();
                               go_on_.acquire();
                             }}});
            run();
          }
          reached_.release();
        }) {
    reached_.acquire();
  }
  ~Halted() { Finish(); }
  void Finish() {
    if (!thread_.joinable()) return;
    go_on_.release();
    thread_.join();
  }

 private:
  std::counting_semaphore<> reached_{0};
  std::counting_semaphore<> go_on_{0};
  std::thread thread_;
};

}  // namespace corral
#endif

#define CORRAL_INTERLEAVE() ::corral::Interleave()

#endif  // CORRAL_TESTS_SUPPORT_INTERLEAVE_H_
