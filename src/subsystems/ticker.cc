#include "subsystems/ticker.h"

#include <utility>

namespace corral {

void Ticker::Start(Work work) {
  thread_ = std::thread([this, work = std::move(work)] { Run(work); });
}

void Ticker::Kick() {
  {
    const std::lock_guard lock(mu_);
    kicked_ = true;
  }
  wake_.notify_one();
}

void Ticker::Stop() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Ticker::Run(const Work& work) {
  std::optional<std::chrono::milliseconds> due;
  for (;;) {
    {
      std::unique_lock lock(mu_);
      const auto told = [this] { return kicked_ || stopping_; };
      if (due) {
        wake_.wait_for(lock, *due, told);
      } else {
        wake_.wait(lock, told);
      }
      if (stopping_) return;
      kicked_ = false;  // before the work: a kick during it makes another round
    }
    due = work();
  }
}

}  // namespace corral
