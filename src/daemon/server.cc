#include "daemon/server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "client/frame.h"
#include "daemon/operations.h"

namespace corral {
namespace {

constexpr std::size_t kMaxRequest = std::size_t{1} << 20;

// Names went through ToJsonText(); what did not must not end us.
std::string Text(const nlohmann::json& answer) {
  return answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// With a uid that is nobody's where it cannot be told.
ucred PeerOf(int socket) {
  ucred peer = {.pid = 0, .uid = static_cast<uid_t>(-1), .gid = static_cast<gid_t>(-1)};
  socklen_t size = sizeof peer;
  (void)::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return peer;
}

}  // namespace

Server::Server(Daemon& daemon, std::string path, Fd socket)
    : daemon_(daemon), path_(std::move(path)), socket_(std::move(socket)) {}

Result<std::unique_ptr<Server>> Server::Listen(Daemon& daemon, const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Fail(ENAMETOOLONG, "the socket's path is too long: {}", path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::unlink(path.c_str());
  const mode_t old = ::umask(0177);
  const int bound =
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(old);
  if (bound != 0 || ::listen(socket.get(), 128) != 0) {
    return Fail(errno, "cannot listen on {}: {}", path, std::strerror(errno));
  }
  return std::unique_ptr<Server>(new Server(daemon, path, std::move(socket)));
}

Server::~Server() { ::unlink(path_.c_str()); }

void Server::ReapLocked() {
  for (auto at = connections_.begin(); at != connections_.end();) {
    if (at->done) {
      at->thread.join();
      at = connections_.erase(at);
    } else {
      ++at;
    }
  }
}

std::vector<Fd> Server::Run(int stop_fd) {
  for (;;) {
    pollfd fds[] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                    {.fd = daemon_.shutdown_fd(), .events = POLLIN, .revents = 0},
                    {.fd = stop_fd, .events = POLLIN, .revents = 0}};
    if (::poll(fds, 3, -1) < 0) continue;
    if (fds[1].revents || fds[2].revents) break;
    Fd accepted(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted) {
      log::Warn("cannot accept a connection: {}", std::strerror(errno));
      ::usleep(10'000);  // out of descriptors: do not spin
      continue;
    }
    MutexLock lock(connections_mu_);
    ReapLocked();
    Connection& connection = connections_.emplace_back();
    connection.socket = std::move(accepted);
    connection.thread = std::thread([this, &connection] { Serve(connection); });
  }
  daemon_.RequestShutdown();  // ends those that wait
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

void Server::Serve(Connection& connection) {
  const int socket = connection.socket.get();
  const ucred peer = PeerOf(socket);
  const bool allowed = peer.uid == 0;
  Session session{.peer = Tid{static_cast<std::uint32_t>(peer.pid)}, .subscriber = {}, .bill = {}, .metering = {}};
  for (;;) {
    auto frame = RecvFrame(socket, kMaxRequest);
    if (!frame || !*frame) break;
    nlohmann::json json;
    if (allowed) json = nlohmann::json::parse((*frame)->payload, nullptr, /*exceptions=*/false);
    Request request{.daemon = daemon_,
                    .session = session,
                    .json = json,
                    .connection = socket,
                    .descriptor = Fd(),
                    .send_piece = [&](const nlohmann::json& piece) {
                      return SendFrame(socket, Text(piece)).has_value();
                    }};
    const nlohmann::json answer =
        allowed ? Answer(request)
                : nlohmann::json{{"ok", false},
                                 {"errno", EPERM},
                                 {"error", "only root may speak to the daemon"}};
    auto sent = SendFrame(socket, Text(answer), request.descriptor.get());
    if (!sent && sent.error().code == EMSGSIZE) {  // nothing of it went out
      sent = SendFrame(socket, Text({{"ok", false}, {"errno", EMSGSIZE}, {"error", sent.error().message}}));
    }
    if (!sent) break;
  }
  MutexLock lock(connections_mu_);
  connection.done = true;
  // Closed by the reaper; but the peer should see the end now, unless we are ending: then
  // it sees the end of the process.
  pollfd ending = {.fd = daemon_.shutdown_fd(), .events = POLLIN, .revents = 0};
  if (::poll(&ending, 1, 0) == 0) ::shutdown(socket, SHUT_RDWR);
}

}  // namespace corral
