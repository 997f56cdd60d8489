// Rarely: lets one through in a while, for log lines that could come without end. Any thread.
//
//   static Rarely rarely;
//   if (const auto kept = rarely.Now()) log::Warn("cannot accept; {} like it were not logged", *kept);
#ifndef CORRAL_BASE_RARELY_H_
#define CORRAL_BASE_RARELY_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace corral {

class Rarely {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Rarely(Clock::duration pause = std::chrono::minutes(1)) : pause_(pause) {}

  // How many were kept back since the last one that was let through; nothing: this one is, too.
  std::optional<std::uint64_t> Now(Clock::time_point now = Clock::now()) {
    auto due = due_.load();
    const auto at = now.time_since_epoch().count();
    if (at < due || !due_.compare_exchange_strong(due, (now + pause_).time_since_epoch().count())) {
      ++kept_;
      return std::nullopt;
    }
    return kept_.exchange(0);
  }

 private:
  const Clock::duration pause_;
  std::atomic<Clock::rep> due_ = 0;
  std::atomic<std::uint64_t> kept_ = 0;
};

}  // namespace corral

#endif  // CORRAL_BASE_RARELY_H_
