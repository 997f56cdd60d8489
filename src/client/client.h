// Client: one connection to an instance's daemon (docs/protocol.md). Used by the command
// line and the mount helper; one thread at a time.
//
//   auto client = Client::ConnectOrStart("default");
//   if (!client) return Fail(client.error());
//   Result<nlohmann::json> answer = client->Call({{"op", "status"}});
#ifndef CORRAL_CLIENT_CLIENT_H_
#define CORRAL_CLIENT_CLIENT_H_

#include <corral/result.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/fd.h"

namespace corral {

class Client {
 public:
  // ECONNREFUSED: no daemon runs for this instance. EPERM, EACCES: not root.
  static Result<Client> Connect(const std::string& instance);

  // Starts the daemon if none runs and waits until it is ready. The error is the daemon's
  // own sentence where it gave one.
  static Result<Client> ConnectOrStart(const std::string& instance);

  // The same where a daemon died and left groups behind; else as Connect().
  static Result<Client> ConnectOrRecover(const std::string& instance);

  // Sends one request and waits for its answer. An error answer becomes Error{errno,
  // sentence}. A descriptor that came along is put in `fd`, or closed. EPIPE, ECONNRESET or
  // EPROTO: the daemon is gone.
  Result<nlohmann::json> Call(const nlohmann::json& request, Fd* fd = nullptr);

  // The two halves of Call, for who waits for other things as well: readable socket() means
  // that Answer() will not wait long.
  Result<void> Send(const nlohmann::json& request);
  Result<nlohmann::json> Answer(Fd* fd = nullptr);
  int socket() const { return socket_.get(); }

  // Waits until the daemon closes the connection, as it does when it has ended.
  void WaitForClose();

 private:
  explicit Client(Fd socket) : socket_(std::move(socket)) {}
  static Result<Client> ConnectToLiving(const std::string& instance);

  Fd socket_;
};

// Whether an error of Call means that the daemon went away, not that it refused.
bool IsConnectionLost(const Error& error);

}  // namespace corral

#endif  // CORRAL_CLIENT_CLIENT_H_
