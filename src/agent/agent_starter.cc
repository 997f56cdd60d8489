// The starter's thread: it takes jobs to the spawner and reports to their owner. What there is to
// start is in AgentJobs, who starts it in Spawners; the thread holds the lock of neither.
#include "agent/agent_starter.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "agent/agent_jobs.h"
#include "agent/agent_log.h"
#include "agent/spawner.h"
#include "agent/spawners.h"
#include "agent/wire.h"
#include "base/errors.h"
#include "base/event_fd.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/poll.h"
#include "base/thread.h"

namespace corral {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::ReportKind;

// At the end what was handed over is still started.
constexpr seconds kEndPatience{5};
constexpr milliseconds kOutOfMemory{100};
constexpr seconds kOutOfDescriptors{1};
constexpr seconds kLook{
    5};  // how often it looks for jobs that are stuck, and what the log left out

class Starter final : public AgentStarter {
 public:
  Starter(Fd program, unsigned limit, SpawnerProcess first)
      : jobs_(limit), spawners_(std::move(program), std::move(first)) {}
  ~Starter() override;

  Result<void> Serve(AgentOwner owner) override;
  bool HasRoom() const override { return jobs_.HasRoom(); }
  void Start(AgentJob job) override;
  Tid spawner() const override { return Tid(static_cast<std::uint32_t>(spawners_.pid())); }
  AgentCounts counts() const override;
  std::string trouble() const override;

 private:
  void Run();
  bool Done();
  void Send();
  Result<bool> SendOne(const AgentJobs::Next& next);
  void Wait();
  milliseconds UntilNext();  // below 0: nothing is due
  void TakeReports(Spawners::One& spawner);
  void OnReport(wire::Report report);
  void LetGo(wire::Report report);
  void OnEndOfSocket(const Spawners::One& spawner);
  void OnDeath(Spawners::One& spawner);
  void Orphan(const Spawners::One& spawner);
  void NoteStuck();

  AgentJobs jobs_;
  Spawners spawners_;
  EventFd wake_;
  AgentOwner owner_;  // constant once the thread runs
  std::thread thread_;

