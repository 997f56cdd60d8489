#include "subsystems/ticker.h"

#include <utility>

namespace corral {
namespace {

constexpr auto kPauseAfterFailure = std::chrono::seconds(1);

}  // namespace

void Ticker::Start(Work work) {
  thread_ = std::thread([this, work = std::move(work)] { Run(work); });
}

void Ticker::Kick() {
  MutexLock lock(tick_mu_);
  kicked_ = true;
  wake_.NotifyOne();
}

void Ticker::Stop() {
  {
    MutexLock lock(tick_mu_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void Ticker::Run(const Work& work) {
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> due;
  for (;;) {
    {
      MutexLock lock(tick_mu_);
      while (!kicked_ && !stopping_ && (!due || Clock::now() < *due)) {
        if (due) {
          wake_.WaitFor(tick_mu_, *due - Clock::now());
        } else {
          wake_.Wait(tick_mu_);
        }
      }
      if (stopping_) return;
      kicked_ = false;  // before the work: a kick during it makes another round
    }
    std::optional<std::chrono::milliseconds> pause = kPauseAfterFailure;
    try {
      pause = work();
    } catch (...) {  // memory or a descriptor that could not be had: it is tried again
    }
    due = pause ? std::optional(Clock::now() + *pause) : std::nullopt;
  }
}

}  // namespace corral
