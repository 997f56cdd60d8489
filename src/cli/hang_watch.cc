#include "cli/hang_watch.h"

#include <poll.h>

#include <utility>

#include "cli/output.h"

namespace corral::cli {

void HangWatch::Look() {
  const auto alive = client_.CheckAlive();
  if (std::exchange(told_, !alive) == !alive) return;
  Say(alive ? "the daemon answers again" : alive.error().message + "; still waiting");
}

void AwaitAnswer(Client& client) {
  HangWatch watch(client);
  for (;;) {
    pollfd ready = {.fd = client.socket(), .events = POLLIN, .revents = 0};
    const int polled = ::poll(&ready, 1, static_cast<int>(HangWatch::kPause.count()));
    if (polled > 0) return;
    if (polled == 0) watch.Look();
  }
}

}  // namespace corral::cli
