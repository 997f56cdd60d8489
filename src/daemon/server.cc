#include "daemon/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "base/log.h"
#include "base/poll.h"
#include "base/thread.h"
#include "daemon/operations.h"
#include "wire/frame.h"

namespace corral {
namespace {

constexpr std::size_t kMaxRequest = std::size_t{1} << 20;

// With a uid that is nobody's where it cannot be told.
ucred PeerOf(int socket) {
  ucred peer = {.pid = 0, .uid = static_cast<uid_t>(-1), .gid = static_cast<gid_t>(-1)};
  socklen_t size = sizeof peer;
  (void)::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return peer;
}

Fd SpareDescriptor() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// What one who is not served gets. It fits into any socket's buffer: this waits for nobody.
void Refuse(int socket, const Error& error) { (void)SendFrame(socket, AnswerText(error)); }

// What fails for want of something fails again and again; and logging may want the same.
void LogRefusal(const Error& error) {
  static log::Limit once_a_minute(1);
  log::WriteAtMost(once_a_minute, log::Level::kWarn, "a connection is refused: " + error.message);
}

}  // namespace

Server::Server(Daemon& daemon, std::string path, Fd socket, EventFd left, Fd spare)
    : daemon_(daemon),
      path_(std::move(path)),
      socket_(std::move(socket)),
      left_(std::move(left)),
      spare_(std::move(spare)) {}

Result<std::unique_ptr<Server>> Server::Listen(Daemon& daemon, const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Fail(ENAMETOOLONG, "the socket's path is too long: {}", path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  EventFd left;
  Fd spare = SpareDescriptor();
  ::unlink(path.c_str());
  // bind() gives the file the socket's own mode: without a moment at which others may connect.
  if (left.fd() < 0 || !spare || ::fchmod(socket.get(), 0600) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 128) != 0) {
    return FailErrno("cannot listen on {}", path);
  }
  return std::unique_ptr<Server>(
      new Server(daemon, path, std::move(socket), std::move(left), std::move(spare)));
}

Server::~Server() { ::unlink(path_.c_str()); }

void Server::Reap() {
  MutexLock lock(connections_mu_);
  for (auto at = connections_.begin(); at != connections_.end();) {
    if (at->done) {
      at->thread.join();
      at = connections_.erase(at);
    } else {
      ++at;
    }
  }
}

std::vector<Fd> Server::Run(int signals, bool (*ends)(int)) {
  for (;;) {
    pollfd fds[] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                    {.fd = left_.fd(), .events = POLLIN, .revents = 0},
                    {.fd = daemon_.shutdown_fd(), .events = POLLIN, .revents = 0},
                    {.fd = signals, .events = POLLIN, .revents = 0}};
    if (PollAll(fds, -1) < 0) continue;
    if (fds[2].revents || (fds[3].revents && ends(signals))) break;
    left_.Reset();
    try {
      Reap();  // before accepting: what they held may be what is missing
      if (fds[0].revents) Accept();
    } catch (...) {
      LogRefusal(CaughtError());
    }
  }
  daemon_.StopServing();  // ends those that wait
  {
    MutexLock lock(connections_mu_);
    for (Connection& connection : connections_) {
      // Half: an answer that is being written still arrives.
      ::shutdown(connection.socket.get(), SHUT_RD);
    }
  }
  AwaitConnections();
  std::list<Connection> rest;  // their threads keep pointing at the same nodes
  {
    MutexLock lock(connections_mu_);
    rest.splice(rest.end(), connections_);
  }
  std::vector<Fd> peers;
  for (Connection& connection : rest) {
    connection.thread.join();
    peers.push_back(std::move(connection.socket));
  }
  return peers;
}

// Without a descriptor for it, the spare one's place is used to say so.
void Server::Accept() {
  Fd accepted(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  Result<void> welcome;
  if (accepted) {
    welcome = Welcome(accepted);
  } else if (errno == EMFILE || errno == ENFILE) {
    welcome = FailErrno("the daemon has no descriptors left");
    spare_.reset();
    accepted.reset(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  } else if (errno != EAGAIN && errno != ECONNABORTED) {
    welcome = FailErrno("cannot accept");
  }
  if (welcome) return;
  LogRefusal(welcome.error());
  if (accepted) Refuse(accepted.get(), welcome.error());
  const bool nothing_done = !accepted;
  accepted.reset();
  if (!spare_) spare_ = SpareDescriptor();
  if (nothing_done) ::usleep(10'000);  // it stays readable: do not spin
}

// Gives it a thread. On failure `accepted` is still the caller's.
Result<void> Server::Welcome(Fd& accepted) {
  if (PeerOf(accepted.get()).uid != 0) return Fail(EPERM, "only root may speak to the daemon");
  MutexLock lock(connections_mu_);
  if (connections_.size() >= kMostConnections) {
    return Fail(EAGAIN, "{} connections to the daemon are open, more it does not take; close some",
                connections_.size());
  }
  Connection& connection = connections_.emplace_back();
  connection.socket = std::move(accepted);
  auto thread = StartThread([this, &connection] { Serve(connection); });
  if (!thread) {
    accepted = std::move(connection.socket);
    connections_.pop_back();
    return Fail(thread.error());
  }
  connection.thread = std::move(*thread);
  return {};
}

// A peer that is stopped and reads nothing must not keep us: after a while its answer is cut.
void Server::AwaitConnections() {
  constexpr int kLooks = 200;
  const auto all_done = [this] {
    MutexLock lock(connections_mu_);
    return std::ranges::all_of(connections_, &Connection::done);
  };
  for (int look = 0; look < kLooks && !all_done(); ++look) ::usleep(10'000);
  MutexLock lock(connections_mu_);
  for (Connection& connection : connections_) {
    if (!connection.done) ::shutdown(connection.socket.get(), SHUT_RDWR);
  }
}

void Server::Converse(int socket) {
  const ucred peer = PeerOf(socket);
  Session session{.peer = Tid{static_cast<std::uint32_t>(peer.pid)},
                  .subscriber = {},
                  .bill = {},
                  .metering = {}};
  for (;;) {
    auto frame = RecvFrame(socket, kMaxRequest);
    if (!frame || !*frame) return;
    Request request{.instance = daemon_,
                    .session = session,
                    .connection = socket,
                    .descriptor = Fd(),
                    .send_piece = [&](const std::string& piece) {
                      return SendFrame(socket, piece).has_value();
                    }};
    const std::string answer = Answer(request, (*frame)->payload);  // first: it sets the descriptor
    auto sent = SendFrame(socket, answer, request.descriptor.get());
    if (!sent && sent.error().code == EMSGSIZE) {  // nothing of it went out
      sent = SendFrame(socket, AnswerText({EMSGSIZE, sent.error().message}));
    }
    if (!sent) return;
  }
}

// What flies out of a conversation ends it, and nothing else.
void Server::Serve(Connection& connection) {
  const int socket = connection.socket.get();
  try {
    Converse(socket);
  } catch (...) {
    try {
      const Error error = CaughtError();
      LogRefusal(error);
      Refuse(socket, error);
    } catch (...) {  // not even that: the peer sees the end of the connection
    }
  }
  MutexLock lock(connections_mu_);
  connection.done = true;
  // Closed by the reaper; but the peer should see the end now, unless we are ending: then
  // it sees the end of the process.
  pollfd ending = {.fd = daemon_.shutdown_fd(), .events = POLLIN, .revents = 0};
  if (::poll(&ending, 1, 0) == 0) ::shutdown(socket, SHUT_RDWR);
  left_.Wake();
}

}  // namespace corral
