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
//   auto made = client->Call(wire::Mkdir{.group = wire::GroupName::Path("jobs:/"), .name = "a"});
//   if (made && made->created) ...
#ifndef CORRAL_CLIENT_CLIENT_H_
#define CORRAL_CLIENT_CLIENT_H_

#include <corral/result.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/fd.h"
#include "wire/listing.h"
#include "wire/messages.h"

namespace corral {

// What can be asked: a message with a name and an answer (wire/messages.h).
template <typename T>
concept Operation = wire::Message<T> && requires {
  T::kOp;
};

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
  // EPROTO: the daemon is gone, or of another version; ETIMEDOUT: it hangs.
  template <Operation Ask>
  Result<typename Ask::Answer> Call(const Ask& ask, Fd* fd = nullptr) {
    typename Ask::Answer answer;
    if (auto done = CallMessage(Ask::kOp, ask, answer, fd); !done) return Fail(done.error());
    return answer;
  }

  // The same for what answers with a listing, and `more` besides.
  template <typename Answer>
  struct Listed {
    Listing listing;
    Answer more;
  };
  template <Operation Ask>
  Result<Listed<typename Ask::Answer>> List(const Ask& ask) {
    Listed<typename Ask::Answer> all;
    if (auto done = ListMessage(Ask::kOp, ask, all.listing, all.more); !done) {
      return Fail(done.error());
    }
    return all;
  }

  // The two halves of Call, for who waits for other things as well: readable socket() means
  // that Answer() will not wait long.
  template <Operation Ask>
  Result<void> Send(const Ask& ask) {
    return SendMessage(Ask::kOp, ask);
  }
  template <Operation Ask>
  Result<typename Ask::Answer> Answer(Fd* fd = nullptr) {
    typename Ask::Answer answer;
    if (auto taken = TakeAnswer(answer, fd); !taken) return Fail(taken.error());
    return answer;
  }
  int socket() const { return socket_.get(); }

  // As JSON, unchecked, for who looks at the protocol itself. A list that came in several pieces
  // is put together.
  Result<nlohmann::json> Call(const nlohmann::json& request, Fd* fd = nullptr);
  Result<void> Send(const nlohmann::json& request);
  Result<nlohmann::json> Answer(Fd* fd = nullptr);

  // ETIMEDOUT when the daemon hangs, after kPatience at most. One that has ended does not.
  Result<void> CheckAlive() const;

  // Waits until the daemon closes the connection, as it does when it has ended. ETIMEDOUT: it is
  // stopped meanwhile.
  Result<void> WaitForClose();

 private:
  Client(Fd socket, std::string instance);
  static Result<Client> ConnectToLiving(const std::string& instance);
  Result<void> CallMessage(const char* op, wire::AnyMessage ask, wire::AnyMessage answer, Fd* fd);
  Result<void> ListMessage(const char* op, wire::AnyMessage ask, Listing& listing,
                           wire::AnyMessage more);
  Result<void> SendMessage(const char* op, wire::AnyMessage ask);
  Result<void> TakeAnswer(wire::AnyMessage answer, Fd* fd);

  // An answer may come in pieces: `take` gets one after the other, and its error ends it.
  using TakePiece = std::function<Result<void>(nlohmann::json& piece)>;
  Result<void> Exchange(const std::string& request, const TakePiece& take, Fd* fd);
  Result<void> SendText(const std::string& request);
  Result<nlohmann::json> CallText(const std::string& request, Fd* fd);
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
