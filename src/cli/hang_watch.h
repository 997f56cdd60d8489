// While something is waited for that may take for ever, somebody should notice that the daemon
// hangs. The waiting goes on: it may be continued, and then tells what happened meanwhile.
//
//   HangWatch watch(client);
//   while (!Ready(HangWatch::kPause)) watch.Look();
#ifndef CORRAL_CLI_HANG_WATCH_H_
#define CORRAL_CLI_HANG_WATCH_H_

#include "base/errors.h"
#include "client/client.h"

namespace corral::cli {

class HangWatch {
 public:
  static constexpr std::chrono::milliseconds kPause = Client::kSilence;

  explicit HangWatch(const Client& client) : client_(client) {}

  // Says so once when it hangs, and once when it answers again.
  void Look();

 private:
  const Client& client_;
  bool told_ = false;
};

// Until there is an answer to a request that was sent, however long it takes.
void AwaitAnswer(Client& client);

// Sends one and takes the answer, however long it takes.
template <Operation Ask>
Result<typename Ask::Answer> CallAndWait(Client& client, const Ask& ask) {
  TRY(client.Send(ask));
  AwaitAnswer(client);
  return client.Answer<Ask>();
}

}  // namespace corral::cli

#endif  // CORRAL_CLI_HANG_WATCH_H_
