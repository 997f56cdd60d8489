// corrald: one instance's daemon. See man/man8/corrald.8.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "client/client.h"
#include "client/instance.h"
#include "client/neighbours.h"
#include "daemon/daemon.h"
#include "daemon/plugin.h"
#include "daemon/server.h"
#include "daemon/version.h"

namespace corral {
namespace {

struct Arguments {
  std::string instance;
  std::string log_level = "info";
  bool foreground = false;
  int ready_fd = -1;
  std::vector<std::string> plugins;
};

const std::map<std::string, log::Level> kLogLevels = {{"debug", log::Level::kDebug},
                                                      {"info", log::Level::kInfo},
                                                      {"warn", log::Level::kWarn},
                                                      {"error", log::Level::kError}};

// One line to whoever started us: `ok`, or why not.
void Tell(int ready_fd, const std::string& line) {
  if (ready_fd < 0) return;
  const std::string text = line + "\n";
  (void)!::write(ready_fd, text.data(), text.size());
  ::close(ready_fd);
}

Result<Fd> LockInstance(const std::string& directory) {
  for (const std::string& made : {std::string("/run/corral"), directory}) {
    if (::mkdir(made.c_str(), 0755) != 0 && errno != EEXIST) {
      return Fail(errno, "cannot make {}: {}", made, std::strerror(errno));
    }
  }
  const std::string path = directory + "/lock";
  for (;;) {
    Fd lock(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    if (!lock) return Fail(errno, "cannot open {}: {}", path, std::strerror(errno));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      return Fail(EALREADY, "a daemon holds {}", path);
    }
    // A daemon that ends removes the file: what we locked may have no name any more.
    struct stat ours, named;
    if (::fstat(lock.get(), &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
        ours.st_ino == named.st_ino) {
      return lock;
    }
  }
}

// Nothing: somebody started the instance at the same time, and its daemon is as good as ours. A
// daemon that was killed keeps its lock until the kernel has taken it apart.
Result<std::optional<Fd>> LockOrFindOther(const Arguments& arguments, const std::string& directory) {
  constexpr int kTries = 200;
  for (int i = 0;; ++i) {
    auto lock = LockInstance(directory);
    if (lock) return std::optional(std::move(*lock));
    if (lock.error().code != EALREADY) return Fail(lock.error());
    auto other = Client::Connect(arguments.instance);
    if (other) return std::nullopt;
    if (other.error().code == ETIMEDOUT) return Fail(other.error());  // it is there, and hangs
    if (i == kTries) return Fail(lock.error());
    ::usleep(50'000);
  }
}

void RaiseDescriptorLimit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

void LeaveTerminal() {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd <= 2; ++fd) ::dup2(null.get(), fd);
}

Fd SignalsThatEnd() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return Fd(::signalfd(-1, &signals, SFD_CLOEXEC));
}

Result<void> Serve(const Arguments& arguments, int* ready_fd) {
  const std::string directory = RuntimeDir(arguments.instance);
  const auto lock = LockOrFindOther(arguments, directory);
  if (!lock) return Fail(lock.error());
  if (!*lock) {
    if (!arguments.plugins.empty()) {
      return Fail(EALREADY, "a daemon holds {}; plug-ins are loaded when a daemon starts",
                  directory + "/lock");
    }
    Tell(std::exchange(*ready_fd, -1), "ok");
    return {};
  }
  log::Open(arguments.foreground ? "" : directory + "/corrald.log",
            kLogLevels.at(arguments.log_level));
  for (const std::string& stayed : LeaveGroupsOfOtherInstances(arguments.instance)) {
    log::Warn("{}", stayed);  // before the fork: it inherits the place
  }
  // The spawner first: forked while we have one thread and nothing open (design: section 4).
  auto agents = AgentStarter::Create();
  if (!agents) return Fail(agents.error());
  const Fd signals = SignalsThatEnd();  // after the fork: agents start with none blocked
  RaiseDescriptorLimit();
  std::vector<Fd> peers;  // closed last: who waits for our end finds nothing left of us
  {
    const std::vector<std::string> remembered = RememberedPlugins(directory);
    std::vector<std::string> plugins = remembered;
    for (const std::string& file : arguments.plugins) {
      if (std::ranges::find(remembered, file) == remembered.end()) plugins.push_back(file);
    }
    auto daemon = Daemon::Create(arguments.instance, std::move(*agents), plugins);
    if (!daemon && !remembered.empty()) {
      return Fail(daemon.error().code, "{} (what a daemon that died had loaded is in {})",
                  daemon.error().message, RememberedPluginsFile(directory));
    }
    if (!daemon) return Fail(daemon.error());
    auto server = Server::Listen(**daemon, SocketPath(arguments.instance));
    if (!server) return Fail(server.error());
    if (!plugins.empty()) {  // before anybody can mount what they bring
      if (auto kept = RememberPlugins(directory, plugins); !kept) return Fail(kept.error());
    }
    log::Info("corrald {} serves instance '{}', tracker {}", kVersion, arguments.instance,
              (*daemon)->tracker().name());
    Tell(std::exchange(*ready_fd, -1), "ok");
    if (!arguments.foreground) LeaveTerminal();
    peers = (*server)->Run(signals.get());
    (*daemon)->EndInstance();
  }
  log::Info("instance '{}' ended", arguments.instance);
  if (!arguments.foreground) ::unlink((directory + "/corrald.log").c_str());
  ::unlink(RememberedPluginsFile(directory).c_str());
  ::unlink((directory + "/lock").c_str());
  ::rmdir(directory.c_str());
  return {};
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"corrald: tracks every task of the machine and serves corral's mounts"};
  app.add_option("--instance", arguments.instance,
                 "Name of the instance (default: $CORRAL_INSTANCE, else 'default')");
  app.add_flag("--foreground", arguments.foreground, "Stay in the foreground, log to stderr");
  app.add_option("--ready-fd", arguments.ready_fd, "Write 'ok' or the reason here when started");
  app.add_option("--log-level", arguments.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  app.add_option("--plugin", arguments.plugins, "Load a subsystem from this file; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.set_version_flag("--version", std::string("corrald ") + kVersion);
  try {  // CLI11 reports what went wrong by throwing; it goes no further than this function
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help, version
    std::fprintf(stderr, "corrald: %s; see corrald --help\n", Harmless(error.what()).c_str());
    return error.get_exit_code();
  }

  int ready_fd = arguments.ready_fd;
  const auto fail = [&](const Error& error) {
    Tell(ready_fd, error.message);
    std::fprintf(stderr, "corrald: %s\n", Harmless(error.message).c_str());
    return 1;
  };
  if (arguments.instance.empty()) {
    auto name = InstanceFromEnvironment();
    if (!name) return fail(name.error());
    arguments.instance = *name;
  } else if (auto ok = CheckInstanceName(arguments.instance); !ok) {
    return fail(ok.error());
  }
  // We are about to leave the working directory, and a name without '/' is not a file to dlopen().
  for (std::string& file : arguments.plugins) file = std::filesystem::absolute(file);
  if (::geteuid() != 0) return fail({EPERM, "corrald must be started by root"});
  if (!arguments.foreground && ::daemon(/*nochdir=*/0, /*noclose=*/1) != 0) {
    return fail({errno, std::string("cannot go to the background: ") + std::strerror(errno)});
  }
  if (auto served = Serve(arguments, &ready_fd); !served) return fail(served.error());
  return 0;
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) { return corral::Main(argc, argv); }
