#include "client/client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/namespaces.h"
#include "base/proc.h"
#include "base/text.h"
#include "client/lock_owner.h"
#include "client/start_daemon.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/instance.h"

namespace corral {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

bool IsStopped(pid_t pid) {
  const auto stat = StatOfTask(static_cast<std::uint32_t>(pid));
  return stat && stat->IsStopped();
}

void SetTimeouts(int socket, std::chrono::seconds silence) {
  const timeval time = {.tv_sec = silence.count(), .tv_usec = 0};
  (void)::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  (void)::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

// Whether a process sees the same file systems as we do.
bool SharesMounts(pid_t pid) {
  const auto ours = NamespaceOf("self", "mnt");
  const auto theirs = NamespaceOf(std::to_string(pid), "mnt");
  return !ours || !theirs || ours == theirs;
}

Error SomewhereElse(const std::string& instance) {
  return {EXDEV,
          fmt::format("the daemon of instance {} runs, but {} is not here: it is in init's mount "
                      "namespace, and this one has another /run. Try: nsenter --target 1 --mount",
                      instance, SocketPath(instance))};
}

// There is no socket, or nobody listens. A daemon that has locked the instance's tables lives all
// the same, and is found by that lock.
Error NobodyAnswers(const std::string& instance) {
  const auto holder = LockOwner(PinDir(instance));
  if (!holder) {
    return {ECONNREFUSED,
            fmt::format("no daemon runs for instance {0}; start one with: corrald --instance {0}",
                        instance)};
  }
  if (LockOwner(LockPath(instance)) == holder) {
    return {ECONNREFUSED,
            fmt::format("the daemon of instance {} (pid {}) does not answer: it starts or "
                        "ends, or its socket {} was removed",
                        instance, *holder, SocketPath(instance))};
  }
  if (!SharesMounts(*holder)) return SomewhereElse(instance);
  return {ECONNREFUSED, OutOfReachText(instance, *holder)};
}

Error NotConnected(const std::string& instance, int error) {
  if (error == ENOENT || error == ECONNREFUSED) return NobodyAnswers(instance);
  if (error == EACCES || error == EPERM) {
    return {error, fmt::format("only root may speak to the daemon of instance {}", instance)};
  }
  if (error == EAGAIN) {
    return {ETIMEDOUT,
            fmt::format("the daemon of instance {} hangs: it takes no connection, and so "
                        "many wait already that no further one can",
                        instance)};
  }
  return {error,
          fmt::format("cannot connect to {}: {}", SocketPath(instance), std::strerror(error))};
}

}  // namespace

// A socket of this kind is connected at once, or there is no room in the queue of those that wait.
Result<Fd> ConnectUntil(const std::string& instance, Clock::time_point end) {
  constexpr int kPauseUs = 20'000;
  TRY(CheckInstanceName(instance));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  SocketPath(instance).copy(address.sun_path, sizeof address.sun_path - 1);  // at most 82 bytes
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return FailErrno("cannot make a socket");
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  while (::connect(socket.get(), to, sizeof address) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EAGAIN || Clock::now() > end) return Fail(NotConnected(instance, error));
    ::usleep(kPauseUs);
  }
  // What follows waits, with SO_RCVTIMEO and SO_SNDTIMEO.
  if (::fcntl(socket.get(), F_SETFL, 0) != 0) return FailErrno("fcntl");
  return socket;
}

