// What happens in the forked child between the spawner and the agent's first instruction.
#ifndef CORRAL_AGENT_AGENT_CHILD_H_
#define CORRAL_AGENT_AGENT_CHILD_H_

#include <cstdint>

#include "agent/agent_starter.h"

namespace corral {

// Becomes the agent (spec 10.4, 10.11) when all is ready and the daemon, told so by `socket`
// (kReady), says so; or tells why it does not. If there is no daemon any more it ends instead: the
// next one tells it again.
// Everything that may hang (a dead network file system, a name service) happens here, so that the
// spawner never does.
// REQUIRES: descriptors 0-2 on /dev/null, `socket` is wire::kSocket, default signal dispositions.
[[noreturn]] void BecomeAgent(std::uint64_t id, const AgentJob& job, int socket);

}  // namespace corral

#endif  // CORRAL_AGENT_AGENT_CHILD_H_
