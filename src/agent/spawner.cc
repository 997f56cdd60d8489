#include "agent/spawner.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>

#include "agent/agent_child.h"
#include "agent/wire.h"
#include "base/check.h"
#include "base/poll.h"
#include "base/process.h"

namespace corral {
namespace {

// A fork that fails for want of pids or memory is tried again for ten seconds.
constexpr int kForkPauseMs = 100;
constexpr std::chrono::seconds kForkPatience{10};

using Clock = std::chrono::steady_clock;

class Spawner {
 public:
  explicit Spawner(int signals) : signals_(signals) {}
  void Run();

 private:
  struct Job {
    std::uint64_t id = 0;
    AgentJob job;
    Clock::time_point give_up;
  };

  void TakeJob();
  void StartWaiting();
  int TryFork(const Job& job);
  void Reap();

  const int signals_;
  bool closed_ = false;
  std::optional<Job> waiting_;                        // taken, not forked yet
  std::unordered_map<pid_t, std::uint64_t> running_;  // every child not reaped
  std::string buffer_ = std::string(wire::kMaxJobSize, '\0');
};

void Spawner::TakeJob() {
  const ssize_t size = ::recv(wire::kSocket, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  // ECONNRESET: the daemon died with reports unread.
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
  const pid_t pid = ::fork();
  if (pid < 0) return errno;
  if (pid == 0) BecomeAgent(job.id, job.job, wire::kSocket);
  running_.emplace(pid, job.id);
  return 0;
}

void Spawner::StartWaiting() {
  if (!waiting_) return;
  if (const int error = TryFork(*waiting_); error != 0) {
    if (Clock::now() < waiting_->give_up) return;
    (void)wire::SendReport(wire::kSocket, waiting_->id, wire::ReportKind::kNotStarted, error,
                           std::string("cannot fork: ") + std::strerror(error));
  }
  waiting_.reset();
}

void Spawner::Reap() {
  signalfd_siginfo ignored;
  while (::read(signals_, &ignored, sizeof ignored) == sizeof ignored) {
  }
  siginfo_t info{};
  while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
    if (auto found = running_.find(info.si_pid); found != running_.end()) {
      const bool exited = info.si_code == CLD_EXITED;
      (void)wire::SendReport(wire::kSocket, found->second,
                             exited ? wire::ReportKind::kExited : wire::ReportKind::kKilled,
                             info.si_status);
      running_.erase(found);
    }
    info.si_pid = 0;
  }
}

void Spawner::Run() {
  while (!closed_ || waiting_) {
    pollfd polled[] = {{signals_, POLLIN, 0},
                       {closed_ || waiting_ ? -1 : wire::kSocket, POLLIN, 0}};
    if (PollAll(polled, waiting_ ? kForkPauseMs : -1) < 0) continue;
    if (polled[0].revents != 0) Reap();
    if (polled[1].revents != 0) TakeJob();
    StartWaiting();
  }
}

}  // namespace

void RunSpawner() {
  ::prctl(PR_SET_NAME, "corral-spawner");
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(wire::kSocket, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      type != SOCK_SEQPACKET) {
    std::fprintf(stderr, "--spawner is for corrald itself\n");
    ::_exit(2);
  }
  if (::chdir("/") != 0) ::_exit(1);
  ::close_range(wire::kSocket + 1, ~0U, 0);
  ::fcntl(wire::kSocket, F_SETFD, FD_CLOEXEC);
  if (!StandardFilesToNull()) ::_exit(1);
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  const int signals = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) ::_exit(1);
  Spawner(signals).Run();
  ::_exit(0);
}

}  // namespace corral
