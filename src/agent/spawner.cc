#include "agent/spawner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <vector>

#include "agent/agent_child.h"
#include "agent/wire.h"
#include "base/check.h"
#include "base/fd.h"

namespace corral {
namespace {

// Below the usual 1,024 descriptors; each child between fork and exec holds one pipe.
constexpr std::size_t kMaxStarting = 256;
// A fork that fails for want of pids or memory is tried again for ten seconds.
constexpr int kForkPauseMs = 100;
constexpr std::chrono::seconds kForkPatience{10};

using Clock = std::chrono::steady_clock;

class Spawner {
 public:
  Spawner(int socket, int signals) : socket_(socket), signals_(signals) {}
  void Run();

 private:
  struct Job {
    std::uint64_t id = 0;
    AgentJob job;
    Clock::time_point give_up;
  };
  struct Starting {
    Fd pipe;  // end of file: exec succeeded; a ChildFailure: it did not
    pid_t pid = 0;
    std::uint64_t id = 0;
  };

  bool MayTakeJob() const { return !closed_ && !waiting_ && starting_.size() < kMaxStarting; }
  void TakeJob();
  void StartWaiting();
  int TryFork(const Job& job);
  void Resolve(Starting& child);
  void ResolveReadable(const std::vector<pollfd>& polled);
  void Reap();
  void Report(std::uint64_t id, wire::ReportKind kind, int value, std::string_view text = {});

  const int socket_;
  const int signals_;
  bool closed_ = false;
  std::optional<Job> waiting_;  // taken, not forked yet
  std::vector<Starting> starting_;
  std::unordered_map<pid_t, std::uint64_t> running_;  // every child not reaped, starting ones too
  std::string buffer_ = std::string(wire::kMaxJobSize, '\0');
};

void Spawner::Report(std::uint64_t id, wire::ReportKind kind, int value, std::string_view text) {
  const wire::ReportHeader header{id, kind, value};
  std::string message(reinterpret_cast<const char*>(&header), sizeof header);
  message.append(text);
  // May wait for the daemon's reader, which waits for nobody. Without a daemon nobody asks.
  while (::send(socket_, message.data(), message.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

void Spawner::TakeJob() {
  const ssize_t size = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  // ECONNRESET: the daemon died with reports unread; the jobs it sent are still there.
  if (size < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNRESET)) return;
  if (size <= 0) {
    closed_ = true;
    return;
  }
  Job job;
  auto unpacked = wire::UnpackJob({buffer_.data(), static_cast<std::size_t>(size)}, job.id);
  CORRAL_CHECK(unpacked.has_value());
  job.job = *std::move(unpacked);
  job.give_up = Clock::now() + kForkPatience;
  waiting_ = std::move(job);
}

// 0, or the errno of what failed.
int Spawner::TryFork(const Job& job) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno;
  Fd reading(ends[0]);
  Fd writing(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return errno;
  if (pid == 0) BecomeAgent(job.job, writing.get());
  running_.emplace(pid, job.id);
  starting_.push_back({std::move(reading), pid, job.id});
  return 0;
}

void Spawner::StartWaiting() {
  if (!waiting_) return;
  if (const int error = TryFork(*waiting_); error != 0) {
    if (Clock::now() < waiting_->give_up) return;
    Report(waiting_->id, wire::ReportKind::kNotStarted, error,
           std::string("cannot fork: ") + std::strerror(error));
  }
  waiting_.reset();
}

void Spawner::Resolve(Starting& child) {
  char message[sizeof(ChildFailure) + wire::kMaxReportText];
  ssize_t size;
  do {
    size = ::read(child.pipe.get(), message, sizeof message);
  } while (size < 0 && errno == EINTR);
  child.pipe.reset();
  if (size < static_cast<ssize_t>(sizeof(ChildFailure))) {
    Report(child.id, wire::ReportKind::kStarted, child.pid);
    return;
  }
  ChildFailure failure;
  std::memcpy(&failure, message, sizeof failure);
  Report(child.id, failure.kind, failure.error,
         {message + sizeof failure, static_cast<std::size_t>(size) - sizeof failure});
  // It never became the agent: its end is nobody's business, it is only reaped.
  running_.erase(child.pid);
}

void Spawner::ResolveReadable(const std::vector<pollfd>& polled) {
  for (const pollfd& entry : polled) {
    if (entry.revents == 0) continue;
    for (Starting& child : starting_) {
      if (child.pipe.get() == entry.fd) {
        Resolve(child);
        break;
      }
    }
  }
  std::erase_if(starting_, [](const Starting& child) { return !child.pipe; });
}

void Spawner::Reap() {
  signalfd_siginfo ignored;
  while (::read(signals_, &ignored, sizeof ignored) == sizeof ignored) {
  }
  siginfo_t info{};
  while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
    // "Started" must be told before "ended"; the dead child's pipe no longer blocks.
    for (Starting& child : starting_) {
      if (child.pid == info.si_pid) Resolve(child);
    }
    std::erase_if(starting_, [](const Starting& child) { return !child.pipe; });
    if (auto found = running_.find(info.si_pid); found != running_.end()) {
      const bool exited = info.si_code == CLD_EXITED;
      Report(found->second, exited ? wire::ReportKind::kExited : wire::ReportKind::kKilled,
             info.si_status);
      running_.erase(found);
    }
    info.si_pid = 0;
  }
}

void Spawner::Run() {
  std::vector<pollfd> polled;
  while (!closed_ || waiting_ || !starting_.empty()) {
    polled.clear();
    for (const Starting& child : starting_) polled.push_back({child.pipe.get(), POLLIN, 0});
    const std::size_t children = polled.size();
    polled.push_back({signals_, POLLIN, 0});
    polled.push_back({MayTakeJob() ? socket_ : -1, POLLIN, 0});
    if (::poll(polled.data(), polled.size(), waiting_ ? kForkPauseMs : -1) < 0) continue;

    const bool job_ready = polled.back().revents != 0;
    const bool child_ended = polled[children].revents != 0;
    polled.resize(children);
    ResolveReadable(polled);
    if (child_ended) Reap();
    if (job_ready) TakeJob();
    StartWaiting();
  }
}

}  // namespace

void RunSpawner(int socket, int null_fd) {
  ::prctl(PR_SET_NAME, "corral-spawner");
  // A session of its own: Ctrl-C at a daemon in the foreground is for the daemon. Signals
  // stay blocked: the end of the socket ends the spawner, after what was queued.
  ::setsid();
  if (::chdir("/") != 0) ::_exit(1);
  // Out of the way first: a daemon started with closed descriptors may hold them at 0 to 3.
  null_fd = ::fcntl(null_fd, F_DUPFD_CLOEXEC, 10);
  socket = ::fcntl(socket, F_DUPFD_CLOEXEC, 10);
  for (int fd : {0, 1, 2}) {
    if (::dup2(null_fd, fd) < 0) ::_exit(1);
  }
  if (::dup3(socket, 3, O_CLOEXEC) < 0) ::_exit(1);
  ::close_range(4, ~0U, 0);

  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &plain, nullptr);
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  const int signals = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) ::_exit(1);

  Spawner(3, signals).Run();
  ::_exit(0);
}

}  // namespace corral
