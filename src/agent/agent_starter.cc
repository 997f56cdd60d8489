#include "agent/agent_starter.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <unordered_map>

#include "agent/spawner.h"
#include "agent/wire.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mutex.h"

namespace corral {
namespace {

constexpr int kSocketBuffer = 1 << 20;
// At the end the spawner still starts what is queued.
constexpr int kSpawnerEndMs = 5000;
constexpr std::size_t kLoggedPath = 300;

// For the log: quoted, bytes that are not text escaped, cut.
std::string Shown(std::string_view text) {
  if (text.size() <= kLoggedPath) return fmt::format("{:?}", text);
  return fmt::format("{:?}... ({} bytes)", text.substr(0, kLoggedPath), text.size());
}

class Starter final : public AgentStarter {
 public:
  Starter(Fd socket, pid_t spawner)
      : socket_(std::move(socket)),
        spawner_(spawner),
        spawner_pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, spawner, 0))) {}
  ~Starter() override;

  void Start(const AgentJob& job) override;
  Tid spawner() const override { return Tid(static_cast<std::uint32_t>(spawner_)); }
  AgentCounts counts() const override {
    MutexLock lock(jobs_mu_);
    return counts_;
  }

 private:
  struct Known {
    AgentJob job;
    bool started = false;
  };

  Result<void> Send(std::uint64_t id, const AgentJob& job);
  void NotStarted(const AgentJob& job, std::string_view why) EXCLUDES(jobs_mu_);
  void ReadReports();
  void OnReport(const wire::ReportHeader& report, std::string_view text) EXCLUDES(jobs_mu_);
  void OnSpawnerGone() EXCLUDES(jobs_mu_);

  const Fd socket_;
  const pid_t spawner_;
  const Fd spawner_pidfd_;
  std::thread reader_;         // started by the first Start()
  std::uint64_t last_id_ = 0;  // Start()'s thread only

  // A leaf, never held while sending: the reader must always get on, or both directions of
  // the socket could fill up and wait for each other.
  mutable Mutex jobs_mu_;
  std::unordered_map<std::uint64_t, Known> jobs_ GUARDED_BY(jobs_mu_);
  AgentCounts counts_ GUARDED_BY(jobs_mu_);
  bool ending_ GUARDED_BY(jobs_mu_) = false;
};

Starter::~Starter() {
  {
    MutexLock lock(jobs_mu_);
    ending_ = true;
  }
  ::shutdown(socket_.get(), SHUT_WR);
  pollfd ended{spawner_pidfd_.get(), POLLIN, 0};
  if (::poll(&ended, 1, kSpawnerEndMs) <= 0) ::kill(spawner_, SIGKILL);
  ::waitpid(spawner_, nullptr, 0);
  if (reader_.joinable()) reader_.join();
}

void Starter::NotStarted(const AgentJob& job, std::string_view why) {
  log::Warn("release agent {} not started for {} {}: {}", Shown(job.agent), job.hierarchy,
            Shown(job.path), why);
  MutexLock lock(jobs_mu_);
  ++counts_.not_started;
}

Result<void> Starter::Send(std::uint64_t id, const AgentJob& job) {
  if (job.path.size() > wire::kMaxArgument) {
    return Fail(E2BIG, "the path has {} bytes, an argument at most {}", job.path.size(),
                wire::kMaxArgument);
  }
  for (const std::string* text : {&job.agent, &job.path, &job.user}) {
    if (text->find('\0') != std::string::npos) return Fail(EINVAL, "a name contains a NUL byte");
  }
  const std::string message = wire::PackJob(id, job);
  if (message.size() > wire::kMaxJobSize) {
    return Fail(E2BIG, "names of {} bytes are too long", message.size());
  }
  // Waits while the queue is full: for the spawner's forks, never for an agent.
  while (::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return Fail(errno, "no spawner: {}", std::strerror(errno));
  }
  return {};
}

