// Ticker: a thread that does something now and then, and at once when told.
//
// For subsystems that look at tasks again by themselves. Its lock is a leaf and is not held while
// the work runs, so Kick() may be called by whoever holds whatever; Stop() only by who holds
// nothing that the work waits for.
//
//   ticker_.Start([this] { Look(); return busy_ ? std::optional(5s) : std::nullopt; });
//   ticker_.Kick();    // look now
//   ticker_.Stop();    // waits for the work under way
#ifndef CORRAL_SUBSYSTEMS_TICKER_H_
#define CORRAL_SUBSYSTEMS_TICKER_H_

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "base/mutex.h"

namespace corral {

class Ticker {
 public:
  // Does the work and says when it is due again; nothing: when kicked.
  using Work = std::function<std::optional<std::chrono::milliseconds>()>;

  ~Ticker() { Stop(); }

  // The work waits for the first Kick().
  void Start(Work work);
  void Kick();
  void Stop();

 private:
  void Run(const Work& work);

  Mutex tick_mu_;  // a leaf
  CondVar wake_;
  bool kicked_ GUARDED_BY(tick_mu_) = false;
  bool stopping_ GUARDED_BY(tick_mu_) = false;
  std::thread thread_;
};

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_TICKER_H_
