// Starts an instance's daemon and waits until it says that it is ready.
#ifndef CORRAL_CLIENT_START_DAEMON_H_
#define CORRAL_CLIENT_START_DAEMON_H_

#include <corral/result.h>

#include <string>
#include <vector>

namespace corral {

// Runs `corrald --instance NAME --ready-fd N`, with `options` after that (`--plugin FILE`, ...):
// the one beside the running executable, else the first on PATH or in the usual system directories.
// The daemon writes one line to N: `ok`, `ok` and what its starter should know (that groups were
// lost, say), or a sentence that says why not. It belongs to a session of its own, has /dev/null as
// standard input, output and error, no other descriptor of the caller and nothing of its
// environment; what else it leaves behind: daemon/surroundings.h. Returns what is to be known,
// empty for nothing. ENOENT: no corrald found. ETIMEDOUT: not ready within a minute.
Result<std::string> StartDaemon(const std::string& instance,
                                const std::vector<std::string>& options = {});

}  // namespace corral

#endif  // CORRAL_CLIENT_START_DAEMON_H_