void Starter::Start(const AgentJob& job) {
  if (!reader_.joinable()) reader_ = std::thread(&Starter::ReadReports, this);
  const std::uint64_t id = ++last_id_;
  {
    // Before sending: the report may arrive before send() returns.
    MutexLock lock(jobs_mu_);
    jobs_.emplace(id, Known{.job = job});
  }
  if (auto sent = Send(id, job); !sent) {
    {
      // Gone already: the reader noticed the spawner's end and counted this job.
      MutexLock lock(jobs_mu_);
      if (jobs_.erase(id) == 0) return;
    }
    NotStarted(job, sent.error().message);
  }
}

void Starter::ReadReports() {
  std::string buffer(sizeof(wire::ReportHeader) + 2 * wire::kMaxReportText, '\0');
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    // ECONNRESET comes once when the spawner dies with jobs unread; its reports still follow.
    if (size < 0 && (errno == EINTR || errno == ECONNRESET)) continue;
    if (size < static_cast<ssize_t>(sizeof(wire::ReportHeader))) break;
    wire::ReportHeader report;
    std::memcpy(&report, buffer.data(), sizeof report);
    OnReport(report, std::string_view(buffer).substr(sizeof report, size - sizeof report));
  }
  OnSpawnerGone();
}

void Starter::OnReport(const wire::ReportHeader& report, std::string_view text) {
  using wire::ReportKind;
  AgentJob job;
  {
    MutexLock lock(jobs_mu_);
    auto found = jobs_.find(report.id);
    if (found == jobs_.end()) return;
    if (report.kind == ReportKind::kStarted) {
      found->second.started = true;
      ++counts_.started;
      return;
    }
    job = std::move(found->second.job);
    jobs_.erase(found);
    switch (report.kind) {
      case ReportKind::kStarted: break;
      case ReportKind::kRefused: ++counts_.refused; break;
      case ReportKind::kNotStarted: ++counts_.not_started; break;
      case ReportKind::kExited: ++(report.value == 0 ? counts_.succeeded : counts_.failed); break;
      case ReportKind::kKilled: ++counts_.failed; break;
    }
  }
  const std::string about =
      fmt::format("release agent {} for {} {}", Shown(job.agent), job.hierarchy, Shown(job.path));
  switch (report.kind) {
    case ReportKind::kStarted: break;
    case ReportKind::kRefused: log::Warn("{} refused: {}", about, text); break;
    case ReportKind::kNotStarted: log::Warn("{} not started: {}", about, text); break;
    case ReportKind::kKilled: log::Warn("{} was killed by signal {}", about, report.value); break;
    case ReportKind::kExited:
      if (report.value == 0) {
        log::Debug("{} succeeded", about);
      } else {
        log::Warn("{} failed with exit status {}", about, report.value);
      }
  }
}

void Starter::OnSpawnerGone() {
  std::unordered_map<std::uint64_t, Known> left;
  bool ending;
  {
    MutexLock lock(jobs_mu_);
    ending = ending_;
    left.swap(jobs_);
  }
  if (!ending) {
    log::Error("the agent spawner (pid {}) died; restart the daemon to run release agents again",
               spawner_);
  }
  for (const auto& [id, known] : left) {
    if (!known.started) {
      NotStarted(known.job, "the spawner died");
    } else if (!ending) {
      log::Warn("release agent {} for {} {}: its end was not seen, the spawner died",
                Shown(known.job.agent), known.job.hierarchy, Shown(known.job.path));
    }
  }
}

}  // namespace

Result<std::unique_ptr<AgentStarter>> AgentStarter::Create() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return Fail(errno, "spawner: cannot make a socket pair: {}", std::strerror(errno));
  }
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  // One job must fit whatever the machine's default is; more is only room for bursts.
  if (::setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof(int)) != 0) {
    ::setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof(int));
  }
  Fd null_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null_fd) return Fail(errno, "cannot open /dev/null: {}", std::strerror(errno));

  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ours.reset();
    RunSpawner(theirs.get(), null_fd.get());
  }
  const int error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return Fail(error, "cannot fork the spawner: {}", std::strerror(error));
  return std::make_unique<Starter>(std::move(ours), pid);
}

}  // namespace corral
