#include "agent/agent_jobs.h"

#include <algorithm>

namespace corral {

namespace {

using std::chrono::seconds;
using wire::ReportKind;

// All agents that may run do, none has ended for so long, and others wait.
constexpr seconds kStuck{60};
constexpr seconds kSlow{10};  // to start one agent

std::int64_t SecondsOf(std::chrono::steady_clock::duration time) {
  return std::chrono::duration_cast<seconds>(time).count();
}

}  // namespace

// ---- any thread

void AgentJobs::Add(AgentJob job) {
  MutexLock lock(jobs_mu_);
  jobs_.emplace(++last_id_, Known{.job = std::move(job)});
  if (jobs_.size() == limit_) still_since_ = Clock::now();
  full_ = jobs_.size() >= limit_;
}

bool AgentJobs::HasRoom() const {
  if (!full_) return true;
  wanted_ = true;
  return !full_;  // again: it may have become so before that was known to be wanted
}

AgentCounts AgentJobs::counts() const {
  MutexLock lock(jobs_mu_);
  AgentCounts counts = counts_;
  counts.limit = limit_;
  counts.running = static_cast<std::uint64_t>(std::ranges::count_if(
      jobs_, [](const auto& job) { return job.second.state != State::kWaits; }));
  return counts;
}

std::string AgentJobs::trouble(pid_t spawner) const {
  MutexLock lock(jobs_mu_);
  for (const auto& [id, known] : jobs_) {
    const auto since = Clock::now() - known.sent;
    if (known.state != State::kSent || since < kSlow) continue;
    return fmt::format(
        "the agent spawner (pid {}) has not started an agent for {} s; is it stopped, or does the "
        "agent's file system hang?",
        spawner, SecondsOf(since));
  }
  if (!IsStuckLocked()) return "";
  return fmt::format(
      "all {} release agents that may run at once do, and none has ended for {} s; notifications "
      "wait",
      limit_, SecondsOf(Clock::now() - still_since_));
}

bool AgentJobs::IsStuckLocked() const {
  return full_ && wanted_ && Clock::now() - still_since_ > kStuck;
}

bool AgentJobs::IsStuck() const {
  MutexLock lock(jobs_mu_);
  return IsStuckLocked();
}

void AgentJobs::End() {
  MutexLock lock(jobs_mu_);
  ending_ = true;
}

bool AgentJobs::ending() const {
  MutexLock lock(jobs_mu_);
  return ending_;
}

// ---- from waiting to running

AgentJobs::Known* AgentJobs::FindLocked(std::uint64_t id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

// It counts as sent before it is: the report may be quicker than the sender.
std::optional<AgentJobs::Next> AgentJobs::TakeNext(std::uint64_t spawner) {
  MutexLock lock(jobs_mu_);
  std::size_t running = 0;
  for (auto& [id, known] : jobs_) {
    if (running >= limit_) break;
    if (known.state == State::kWaits) {
      Next next{id, known.job};  // before anything changes: memory may be short
      known.state = State::kSent;
      known.sent = Clock::now();
      known.spawner = spawner;
      return next;
    }
    ++running;
  }
  return std::nullopt;
}

void AgentJobs::PutBack(std::uint64_t id) {
  MutexLock lock(jobs_mu_);
  jobs_.at(id).state = State::kWaits;
}

std::optional<AgentJob> AgentJobs::LetGo(std::uint64_t id, Fd process) {
  MutexLock lock(jobs_mu_);
  Known* const known = FindLocked(id);
  if (known == nullptr) return std::nullopt;
  known->state = State::kExecs;
  known->process = std::move(process);
  ++counts_.started;
  return known->job;
}

void AgentJobs::NotLetGo(std::uint64_t id) {
  MutexLock lock(jobs_mu_);
  jobs_.at(id).state = State::kSent;
  --counts_.started;
}

void AgentJobs::NotHeard(std::uint64_t id) {
  MutexLock lock(jobs_mu_);
  if (Known* const known = FindLocked(id)) known->not_heard = true;
}

// ---- ends

std::optional<AgentJobs::Ended> AgentJobs::TakeEnded(wire::Report& report) {
  MutexLock lock(jobs_mu_);
  Known* const known = FindLocked(report.header.id);
  if (known == nullptr) return std::nullopt;
  if (std::exchange(known->not_heard, false)) {
    known->state = State::kWaits;
    return std::nullopt;
  }
  const bool settles = known->state == State::kSent;
  CountEndLocked(*known, report);
  Ended ended{std::move(known->job), settles};
  jobs_.erase(report.header.id);
  return ended;
}

void AgentJobs::CountEndLocked(const Known& known, wire::Report& report) {
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

std::vector<AgentJob> AgentJobs::Orphan(std::uint64_t spawner) {
  std::vector<AgentJob> unseen;
  MutexLock lock(jobs_mu_);
  if (ending_) return unseen;  // they go on, and we do not
  for (auto at = jobs_.begin(); at != jobs_.end();) {
    Known& known = at->second;
    const bool its = known.spawner == spawner && known.state == State::kExecs;
    if (its) known.state = State::kOrphan;
    if (!its || known.process) {
      ++at;
      continue;
    }
    ++counts_.unseen;
    unseen.push_back(std::move(known.job));
    at = jobs_.erase(at);
  }
  return unseen;
}

void AgentJobs::TellAgain(std::uint64_t spawner) {
  MutexLock lock(jobs_mu_);
  for (auto& [id, known] : jobs_) {
    if (known.spawner != spawner || known.state != State::kSent) continue;
    known.state = State::kWaits;
    known.not_heard = false;
  }
}

std::vector<std::pair<std::uint64_t, int>> AgentJobs::Orphans() const {
  std::vector<std::pair<std::uint64_t, int>> orphans;
  MutexLock lock(jobs_mu_);
  for (const auto& [id, known] : jobs_) {
    if (known.state == State::kOrphan) orphans.emplace_back(id, known.process.get());
  }
  return orphans;
}

std::optional<AgentJob> AgentJobs::TakeOrphan(std::uint64_t id) {
  MutexLock lock(jobs_mu_);
  Known* const known = FindLocked(id);
  if (known == nullptr) return std::nullopt;
  AgentJob job = std::move(known->job);
  jobs_.erase(id);
  still_since_ = Clock::now();
  ++counts_.unseen;
  return job;
}

// ---- what there is

bool AgentJobs::empty() const {
  MutexLock lock(jobs_mu_);
  return jobs_.empty();
}

bool AgentJobs::AnyWaits() const {
  MutexLock lock(jobs_mu_);
  return std::ranges::any_of(jobs_,
                             [](const auto& job) { return job.second.state == State::kWaits; });
}

bool AgentJobs::TakeRoom() {
  {
    MutexLock lock(jobs_mu_);
    full_ = jobs_.size() >= limit_;
  }
  return !full_ && wanted_.exchange(false);
}

}  // namespace corral
