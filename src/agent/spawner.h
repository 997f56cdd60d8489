// The spawner: a small process with one thread that forks release agents and reaps them.
//
// It is this program, executed again: the daemon has threads, mounts and descriptors, and a copy of
// it would hold these. It takes jobs from a SOCK_SEQPACKET socket and tells how agents ended;
// whether one started is told by the child itself (wire.h). It never waits for an agent, nor for an
// exec. It ends when the other end is closed; agents that run go on without it.
//
//   int main(int argc, char** argv) {
//     if (IsSpawner(argc, argv)) RunSpawner();
#ifndef CORRAL_AGENT_SPAWNER_H_
#define CORRAL_AGENT_SPAWNER_H_

#include <corral/result.h>
#include <sys/types.h>

#include "base/fd.h"

namespace corral {

// Whether this process was started by StartSpawner(). For the first line of main().
bool IsSpawner(int argc, char** argv);
[[noreturn]] void RunSpawner();

struct SpawnerProcess {
  pid_t pid = 0;
  Fd pidfd;
  Fd socket;  // the daemon's end
};

// `program` is open on this program's file (O_PATH), which may have been replaced since. The
// spawner inherits environment, limits, priority and place of the caller, and nothing else. EMFILE,
// EAGAIN, ENOMEM: the machine is out of something.
Result<SpawnerProcess> StartSpawner(int program);

}  // namespace corral

#endif  // CORRAL_AGENT_SPAWNER_H_
