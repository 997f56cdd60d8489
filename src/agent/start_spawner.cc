#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "agent/spawner.h"
#include "agent/wire.h"
#include "base/errors.h"
#include "base/process.h"

namespace corral {
namespace {

constexpr char kArgument[] = "--spawner";
// One job must fit whatever the machine's default is; more is only room for bursts.
constexpr int kSocketBuffer = 1 << 20;

Result<pid_t> Execute(int program, int socket) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (const int error = ::posix_spawn_file_actions_init(&actions); error != 0) {
    return FailErrno(error, "spawner");
  }
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, socket, wire::kSocket);
  // Blocked until it has its own view of them: the end of the socket ends the spawner. In a session
  // of its own: Ctrl-C at a daemon in the foreground is for the daemon.
  sigset_t all;
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &all);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);

  const std::string file = fmt::format("/proc/self/fd/{}", program);
  char name[] = "corral-spawner";
  std::string argument = kArgument;
  char* const arguments[] = {name, argument.data(), nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, file.c_str(), &actions, &attributes, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return FailErrno(error, "cannot start the agent spawner");
  return pid;
}

}  // namespace

bool IsSpawner(int argc, char** argv) { return argc == 2 && std::strcmp(argv[1], kArgument) == 0; }

Result<SpawnerProcess> StartSpawner(int program) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return FailErrno("cannot make a socket for the agent spawner");
  }
  SpawnerProcess made{.socket = Fd(ends[0])};
  const Fd theirs(ends[1]);
  if (::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof(int)) != 0) {
    ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof(int));
  }
  made.pid = TRY(Execute(program, theirs.get()));
  auto pidfd = OpenPidfd(made.pid);
  if (!pidfd) {
    ::kill(made.pid, SIGKILL);
    ::waitpid(made.pid, nullptr, 0);
    return Fail(pidfd.error().code, "cannot watch the agent spawner: {}", pidfd.error().message);
  }
  made.pidfd = *std::move(pidfd);
  return made;
}

}  // namespace corral
