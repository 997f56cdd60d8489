// Client: one connection to an instance's daemon (docs/protocol.md). Used by the command
// line and the mount helper; one thread at a time.
//
// Patience. A request may take as long as it takes, while the daemon shows that it is alive: when
// nothing came for some seconds (kSilence) it is asked over a second connection, whose answer needs
// nothing but its tree for a moment. A daemon that is stopped, or does not answer that within
// kPatience, hangs: ETIMEDOUT, with a sentence that says who hangs and what to do. What had been
// asked may be done all the same, now or when it goes on; the connection is of no use any more.
//
//   auto client = Client::ConnectOrStart("default");
//   if (!client) return Fail(client.error());
//   Result<nlohmann::json> answer = client->Call({{"op", "status"}});
#ifndef CORRAL_CLIENT_CLIENT_H_
#define CORRAL_CLIENT_CLIENT_H_

#include <corral/result.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "base/fd.h"

namespace corral {

class Client {
 public:
  // A stopped daemon is known after the first. One that runs has the second as well: a machine
  // that swaps, or one with ten thousand runnable tasks, answers within a second or two.
  static constexpr std::chrono::seconds kSilence{5};
  static constexpr std::chrono::seconds kPatience{10};

  // ECONNREFUSED: no daemon runs for this instance. EPERM, EACCES: not root. ETIMEDOUT: it takes
  // no connection.
  static Result<Client> Connect(const std::string& instance);

  // Starts the daemon if none runs and waits until it is ready. The error is the daemon's
  // own sentence where it gave one.
  static Result<Client> ConnectOrStart(const std::string& instance);

  // The same where a daemon died and left groups behind; else as Connect().
  static Result<Client> ConnectOrRecover(const std::string& instance);

  // Sends one request and waits for its answer. An error answer becomes Error{errno,
  // sentence}. A descriptor that came along is put in `fd`, or closed. EPIPE, ECONNRESET or
  // EPROTO: the daemon is gone; ETIMEDOUT: it hangs.
  Result<nlohmann::json> Call(const nlohmann::json& request, Fd* fd = nullptr);

  // The same for an answer that may come in pieces: `take` gets one after the other, and its error
  // ends it. (Call() puts them together: a list that is in several is continued.)
  using TakePiece = std::function<Result<void>(nlohmann::json& piece)>;
  Result<void> CallEach(const nlohmann::json& request, const TakePiece& take);

  // The two halves of Call, for who waits for other things as well: readable socket() means
  // that Answer() will not wait long.
  Result<void> Send(const nlohmann::json& request);
  Result<nlohmann::json> Answer(Fd* fd = nullptr);
  int socket() const { return socket_.get(); }

  // ETIMEDOUT when the daemon hangs, after kPatience at most. One that has ended does not.
  Result<void> CheckAlive() const;

  // Waits until the daemon closes the connection, as it does when it has ended. ETIMEDOUT: it is
  // stopped meanwhile.
  Result<void> WaitForClose();

 private:
  Client(Fd socket, std::string instance);
  static Result<Client> ConnectToLiving(const std::string& instance);
  Result<nlohmann::json> Piece(Fd* fd);
  Result<void> EachPiece(const TakePiece& take, Fd* fd);
  Result<void> CheckNotStopped() const;
  Error Hangs(std::chrono::seconds since) const;

  Fd socket_;
  std::string instance_;
  pid_t daemon_ = 0;  // 0: not visible from here
};

// Whether an error of Call means that nothing more can be asked over this connection, not that the
// daemon refused.
bool IsConnectionLost(const Error& error);

// "the daemon of instance X (pid N)", with what /proc says of it: ", which is stopped", if so.
std::string DaemonText(const std::string& instance, pid_t pid);

// A connection to the instance's socket, tried until then. Errors as of Client::Connect().
Result<Fd> ConnectUntil(const std::string& instance, std::chrono::steady_clock::time_point end);

// Who listens at the other end of a connection; 0: not visible from here.
pid_t PidOfPeer(int socket);

}  // namespace corral

#endif  // CORRAL_CLIENT_CLIENT_H_
