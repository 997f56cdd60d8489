#include "agent/agent_starter.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <map>
#include <thread>
#include <vector>

#include "agent/agent_log.h"
#include "agent/spawner.h"
#include "agent/wire.h"
#include "base/errors.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace corral {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::ReportKind;

// At the end what was handed over is still started.
constexpr seconds kEndPatience{5};
// A spawner that lived so long had no trouble; one that did not is replaced ever more slowly.
constexpr seconds kGoodLife{60};
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{30000};
constexpr unsigned kDeathsToTell = 3;
constexpr seconds kOutOfDescriptors{1};
// All agents that may run do, none has ended for so long, and others wait.
constexpr seconds kStuck{60};
constexpr seconds kSlow{10};  // to start one agent
constexpr seconds kLook{5};   // how often that is looked at, and what the log left out

class Starter final : public AgentStarter {
 public:
  Starter(Fd program, unsigned limit, SpawnerProcess first);
  ~Starter() override;

  Result<void> Serve(AgentOwner owner) override;
  bool HasRoom() const override;
  void Start(AgentJob job) override;
  Tid spawner() const override EXCLUDES(jobs_mu_);
  AgentCounts counts() const override EXCLUDES(jobs_mu_);
  std::string trouble() const override EXCLUDES(jobs_mu_);

 private:
  enum class State { kWaits, kSent, kExecs, kOrphan };
  struct Known {
    AgentJob job;
    State state = State::kWaits;
    std::uint64_t spawner = 0;  // whom it was sent to
    Clock::time_point sent;     // when
    bool not_heard = false;     // it could not be let go
    Fd process;                 // once it execs
  };
  // One that died stays here until its socket ends: its children may still become agents.
  struct Spawner {
    std::uint64_t number;
    SpawnerProcess process;
    bool dead = false;
    Clock::time_point began;
  };
  struct Polled;

  void Run();
  bool Done() EXCLUDES(jobs_mu_);
  void Wait();
  void TakeReports(Spawner& spawner);
  void OnReport(wire::Report report) EXCLUDES(jobs_mu_);
  void LetGo(wire::Report report) EXCLUDES(jobs_mu_);
  void NoteEndLocked(const Known& known, wire::Report& report) REQUIRES(jobs_mu_);
  void Orphan(const Spawner& spawner) EXCLUDES(jobs_mu_);
  void OnEndOfSocket(const Spawner& spawner) EXCLUDES(jobs_mu_);
  void OnDeath(Spawner& spawner) EXCLUDES(jobs_mu_);
  void OnOrphansEnd(std::uint64_t id) EXCLUDES(jobs_mu_);
  void KeepOneSpawner() EXCLUDES(jobs_mu_);
  void Send() EXCLUDES(jobs_mu_);
  Result<bool> SendOne(std::uint64_t id, const AgentJob& job);
  void RoomMayBe() EXCLUDES(jobs_mu_);
  void NoteStuck() EXCLUDES(jobs_mu_);
  milliseconds UntilNext() EXCLUDES(jobs_mu_);  // below 0: nothing is due
  Spawner* Current();
  bool StuckLocked() const REQUIRES(jobs_mu_);

  const Fd program_;
  const Fd wake_;
  const unsigned limit_;
  AgentOwner owner_;  // constant once the thread runs
  std::thread thread_;
  std::atomic<bool> full_ = false;
  mutable std::atomic<bool> wanted_ = false;  // somebody was told that there is no room

  // The thread's only.
  std::list<Spawner> spawners_;
  AgentLog log_;
  bool socket_full_ = false;
  bool said_stuck_ = false;
  Clock::time_point end_by_ = Clock::time_point::max();
  Clock::time_point hold_until_;  // nothing is sent before

