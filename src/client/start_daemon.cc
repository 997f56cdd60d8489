#include "client/start_daemon.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "base/errors.h"
#include "base/fd.h"
#include "base/process.h"

namespace corral {
namespace {

constexpr std::chrono::seconds kPatience{60};

Result<std::string> FindDaemon() {
  char self[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", self, sizeof self);
  std::string directories;
  if (size > 0) {
    const std::string_view own(self, static_cast<std::size_t>(size));
    directories = std::string(own.substr(0, own.rfind('/'))) + ":";
  }
  if (const char* path = std::getenv("PATH"); path != nullptr) directories += path;
  // mount(8) from fstab runs with little or no PATH.
  directories += ":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin";

  std::istringstream list(directories);
  for (std::string directory; std::getline(list, directory, ':');) {
    if (directory.empty() || directory[0] != '/') continue;
    std::string candidate = directory + "/corrald";
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return Fail(
      ENOENT,
      "no corrald found beside this program, on PATH or in /usr/sbin; is corral installed?");
}

// Runs in the grandchild: nobody waits for it, it belongs to no terminal.
[[noreturn]] void BecomeDaemon(const std::string& daemon, const std::string& instance,
                               const std::vector<std::string>& options, int ready) {
  ::setsid();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGCHLD, SIG_DFL);
  if (ready < 3) ready = ::fcntl(ready, F_DUPFD, 3);
  (void)StandardFilesToNull();
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::fcntl(ready, F_SETFD, 0);
  const std::string number = std::to_string(ready);
  std::vector<const char*> words = {"corrald", "--instance", instance.c_str(), "--ready-fd",
                                    number.c_str()};
  for (const std::string& option : options) words.push_back(option.c_str());
  words.push_back(nullptr);
  char* const nothing[] = {nullptr};  // it makes an environment of its own
  ::execve(daemon.c_str(), const_cast<char* const*>(words.data()), nothing);
  const std::string line = fmt::format("cannot run {}: {}\n", daemon, std::strerror(errno));
  [[maybe_unused]] const ssize_t written = ::write(ready, line.data(), line.size());
  ::_exit(127);
}

// The first line the daemon writes; shorter when it ends or takes too long.
Result<std::string> ReadLine(int fd) {
  std::string line;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd ready{fd, POLLIN, 0};
    const int polled = left.count() > 0 ? ::poll(&ready, 1, static_cast<int>(left.count())) : 0;
    if (polled == 0) return Fail(ETIMEDOUT, "the daemon did not get ready within a minute");
    if (polled < 0 && errno != EINTR) return FailErrno("poll");
    if (polled < 0) continue;
    char piece[512];
    const ssize_t size = ::read(fd, piece, sizeof piece);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return line;
    line.append(piece, static_cast<std::size_t>(size));
    if (const std::size_t newline = line.find('\n'); newline != std::string::npos) {
      return line.substr(0, newline);
    }
  }
}

}  // namespace

Result<std::string> StartDaemon(const std::string& instance,
                                const std::vector<std::string>& options) {
  const std::string daemon = TRY(FindDaemon());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno("pipe");
  Fd reading(ends[0]);
  Fd writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return FailErrno("cannot fork");
  if (child == 0) {
    if (::fork() == 0) BecomeDaemon(daemon, instance, options, writing.get());
    ::_exit(0);
  }
  writing.reset();
  ::waitpid(child, nullptr, 0);

  auto line = TRY(ReadLine(reading.get()));
  if (line == "ok") return "";
  if (line.starts_with("ok ")) return line.substr(3);
  if (line.empty()) {
    return Fail(
        EIO,
        "the daemon ended before it was ready; see why with: corrald --instance {} --foreground",
        instance);
  }
  return Fail(EIO, "the daemon did not start: {}", line);
}

}  // namespace corral
