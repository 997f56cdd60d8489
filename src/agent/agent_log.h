// What is said about release agents, each kind of each agent within a limit. One thread.
#ifndef CORRAL_AGENT_AGENT_LOG_H_
#define CORRAL_AGENT_AGENT_LOG_H_

#include <map>
#include <string>
#include <string_view>

#include "agent/agent_starter.h"
#include "agent/wire.h"
#include "base/log.h"

namespace corral {

class AgentLog {
 public:
  // How the job came to its end, or that it began (nothing is said of that).
  void Ended(const AgentJob& job, wire::ReportKind kind, int value, std::string_view text);
  void Unseen(const AgentJob& job);
  // Says what was left out of periods that are over. To be called now and then.
  void TellLeftOut();
  // Nothing can be left to tell.
  bool Silent() const { return limits_.empty(); }

 private:
  void Warn(const AgentJob& job, std::string_view kind, std::string_view more);

  std::map<std::string, log::Limit> limits_;  // by agent and kind
  log::Limit::Clock::time_point last_warning_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_AGENT_LOG_H_