  // A leaf, never held while sending or calling anybody.
  mutable Mutex jobs_mu_;
  std::map<std::uint64_t, Known> jobs_ GUARDED_BY(jobs_mu_);  // by id, so the oldest first
  std::uint64_t last_id_ GUARDED_BY(jobs_mu_) = 0;
  AgentCounts counts_ GUARDED_BY(jobs_mu_);
  pid_t current_pid_ GUARDED_BY(jobs_mu_) = 0;
  unsigned deaths_ GUARDED_BY(jobs_mu_) = 0;  // one after the other without a good life between
  Clock::time_point last_death_ GUARDED_BY(jobs_mu_);
  std::string no_spawner_ GUARDED_BY(jobs_mu_);  // why the last try failed
  Clock::time_point next_try_ GUARDED_BY(jobs_mu_) = Clock::time_point::min();
  Clock::time_point still_since_ GUARDED_BY(jobs_mu_) = Clock::now();  // no end, or not full
  bool ending_ GUARDED_BY(jobs_mu_) = false;
};

Starter::Starter(Fd program, unsigned limit, SpawnerProcess first)
    : program_(std::move(program)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      limit_(limit),
      current_pid_(first.pid) {
  spawners_.push_back({.number = 1, .process = std::move(first), .began = Clock::now()});
}

Starter::~Starter() {
  {
    MutexLock lock(jobs_mu_);
    ending_ = true;
  }
  (void)::eventfd_write(wake_.get(), 1);
  if (thread_.joinable()) thread_.join();
  for (Spawner& spawner : spawners_) {
    if (spawner.dead) continue;
    ::kill(spawner.process.pid, SIGKILL);
    ::waitpid(spawner.process.pid, nullptr, 0);
  }
}

Result<void> Starter::Serve(AgentOwner owner) {
  owner_ = std::move(owner);
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);  // signals are for the main thread
  auto thread = StartThread([this] { Run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!thread) return Fail(thread.error().code, "release agents: {}", thread.error().message);
  thread_ = std::move(*thread);
  return {};
}

bool Starter::HasRoom() const {
  if (!full_) return true;
  wanted_ = true;
  return !full_;  // again: it may have become so before that was known to be wanted
}

void Starter::Start(AgentJob job) {
  {
    MutexLock lock(jobs_mu_);
    jobs_.emplace(++last_id_, Known{.job = std::move(job)});
    if (jobs_.size() == limit_) still_since_ = Clock::now();
    full_ = jobs_.size() >= limit_;
  }
  (void)::eventfd_write(wake_.get(), 1);
}

Tid Starter::spawner() const {
  MutexLock lock(jobs_mu_);
  return Tid(static_cast<std::uint32_t>(current_pid_));
}

AgentCounts Starter::counts() const {
  MutexLock lock(jobs_mu_);
  AgentCounts counts = counts_;
  counts.limit = limit_;
  counts.running = static_cast<std::uint64_t>(std::ranges::count_if(
      jobs_, [](const auto& job) { return job.second.state != State::kWaits; }));
  return counts;
}

bool Starter::StuckLocked() const {
  return full_ && wanted_ && Clock::now() - still_since_ > kStuck;
}

std::string Starter::trouble() const {
  MutexLock lock(jobs_mu_);
  if (current_pid_ == 0 && !no_spawner_.empty()) {
    return fmt::format("release agents wait: {}", no_spawner_);
  }
  const bool again = deaths_ >= kDeathsToTell && Clock::now() - last_death_ < kGoodLife;
  if (again || (current_pid_ == 0 && deaths_ > 1)) {
    return fmt::format("the agent spawner died {} times one after the other{}", deaths_,
                       current_pid_ == 0 ? "; release agents wait until the next one starts" : "");
  }
  for (const auto& [id, known] : jobs_) {
    const auto since = Clock::now() - known.sent;
    if (known.state != State::kSent || since < kSlow) continue;
    return fmt::format(
        "the agent spawner (pid {}) has not started an agent for {} s; is it stopped, or does the "
        "agent's file system hang?",
        current_pid_, std::chrono::duration_cast<seconds>(since).count());
  }
  if (StuckLocked()) {
    return fmt::format(
        "all {} release agents that may run at once do, and none has ended for {} s; "
        "notifications wait",
        limit_, std::chrono::duration_cast<seconds>(Clock::now() - still_since_).count());
  }
  return "";
}

// ---- The thread

Starter::Spawner* Starter::Current() {
  return spawners_.empty() || spawners_.back().dead || !spawners_.back().process.socket
             ? nullptr
             : &spawners_.back();
}

void Starter::Run() {
  while (!Done()) {
    try {
      KeepOneSpawner();
      Send();
      Wait();
      NoteStuck();
      log_.TellLeftOut();
    } catch (...) {  // out of memory: what was not done is done in the next round
      std::this_thread::sleep_for(kFirstPause);
    }
  }
}

// At the end: when all that was handed over has started or failed, or time is up.
bool Starter::Done() {
  bool waiting = false;
  {
    MutexLock lock(jobs_mu_);
    if (!ending_) return false;
    waiting = std::ranges::any_of(
        jobs_, [](const auto& job) { return job.second.state == State::kWaits; });
  }
  end_by_ = std::min(end_by_, Clock::now() + kEndPatience);
  if (Clock::now() >= end_by_) return true;
  if (waiting && Current() != nullptr) return false;
  for (const Spawner& spawner : spawners_) {
    if (spawner.process.socket) ::shutdown(spawner.process.socket.get(), SHUT_WR);
  }
  return std::ranges::none_of(spawners_,
                              [](const Spawner& one) { return bool(one.process.socket); });
}

milliseconds Starter::UntilNext() {
  MutexLock lock(jobs_mu_);
  if (current_pid_ != 0 && !ending_ && jobs_.empty() && log_.Silent()) return milliseconds(-1);
  auto at = std::min(end_by_, Clock::now() + kLook);
  if (current_pid_ == 0) at = std::min(at, next_try_);
  if (hold_until_ > Clock::now()) at = std::min(at, hold_until_);
  return std::max(milliseconds(0),
                  std::chrono::duration_cast<milliseconds>(at - Clock::now()) + milliseconds(1));
}

struct Starter::Polled {
  std::vector<pollfd> fds;
  void Add(const Fd& fd, short events) { fds.push_back({fd.get(), events, 0}); }
};

void Starter::Wait() {
  Polled polled;
  polled.Add(wake_, POLLIN);
  for (const Spawner& spawner : spawners_) {
    const bool send = socket_full_ && &spawner == Current();
    polled.Add(spawner.process.socket, send ? POLLIN | POLLOUT : POLLIN);
    if (!spawner.dead) polled.Add(spawner.process.pidfd, POLLIN);
  }
  std::vector<std::uint64_t> orphans;
  {
    MutexLock lock(jobs_mu_);
    for (const auto& [id, known] : jobs_) {
      if (known.state != State::kOrphan) continue;
      orphans.push_back(id);
      polled.Add(known.process, POLLIN);
    }
  }
  const auto timeout = static_cast<int>(UntilNext().count());
  int ready = ::poll(polled.fds.data(), polled.fds.size(), timeout);
  if (ready < 0 && errno == EINVAL) {  // fewer descriptors allowed than are asked about: one by one
    std::this_thread::sleep_for(kFirstPause);
    for (pollfd& one : polled.fds) ready = std::max(ready, ::poll(&one, 1, 0));
  }
  if (ready <= 0) return;

  eventfd_t ignored;
  (void)::eventfd_read(wake_.get(), &ignored);
  auto at = polled.fds.begin() + 1;
  for (Spawner& spawner : spawners_) {
    if (at++->revents != 0 && spawner.process.socket) TakeReports(spawner);
    if (!spawner.dead && at++->revents != 0) OnDeath(spawner);
  }
  for (const std::uint64_t id : orphans) {
    if (at++->revents != 0) OnOrphansEnd(id);
  }
  std::erase_if(spawners_, [](const Spawner& one) { return one.dead && !one.process.socket; });
  RoomMayBe();
}

void Starter::TakeReports(Spawner& spawner) {
  while (auto report = wire::ReceiveReport(spawner.process.socket.get())) {
    OnReport(*std::move(report));
  }
  if (errno == EAGAIN) return;
  spawner.process.socket.reset();
  OnEndOfSocket(spawner);
}

void Starter::OnReport(wire::Report report) {
  if (report.header.kind == ReportKind::kReady) return LetGo(std::move(report));
  AgentJob job;
  bool settled = false;
  {
    MutexLock lock(jobs_mu_);
    const auto found = jobs_.find(report.header.id);
    if (found == jobs_.end()) return;
    Known& known = found->second;
    if (std::exchange(known.not_heard, false)) {
      known.state = State::kWaits;
      return;
    }
    settled = known.state == State::kSent;
    NoteEndLocked(known, report);
    job = std::move(known.job);
    jobs_.erase(found);
  }
  log_.Ended(job, report.header.kind, report.header.value, report.text);
  if (settled) owner_.settled(job);
}

// The child becomes the agent, and at once the notification is settled: a crash between these two
// has it told twice, so there is nothing between.
void Starter::LetGo(wire::Report report) {
  AgentJob job;
  {
    MutexLock lock(jobs_mu_);
    const auto found = jobs_.find(report.header.id);
    if (found == jobs_.end()) return;
    Known& known = found->second;
    if (!report.go) {  // out of descriptors: it ends, and is told again a little later
      known.not_heard = true;
      hold_until_ = Clock::now() + kOutOfDescriptors;
      return;
    }
    known.state = State::kExecs;
    known.process = std::move(report.process);
    ++counts_.started;
    job = known.job;
  }
  if (::write(report.go.get(), "", 1) == 1) return owner_.settled(job);
  // It is dead already; that it ended will be told.
  MutexLock lock(jobs_mu_);
  jobs_.at(report.header.id).state = State::kSent;
  --counts_.started;
}

void Starter::NoteEndLocked(const Known& known, wire::Report& report) {
  ReportKind& kind = report.header.kind;
  still_since_ = Clock::now();
  const bool ended = kind == ReportKind::kExited || kind == ReportKind::kKilled;
  if (known.state == State::kSent && ended) {
    report.text =
        fmt::format("ended ({} {}) before it became the agent",
                    kind == ReportKind::kKilled ? "signal" : "status", report.header.value);
    kind = ReportKind::kNotStarted;
  } else if (known.state != State::kSent && !ended) {
    --counts_.started;  // that exec failed
  }
  switch (kind) {
    case ReportKind::kReady: break;
    case ReportKind::kRefused: ++counts_.refused; break;
    case ReportKind::kNotStarted: ++counts_.not_started; break;
    case ReportKind::kKilled: ++counts_.failed; break;
    case ReportKind::kExited: ++(report.header.value == 0 ? counts_.succeeded : counts_.failed);
  }
}

// Nobody tells any more how its agents end; that they end is seen from themselves.
void Starter::Orphan(const Spawner& spawner) {
  std::vector<AgentJob> unseen;
  {
    MutexLock lock(jobs_mu_);
    if (ending_) return;  // they go on, and we do not
    for (auto at = jobs_.begin(); at != jobs_.end();) {
      auto& [id, known] = *at;
      const bool its = known.spawner == spawner.number && known.state == State::kExecs;
      if (its) known.state = State::kOrphan;
      if (!its || known.process) {
        ++at;
        continue;
      }
      ++counts_.unseen;
      unseen.push_back(std::move(known.job));
      at = jobs_.erase(at);
    }
  }
  for (const AgentJob& job : unseen) log_.Unseen(job);
}

// Every report was read, and no child of this spawner can become an agent any more: what it was
// given and did not report never ran, and is told again.
void Starter::OnEndOfSocket(const Spawner& spawner) {
  Orphan(spawner);
  MutexLock lock(jobs_mu_);
  for (auto& [id, known] : jobs_) {
    if (known.spawner == spawner.number && known.state == State::kSent) {
      known.state = State::kWaits;
      known.not_heard = false;
    }
  }
}

void Starter::OnOrphansEnd(std::uint64_t id) {
  AgentJob job;
  {
    MutexLock lock(jobs_mu_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return;
    job = std::move(found->second.job);
    jobs_.erase(found);
    still_since_ = Clock::now();
    ++counts_.unseen;
  }
  log_.Unseen(job);
}

void Starter::OnDeath(Spawner& spawner) {
  int status = 0;
  if (::waitpid(spawner.process.pid, &status, WNOHANG) == 0) return;  // it lives
  spawner.dead = true;
  if (spawner.process.socket) TakeReports(spawner);  // its last words
  Orphan(spawner);
  milliseconds pause(0);
  {
    MutexLock lock(jobs_mu_);
    current_pid_ = 0;
    if (ending_) return;
    ++counts_.spawner_deaths;
    deaths_ = Clock::now() - spawner.began >= kGoodLife ? 1 : deaths_ + 1;
    if (deaths_ > 1) {
      pause = std::min(kLongestPause, kFirstPause * (1 << std::min(deaths_ - 2, 10u)));
    }
    last_death_ = Clock::now();
    next_try_ = last_death_ + pause;
  }
  log::Warn("the agent spawner (pid {}) died ({} {}); another one is started{}",
            spawner.process.pid, WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
            pause.count() == 0 ? std::string() : fmt::format(" in {} ms", pause.count()));
}

void Starter::KeepOneSpawner() {
  {
    MutexLock lock(jobs_mu_);
    if (current_pid_ != 0 || ending_ || Clock::now() < next_try_) return;
  }
  auto made = StartSpawner(program_.get());
  MutexLock lock(jobs_mu_);
  no_spawner_ = made ? "" : made.error().message;
  if (!made) {
    next_try_ = Clock::now() + seconds(1);
    static log::Limit limit(1);
    log::ErrorAtMost(limit, "release agents wait: {}", no_spawner_);
    return;
  }
  current_pid_ = made->pid;
  socket_full_ = false;
  spawners_.push_back(
      {.number = counts_.spawner_deaths + 1, .process = std::move(*made), .began = Clock::now()});
}

// True: sent; false: the socket is full, or its spawner gone, which the next look will show.
Result<bool> Starter::SendOne(std::uint64_t id, const AgentJob& job) {
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
  owner_.place_spawner();
  const int socket = Current()->process.socket.get();
  ssize_t sent;
  do {
    sent = ::send(socket, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno == EMSGSIZE) return Fail(errno, "names are too long for the socket");
  return sent >= 0;
}

// The oldest first, as many as may run.
void Starter::Send() {
  for (;;) {
    Spawner* const spawner = Current();
    if (spawner == nullptr || Clock::now() < hold_until_) return;
    std::uint64_t id = 0;
    AgentJob job;
    {
      MutexLock lock(jobs_mu_);
      std::size_t running = 0;
      for (auto& [number, known] : jobs_) {
        if (running >= limit_) return;
        if (known.state == State::kWaits) {
          id = number;
          job = known.job;
          // Before it is sent: the report may be quicker than we are.
          known.state = State::kSent;
          known.sent = Clock::now();
          known.spawner = spawner->number;
          break;
        }
        ++running;
      }
    }
    if (id == 0) return;
    const auto sent = SendOne(id, job);
    if (!sent) {
      OnReport({.header = {id, ReportKind::kNotStarted, sent.error().code},
                .text = sent.error().message});
      RoomMayBe();
      continue;
    }
    socket_full_ = !*sent;
    if (*sent) continue;
    MutexLock lock(jobs_mu_);
    jobs_.at(id).state = State::kWaits;
    return;
  }
}

void Starter::RoomMayBe() {
  {
    MutexLock lock(jobs_mu_);
    full_ = jobs_.size() >= limit_;
  }
  if (!full_ && wanted_.exchange(false)) owner_.room();
}

void Starter::NoteStuck() {
  bool stuck = false;
  {
    MutexLock lock(jobs_mu_);
    stuck = StuckLocked();
  }
  if (stuck && !std::exchange(said_stuck_, true)) log::Error("{}", trouble());
  if (!full_) said_stuck_ = false;
}

}  // namespace

Result<std::unique_ptr<AgentStarter>> AgentStarter::Create(unsigned max_agents) {
  const Fd opened(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  // Out of the way of the spawner's own descriptors.
  Fd program(::fcntl(opened.get(), F_DUPFD_CLOEXEC, 10));
  if (!program) return Fail(errno, "cannot open /proc/self/exe: {}", std::strerror(errno));
  auto first = TRY(StartSpawner(program.get()));
  return std::make_unique<Starter>(std::move(program), max_agents, std::move(first));
}

}  // namespace corral