  // The thread's only.
  AgentLog log_;
  bool said_stuck_ = false;
  Clock::time_point end_by_ = Clock::time_point::max();
  Clock::time_point hold_until_;  // nothing is sent before
};

// ---- any thread

Starter::~Starter() {
  jobs_.End();
  wake_.Wake();
  if (thread_.joinable()) thread_.join();
}

Result<void> Starter::Serve(AgentOwner owner) {
  if (wake_.fd() < 0) return Fail(EMFILE, "no descriptor is left to start release agents with");
  owner_ = std::move(owner);
  auto thread = StartThreadWithoutSignals([this] { Run(); });
  if (!thread) return Fail(thread.error().code, "release agents: {}", thread.error().message);
  thread_ = std::move(*thread);
  return {};
}

void Starter::Start(AgentJob job) {
  jobs_.Add(std::move(job));
  wake_.Wake();
}

// Deaths first: what came of one is among the counts that are read later.
AgentCounts Starter::counts() const {
  const std::uint64_t deaths = spawners_.deaths();
  AgentCounts counts = jobs_.counts();
  counts.spawner_deaths = deaths;
  return counts;
}

std::string Starter::trouble() const {
  std::string text = spawners_.trouble();
  return text.empty() ? jobs_.trouble(spawners_.pid()) : text;
}

// ---- the thread

void Starter::Run() {
  while (!Done()) {
    try {
      if (!jobs_.ending()) spawners_.KeepOne();
      Send();
      Wait();
      NoteStuck();
      log_.TellLeftOut();
    } catch (...) {  // out of memory: what was not done is done in the next round
      std::this_thread::sleep_for(kOutOfMemory);
    }
  }
}

// At the end: when all that was handed over has started or failed, or time is up.
bool Starter::Done() {
  if (!jobs_.ending()) return false;
  const bool waiting = jobs_.AnyWaits();
  end_by_ = std::min(end_by_, Clock::now() + kEndPatience);
  if (Clock::now() >= end_by_) return true;
  if (waiting && spawners_.Current() != nullptr) return false;
  for (const auto& spawner : spawners_.all()) {
    if (spawner.process.socket) ::shutdown(spawner.process.socket.get(), SHUT_WR);
  }
  return std::ranges::none_of(spawners_.all(),
                              [](const auto& one) { return one.process.socket.valid(); });
}

// The oldest first, as many as may run.
void Starter::Send() {
  for (;;) {
    const Spawners::One* const spawner = spawners_.Current();
    if (spawner == nullptr || Clock::now() < hold_until_) return;
    const auto next = jobs_.TakeNext(spawner->number);
    if (!next) return;
    const auto sent = SendOne(*next);
    if (!sent) {
      OnReport({.header = {next->id, ReportKind::kNotStarted, sent.error().code},
                .text = sent.error().message});
      if (jobs_.TakeRoom()) owner_.room();
    } else if (!*sent) {
      return jobs_.PutBack(next->id);
    }
  }
}

// As Spawners::Send().
Result<bool> Starter::SendOne(const AgentJobs::Next& next) {
  const std::string message = TRY(wire::PackJob(next.id, next.job));
  owner_.place_spawner();
  return spawners_.Send(message);
}

milliseconds Starter::UntilNext() {
  const bool no_spawner = spawners_.pid() == 0;
  if (!no_spawner && !jobs_.ending() && jobs_.empty() && log_.Silent()) return milliseconds(-1);
  auto at = std::min(end_by_, Clock::now() + kLook);
  if (no_spawner) at = std::min(at, spawners_.next_try());
  if (hold_until_ > Clock::now()) at = std::min(at, hold_until_);
  return std::max(milliseconds(0),
                  std::chrono::duration_cast<milliseconds>(at - Clock::now()) + milliseconds(1));
}

void Starter::Wait() {
  std::vector<pollfd> polled;
  const auto add = [&](int fd, short events) { polled.push_back({fd, events, 0}); };
  add(wake_.fd(), POLLIN);
  for (const auto& spawner : spawners_.all()) {
    const bool send = spawners_.socket_full() && &spawner == spawners_.Current();
    add(spawner.process.socket.get(), send ? POLLIN | POLLOUT : POLLIN);
    if (!spawner.dead) add(spawner.process.pidfd.get(), POLLIN);
  }
  const auto orphans = jobs_.Orphans();
  for (const auto& [id, process] : orphans) add(process, POLLIN);
  if (PollAll(polled, static_cast<int>(UntilNext().count())) <= 0) return;

  wake_.Reset();
  auto at = polled.begin() + 1;
  for (auto& spawner : spawners_.all()) {
    if (at++->revents != 0 && spawner.process.socket) TakeReports(spawner);
    if (!spawner.dead && at++->revents != 0) OnDeath(spawner);
  }
  for (const auto& [id, process] : orphans) {
    if (at++->revents == 0) continue;
    if (const auto job = jobs_.TakeOrphan(id)) log_.Unseen(*job);
  }
  spawners_.DropFinished();
  if (jobs_.TakeRoom()) owner_.room();
}

// ---- reports

void Starter::TakeReports(Spawners::One& spawner) {
  while (auto report = wire::ReceiveReport(spawner.process.socket.get())) {
    OnReport(*std::move(report));
  }
  if (errno == EAGAIN) return;
  spawner.process.socket.reset();
  OnEndOfSocket(spawner);
}

void Starter::OnReport(wire::Report report) {
  if (report.header.kind == ReportKind::kReady) return LetGo(std::move(report));
  const auto ended = jobs_.TakeEnded(report);
  if (!ended) return;
  log_.Ended(ended->job, report.header.kind, report.header.value, report.text);
  if (ended->settles) owner_.settled(ended->job);
}

// The child becomes the agent, and at once the notification is settled: a crash between these two
// has it told twice, so there is nothing between.
void Starter::LetGo(wire::Report report) {
  const std::uint64_t id = report.header.id;
  if (!report.go) {  // out of descriptors: it ends, and is told again a little later
    hold_until_ = Clock::now() + kOutOfDescriptors;
    return jobs_.NotHeard(id);
  }
  const auto job = jobs_.LetGo(id, std::move(report.process));
  if (!job) return;
  if (::write(report.go.get(), "", 1) == 1) return owner_.settled(*job);
  jobs_.NotLetGo(id);  // it is dead already; that it ended will be told
}

// Nobody tells any more how its agents end; that they end is seen from themselves.
void Starter::Orphan(const Spawners::One& spawner) {
  for (const AgentJob& job : jobs_.Orphan(spawner.number)) log_.Unseen(job);
}

void Starter::OnEndOfSocket(const Spawners::One& spawner) {
  Orphan(spawner);
  jobs_.TellAgain(spawner.number);
}

void Starter::OnDeath(Spawners::One& spawner) {
  const auto status = Spawners::Reap(spawner);
  if (!status) return;
  if (spawner.process.socket) TakeReports(spawner);  // its last words
  Orphan(spawner);
  if (jobs_.ending()) return spawners_.NoteDeathAtTheEnd();
  spawners_.NoteDeath(spawner, *status);
}

void Starter::NoteStuck() {
  if (jobs_.IsStuck() && !std::exchange(said_stuck_, true)) log::Error("{}", trouble());
  if (!jobs_.full()) said_stuck_ = false;
}

}  // namespace

Result<std::unique_ptr<AgentStarter>> AgentStarter::Create(unsigned max_agents) {
  const Fd opened(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  if (!opened) return FailErrno("cannot open /proc/self/exe");
  // Out of the way of the spawner's own descriptors. EINVAL: the limit is below that.
  constexpr int kAbove = 10;
  Fd program(::fcntl(opened.get(), F_DUPFD_CLOEXEC, kAbove));
  if (!program) return Fail(EMFILE, "no descriptor from {} on is left for release agents", kAbove);
  auto first = TRY(StartSpawner(program.get()));
  return std::make_unique<Starter>(std::move(program), max_agents, std::move(first));
}

}  // namespace corral
