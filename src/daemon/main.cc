// corrald: one instance's daemon. See man/man8/corrald.8.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
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

#include "agent/spawner.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/own_path.h"
#include "base/process.h"
#include "base/text.h"
#include "base/thread.h"
#include "client/client.h"
#include "client/neighbours.h"
#include "daemon/daemon.h"
#include "daemon/remembered.h"
#include "daemon/server.h"
#include "daemon/surroundings.h"
#include "daemon/version.h"
#include "wire/instance.h"

namespace corral {
namespace {

struct Arguments {
  std::string instance;
  std::string log_level = "info";
  bool foreground = false;
  int ready_fd = -1;
  std::vector<std::string> plugins;
  std::optional<unsigned> max_agents;
};

const std::map<std::string, log::Level> kLogLevels = {{"debug", log::Level::kDebug},
                                                      {"info", log::Level::kInfo},
                                                      {"warn", log::Level::kWarn},
                                                      {"error", log::Level::kError}};

// One line to whoever started us: `ok`, or `ok` and what he should know, or why not.
void Tell(int ready_fd, const std::string& line) {
  if (ready_fd < 0) return;
  std::string text = line;
  std::ranges::replace(text, '\n', ' ');
  text += '\n';
  (void)!::write(ready_fd, text.data(), text.size());
  if (ready_fd > 2) ::close(ready_fd);  // a connection must not get the number of standard error
}

Result<Fd> LockInstance(const std::string& instance) {
  const std::string path = LockPath(instance);
  for (;;) {
    // Anew in each round: a daemon that ends removes them.
    for (const std::string& made : {std::string("/run/corral"), RuntimeDir(instance)}) {
      TRY(OpenOwnDirectory(made, 0755));
    }
    auto lock = OpenOwnFile(path, O_CREAT | O_RDWR, 0600);
    if (!lock && lock.error().code == ENOENT) continue;
    if (!lock) return Fail(lock.error());
    if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
      return Fail(EALREADY, "a daemon holds {}", path);
    }
    // What we locked may have no name any more.
    if (StillNamed(lock->get(), path)) return lock;
  }
}

// Nothing: somebody started the instance at the same time, and its daemon is as good as ours. A
// daemon that was killed keeps its lock until the kernel has taken it apart.
Result<std::optional<Fd>> LockOrFindOther(const Arguments& arguments) {
  constexpr int kTries = 200;
  for (int i = 0;; ++i) {
    auto lock = LockInstance(arguments.instance);
    if (lock) return std::optional(std::move(*lock));
    if (lock.error().code != EALREADY) return Fail(lock.error());
    auto other = Client::Connect(arguments.instance);
    // Not one that ends.
    auto alive = other ? other->Call(wire::Ping()) : Fail(other.error());
    if (alive) return std::nullopt;
    if (alive.error().code == ETIMEDOUT) return Fail(alive.error());  // it is there, and hangs
    if (i == kTries) return Fail(lock.error());
    ::usleep(50'000);
  }
}

Fd Signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // beyond a limit of file size a write says EFBIG
  return Fd(::signalfd(-1, &signals, SFD_CLOEXEC));
}

// Whether a signal that came ends the daemon.
bool EndsUs(int signals) {
  signalfd_siginfo signal = {};
  if (::read(signals, &signal, sizeof signal) != sizeof signal) return false;
  if (signal.ssi_signo == SIGHUP) {
    log::Reopen();
    log::Info("the log was opened again");
    return false;
  }
  log::Info("{} from process {}", ::strsignal(static_cast<int>(signal.ssi_signo)), signal.ssi_pid);
  return true;
}

// What whoever started us should know.
std::string Greeting(Daemon& daemon, const std::vector<std::string>& stayed) {
  std::string text = "ok";
  for (const std::string& group : stayed) text += ' ' + group + ';';
  for (const HealthEntry& entry : daemon.incidents().All()) text += ' ' + entry.text + ';';
  for (const NotLeft& left : daemon.surroundings()) {
    if (left.harms) text += ' ' + left.text + ';';
  }
  if (text.ends_with(';')) text.pop_back();
  return text;
}

// Whether the instance ends with the daemon, or is kept for the next one.
bool EndsInstance(Daemon& daemon) {
  if (!daemon.shutdown_requested() && daemon.KeepForNext()) return false;
  if (!daemon.shutdown_requested()) {
    log::Warn("all groups end with the daemon: {}", daemon.why_not_kept());
  }
  daemon.EndInstance();
  return true;
}

Result<void> Serve(const Arguments& arguments, std::vector<NotLeft> not_left, int* ready_fd) {
  const Fd signals = Signals();  // before anything is there that must end in order
  RaiseDescriptors();
  const std::string directory = RuntimeDir(arguments.instance);
  const auto lock = TRY(LockOrFindOther(arguments));
  if (!lock) {
    if (!arguments.plugins.empty() || arguments.max_agents) {
      return Fail(EALREADY, "a daemon holds {}; it has its plug-ins and limits from its start",
                  directory + "/lock");
    }
    Tell(std::exchange(*ready_fd, -1), "ok");
    return {};
  }
  const std::string log_file = arguments.foreground ? "" : LogPath(arguments.instance);
  if (!log_file.empty()) {
    TRY(OpenOwnFile(log_file, O_CREAT | O_WRONLY, 0600));
  }
  log::Open(log_file, kLogLevels.at(arguments.log_level));
  for (const NotLeft& left : not_left) {
    left.harms ? log::Warn("{}: {}", left.name, left.text)
               : log::Info("{}: {}", left.name, left.text);
  }
  // Before the spawner, which inherits the place.
  const std::vector<std::string> stayed = LeaveGroupsOfOtherInstances(arguments.instance);
  for (const std::string& group : stayed) log::Warn("{}", group);
  auto remembered = TRY(Recall(directory));
  if (arguments.max_agents) remembered.max_agents = arguments.max_agents;
  auto agents = TRY(AgentStarter::Create(remembered.max_agents.value_or(kDefaultMaxAgents)));
  bool ends_instance = false;
  std::vector<Fd> peers;  // closed last: who waits for our end finds nothing left of us
  {
    const std::vector<std::string> before = remembered.plugins;
    std::vector<std::string>& plugins = remembered.plugins;
    for (const std::string& file : arguments.plugins) {
      if (std::ranges::find(before, file) == before.end()) plugins.push_back(file);
    }
    auto daemon = Daemon::Create(arguments.instance, std::move(agents), plugins);
    if (!daemon && !before.empty()) {
      return Fail(daemon.error().code, "{} (what an earlier daemon had loaded is in {}/plugins)",
                  daemon.error().message, directory);
    }
    if (!daemon) return Fail(daemon.error());
    (*daemon)->SetSurroundings(std::move(not_left));
    (*daemon)->WatchLock(lock->get());
    auto server = TRY(Server::Listen(**daemon, SocketPath(arguments.instance)));
    // Before anybody can mount what plug-ins bring.
    TRY(Remember(directory, remembered));
    log::Info("corrald {} serves instance '{}', tracker {}", kVersion, arguments.instance,
              (*daemon)->tracker().name());
    Tell(std::exchange(*ready_fd, -1), Greeting(**daemon, stayed));
    if (!arguments.foreground) (void)StandardFilesToNull();  // it leaves the terminal
    peers = server->Run(signals.get(), EndsUs);
    ends_instance = EndsInstance(**daemon);
  }
  log::Info("instance '{}' {}", arguments.instance,
            ends_instance ? "ended" : "is kept for the next daemon");
  if (!ends_instance) return {};
  log::Remove();
  Forget(directory);
  ::unlink(LockPath(arguments.instance).c_str());
  ::rmdir(directory.c_str());
  return {};
}

// Again, with the environment of nobody.
Error RunAgain(const Arguments& arguments) {
  std::vector<std::string> words = {"corrald", "--instance", arguments.instance, "--log-level",
                                    arguments.log_level};
  if (arguments.foreground) words.push_back("--foreground");
  if (arguments.ready_fd >= 0) {
    ::fcntl(arguments.ready_fd, F_SETFD, 0);
    words.insert(words.end(), {"--ready-fd", std::to_string(arguments.ready_fd)});
  }
  for (const std::string& file : arguments.plugins) words.insert(words.end(), {"--plugin", file});
  if (arguments.max_agents) {
    words.insert(words.end(), {"--max-agents", std::to_string(*arguments.max_agents)});
  }
  return RunAgainClean(words, arguments.foreground);
}

int Main(int argc, char** argv) {
  if (IsSpawner(argc, argv)) RunSpawner();
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
  app.add_option("--max-agents", arguments.max_agents,
                 "How many release agents may run at once; the rest wait (default: 32)")
      ->type_name("N")
      ->check(CLI::Range(1u, kMostAgents));
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
  if (ready_fd >= 0 && ::fcntl(ready_fd, F_GETFD) < 0) {
    std::fprintf(stderr, "corrald: --ready-fd %d: no such descriptor is open\n", ready_fd);
    return 2;
  }
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
  if (!EnvironmentIsClean(arguments.foreground)) return fail(RunAgain(arguments));
  if (!arguments.foreground && ::daemon(/*nochdir=*/1, /*noclose=*/1) != 0) {
    return fail({errno, std::string("cannot go to the background: ") + std::strerror(errno)});
  }
  try {
    auto served = Serve(arguments, LeaveSurroundings(arguments.foreground, ready_fd), &ready_fd);
    return served ? 0 : fail(served.error());
  } catch (...) {  // what could not be had to start with, or an end cut short by the same
    return fail(CaughtError());
  }
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) { return corral::Main(argc, argv); }
