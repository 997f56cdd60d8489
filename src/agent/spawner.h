// The spawner: a small process with one thread that forks release agents and reaps them.
//
// It takes jobs from a SOCK_SEQPACKET socket and answers with reports (wire.h): started,
// refused, not started, exited, killed. It never waits for an agent, nor for one exec: at
// most kMaxStarting children may be between fork and exec, then it stops taking jobs until
// one is through. It ends when the other end is closed and what was queued is started;
// agents that still run go on without it.
#ifndef CORRAL_AGENT_SPAWNER_H_
#define CORRAL_AGENT_SPAWNER_H_

namespace corral {

// Never returns. `null_fd` is open on /dev/null for reading and writing.
// REQUIRES: called in a fresh child with one thread and all signals blocked.
[[noreturn]] void RunSpawner(int socket, int null_fd);

}  // namespace corral

#endif  // CORRAL_AGENT_SPAWNER_H_
