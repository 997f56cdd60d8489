// What happens in the forked child between the spawner and the agent's first instruction.
#ifndef CORRAL_AGENT_AGENT_CHILD_H_
#define CORRAL_AGENT_AGENT_CHILD_H_

#include "agent/agent_starter.h"
#include "agent/wire.h"

namespace corral {

// What the child writes, once, when it cannot become the agent; followed by the text.
struct ChildFailure {
  wire::ReportKind kind;
  std::int32_t error;
};

// Becomes the agent (spec 10.4, 10.11), or writes a ChildFailure to `report_pipe` and ends.
// Everything that may hang (a dead network file system, a name service) happens here, so
// that the spawner never does.
// REQUIRES: descriptors 0-2 on /dev/null, default signal dispositions, `report_pipe`
// close-on-exec.
[[noreturn]] void BecomeAgent(const AgentJob& job, int report_pipe);

}  // namespace corral

#endif  // CORRAL_AGENT_AGENT_CHILD_H_
