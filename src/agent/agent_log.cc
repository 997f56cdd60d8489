#include "agent/agent_log.h"

namespace corral {
namespace {

constexpr std::size_t kLoggedPath = 300;
// Agents change seldom; more than this is somebody who plays with them.
constexpr std::size_t kMostLimits = 1000;
// Longer than a limit's period: then all was told.
constexpr std::chrono::seconds kQuiet{120};

// Quoted, bytes that are not text escaped, cut.
std::string Shown(std::string_view text) {
  if (text.size() <= kLoggedPath) return fmt::format("{:?}", text);
  return fmt::format("{:?}... ({} bytes)", text.substr(0, kLoggedPath), text.size());
}

}  // namespace

void AgentLog::Warn(const AgentJob& job, std::string_view kind, std::string_view more) {
  if (limits_.size() >= kMostLimits) limits_.clear();
  last_warning_ = log::Limit::Clock::now();
  const std::string key = fmt::format("release agent {} {}", Shown(job.agent), kind);
  log::WarnAtMost(limits_[key], "release agent {} for {} {}: {}{}", Shown(job.agent), job.hierarchy,
                  Shown(job.path), kind, more);
}

void AgentLog::Ended(const AgentJob& job, wire::ReportKind kind, int value, std::string_view text) {
  switch (kind) {
    case wire::ReportKind::kReady: return;
    case wire::ReportKind::kRefused: return Warn(job, "refused", fmt::format(": {}", text));
    case wire::ReportKind::kNotStarted: return Warn(job, "not started", fmt::format(": {}", text));
    case wire::ReportKind::kKilled: return Warn(job, "killed", fmt::format(" by signal {}", value));
    case wire::ReportKind::kExited:
      if (value != 0) return Warn(job, "failed", fmt::format(" with exit status {}", value));
      log::Debug("release agent {} for {} {}: succeeded", Shown(job.agent), job.hierarchy,
                 Shown(job.path));
  }
}

void AgentLog::Unseen(const AgentJob& job) {
  Warn(job, "ended", ", nobody saw how: the spawner had died");
}

void AgentLog::TellLeftOut() {
  for (auto& [key, limit] : limits_) {
    if (const std::uint64_t left_out = limit.Overdue(); left_out != 0) {
      log::Warn("{}: {} times more, which were not logged", key, left_out);
    }
  }
  if (log::Limit::Clock::now() - last_warning_ > kQuiet) limits_.clear();
}

}  // namespace corral