pid_t PidOfPeer(int socket) {
  ucred peer = {};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

std::string DaemonText(const std::string& instance, pid_t pid) {
  const auto stat = pid > 0 ? StatOfTask(static_cast<std::uint32_t>(pid)) : std::nullopt;
  std::string text = fmt::format("the daemon of instance {}", instance);
  if (pid > 0) text += fmt::format(" (pid {})", pid);
  if (stat && stat->IsStopped()) text += fmt::format(", which is stopped (state {}),", stat->state);
  return text;
}

Client::Client(Fd socket, std::string instance)
    : socket_(std::move(socket)),
      instance_(std::move(instance)),
      daemon_(PidOfPeer(socket_.get())) {
  SetTimeouts(socket_.get(), kSilence);
}

Result<Client> Client::Connect(const std::string& instance) {
  return Client(TRY(ConnectUntil(instance, Clock::now() + kSilence)), instance);
}

// A daemon that is being killed, or ends in order, may take a connection and never look at it:
// whoever can start another one does not fail for that.
Result<Client> Client::ConnectToLiving(const std::string& instance) {
  constexpr int kTries = 500;
  for (int i = 0;; ++i) {
    auto client = Connect(instance);
    if (!client) return client;
    auto pong = client->Call(wire::Ping());
    if (pong) return client;
    const bool ends = IsConnectionLost(pong.error()) && pong.error().code != ETIMEDOUT;
    if (!ends || i == kTries) return Fail(pong.error());  // refused, or it hangs
    ::usleep(10'000);
  }
}

Result<Client> Client::ConnectOrStart(const std::string& instance) {
  auto client = ConnectToLiving(instance);
  if (client || client.error().code != ECONNREFUSED) return client;
  if (::geteuid() != 0) {
    return Fail(EPERM, "no daemon runs for instance {}, and only root may start one", instance);
  }
  auto started = StartDaemon(instance);
  constexpr int kLooks = 100;  // another one may start it, and not be ready yet
  client = ConnectToLiving(instance);
  for (int i = 0; i < kLooks && started && !client && client.error().code == ECONNREFUSED; ++i) {
    ::usleep(10'000);
    client = ConnectToLiving(instance);
  }
  // Another one may have been quicker: then ours has failed and there is a daemon all the same.
  if (!client && !started) return Fail(started.error());
  if (!client && client.error().code == ECONNREFUSED) {
    return Fail(ECONNREFUSED,
                "the daemon of instance {} started, and ended again at once; see its log",
                instance);
  }
  if (started && !started->empty()) {
    std::fprintf(stderr, "corral: %s\n", Harmless(*started).c_str());
  }
  return client;
}

Result<Client> Client::ConnectOrRecover(const std::string& instance) {
  auto client = ConnectToLiving(instance);
  const bool left = !client && client.error().code == ECONNREFUSED &&
                    ::access(StoreDir(instance).c_str(), F_OK) == 0;
  return left ? ConnectOrStart(instance) : std::move(client);
}

Result<void> Client::SendText(const std::string& request) {
  return SendFrame(socket_.get(), request, -1, [this] { return CheckAlive(); });
}

Result<void> Client::Send(const json& request) { return SendText(wire::TextOf(request)); }

Result<json> Client::Piece(Fd* fd) {
  auto frame = RecvFrame(socket_.get(), kMaxFrame, [this] { return CheckAlive(); });
  // Nobody knows what of the answer is still to come.
  if (!frame) ::shutdown(socket_.get(), SHUT_RDWR);
  if (!frame) return Fail(frame.error());
  if (!*frame) return Fail(ECONNRESET, "the daemon closed the connection");
  json answer = TRY(wire::ParseAnswer((*frame)->payload));
  if (fd != nullptr && (*frame)->fd) *fd = std::move((*frame)->fd);
  return answer;
}

Result<void> Client::EachPiece(const TakePiece& take, Fd* fd) {
  for (bool more = true; more;) {
    auto piece = TRY(Piece(fd));
    const auto flag = piece.find("more");
    more = flag != piece.end() && flag->is_boolean() && flag->get<bool>();
    if (flag != piece.end()) piece.erase(flag);
    if (auto taken = take(piece); !taken) {
      if (more) ::shutdown(socket_.get(), SHUT_RDWR);
      return taken;
    }
  }
  return {};
}

// Sends one and takes the pieces of its answer.
Result<void> Client::Exchange(const std::string& request, const TakePiece& take, Fd* fd) {
  // A daemon that answers and closes at once (not root: EPERM) may break our sending, but
  // its answer is there to read.
  auto sent = SendText(request);
  if (!sent && sent.error().code == ETIMEDOUT) return sent;
  auto all = EachPiece(take, fd);
  return !all && !sent && IsConnectionLost(all.error()) ? sent : all;
}

namespace {

// Puts a piece to those before it: a list is continued.
Result<void> Join(json& whole, json& piece) {
  if (whole.is_null()) {
    whole = std::move(piece);
    return {};
  }
  for (auto& [name, value] : piece.items()) {
    json& before = whole[name];
    if (!before.is_array() || !value.is_array()) {
      before = std::move(value);
    } else {
      std::move(value.begin(), value.end(), std::back_inserter(before));
    }
  }
  return {};
}

Result<void> Understand(const json& answer, wire::AnyMessage message) {
  auto read = wire::Read(answer, message);
  if (read) return read;
  // Not EPROTO: the connection is not lost by it.
  return Fail(EBADMSG, "the daemon's answer is not in the protocol of this version: {}",
              read.error().message);
}

}  // namespace

Result<json> Client::Answer(Fd* fd) {
  json answer;
  TRY(EachPiece([&](json& piece) { return Join(answer, piece); }, fd));
  return answer;
}

Result<json> Client::CallText(const std::string& request, Fd* fd) {
  json answer;
  const auto join = [&](json& piece) { return Join(answer, piece); };
  TRY(Exchange(request, join, fd));
  return answer;
}

Result<json> Client::Call(const json& request, Fd* fd) {
  return CallText(wire::TextOf(request), fd);
}

// ---- messages

Result<void> Client::SendMessage(const char* op, wire::AnyMessage ask) {
  return SendText(wire::RequestText(op, ask));
}

Result<void> Client::TakeAnswer(wire::AnyMessage answer, Fd* fd) {
  return Understand(TRY(Answer(fd)), answer);
}

Result<void> Client::CallMessage(const char* op, wire::AnyMessage ask, wire::AnyMessage answer,
                                 Fd* fd) {
  return Understand(TRY(CallText(wire::RequestText(op, ask), fd)), answer);
}

Result<void> Client::ListMessage(const char* op, wire::AnyMessage ask, Listing& listing,
                                 wire::AnyMessage more) {
  json rest = json::object();
  const auto take = [&](json& piece) -> Result<void> {
    TRY(listing.Add(piece));
    return Join(rest, piece);
  };
  TRY(Exchange(wire::RequestText(op, ask), take, nullptr));
  return Understand(rest, more);
}

// ---- patience

Error Client::Hangs(std::chrono::seconds since) const {
  const bool stopped = daemon_ > 0 && IsStopped(daemon_);
  const std::string advice =
      daemon_ <= 0 ? "see its log"
      : stopped    ? fmt::format("`kill -CONT {}` lets it go on", daemon_)
                   : fmt::format(
                         "see its log; after `kill -9 {}` the next command starts another "
                            "one, which takes over",
                         daemon_);
  return {ETIMEDOUT,
          fmt::format("{} does not answer for {} s: {}. What was asked of it may be done "
                      "all the same, now or when it goes on",
                      DaemonText(instance_, daemon_), since.count(), advice)};
}

Result<void> Client::CheckNotStopped() const {
  if (daemon_ > 0 && IsStopped(daemon_)) return Fail(Hangs(kSilence));
  return {};
}

// Over a connection of its own: the thread that serves ours may have much to do. What cannot be
// connected to because it has ended shows on our own connection.
Result<void> Client::CheckAlive() const {
  if (auto runs = CheckNotStopped(); !runs) return runs;
  auto second = ConnectUntil(instance_, Clock::now() + kPatience);
  if (!second && second.error().code != ETIMEDOUT) return {};
  if (second) {
    SetTimeouts(second->get(), kPatience);
    auto answered = SendFrame(second->get(), wire::RequestText(wire::Ping::kOp, wire::Ping()));
    if (answered) {
      if (auto frame = RecvFrame(second->get()); !frame) answered = Fail(frame.error());
    }
    if (answered || answered.error().code != ETIMEDOUT) return {};
  }
  return Fail(Hangs(kSilence + kPatience));
}

// One that is ending accepts nobody, and has much to take apart: it must not be asked.
Result<void> Client::WaitForClose() {
  for (;;) {
    auto frame = RecvFrame(socket_.get(), kMaxFrame, [this] { return CheckNotStopped(); });
    if (!frame && frame.error().code == ETIMEDOUT) return Fail(frame.error());
    if (!frame || !*frame) return {};
  }
}

bool IsConnectionLost(const Error& error) {
  return error.code == EPIPE || error.code == ECONNRESET || error.code == EPROTO ||
         error.code == ETIMEDOUT;
}

}  // namespace corral
