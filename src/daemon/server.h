// Server: the instance's socket. One thread for each connection; only uid 0 may speak.
//
// Who cannot be served (no descriptor, no thread, too many connections) is told so and let go, and
// everybody else goes on. A descriptor is kept spare for that.
#ifndef CORRAL_DAEMON_SERVER_H_
#define CORRAL_DAEMON_SERVER_H_

#include <corral/result.h>

#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/event_fd.h"
#include "base/fd.h"
#include "base/mutex.h"
#include "daemon/daemon.h"

namespace corral {

class Server {
 public:
  // Binds the socket (mode 0600, replacing one that a dead daemon left).
  static Result<std::unique_ptr<Server>> Listen(Daemon& daemon, const std::string& path);
  ~Server();

  // Serves until shutdown is requested, or `signals` was readable and `ends(signals)` is true; then
  // ends every connection.
  // Returns their sockets: a peer sees the end when they are closed, which is what `corral
  // shutdown` waits for.
  std::vector<Fd> Run(int signals, bool (*ends)(int));

 private:
  // Each has a thread; a sane program has one or two.
  static constexpr std::size_t kMostConnections = 4096;

  struct Connection {
    Fd socket;
    std::thread thread;
    bool done = false;
  };

  Server(Daemon& daemon, std::string path, Fd socket, EventFd left, Fd spare);
  void Accept();
  Result<void> Welcome(Fd& accepted);
  void Serve(Connection& connection);
  void Converse(int socket);
  void AwaitConnections();
  void Reap() EXCLUDES(connections_mu_);

  Daemon& daemon_;
  const std::string path_;
  const Fd socket_;
  EventFd left_;  // a connection ended, and is to be reaped
  Fd spare_;      // the accepting thread's only
  Mutex connections_mu_;
  std::list<Connection> connections_ GUARDED_BY(connections_mu_);
};

}  // namespace corral

#endif  // CORRAL_DAEMON_SERVER_H_
