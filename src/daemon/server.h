// Server: the instance's socket. One thread for each connection; only uid 0 may speak.
#ifndef CORRAL_DAEMON_SERVER_H_
#define CORRAL_DAEMON_SERVER_H_

#include <corral/result.h>

#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "daemon/daemon.h"

namespace corral {

class Server {
 public:
  // Binds the socket (mode 0600, replacing one that a dead daemon left).
  static Result<std::unique_ptr<Server>> Listen(Daemon& daemon, const std::string& path);
  ~Server();

  // Serves until shutdown is requested or `stop_fd` is readable; then ends every connection.
  // Returns their sockets: a peer sees the end when they are closed, which is what `corral
  // shutdown` waits for.
  std::vector<Fd> Run(int stop_fd);

 private:
  struct Connection {
    Fd socket;
    std::thread thread;
    bool done = false;
  };

  Server(Daemon& daemon, std::string path, Fd socket);
  void Serve(Connection& connection);
  void AwaitConnections();
  void ReapLocked() REQUIRES(connections_mu_);

  Daemon& daemon_;
  const std::string path_;
  const Fd socket_;
  Mutex connections_mu_;
  std::list<Connection> connections_ GUARDED_BY(connections_mu_);
};

}  // namespace corral

#endif  // CORRAL_DAEMON_SERVER_H_
