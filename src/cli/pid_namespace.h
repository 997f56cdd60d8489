// For commands that tell the daemon numbers of tasks, which mean something on the host only.
#ifndef CORRAL_CLI_PID_NAMESPACE_H_
#define CORRAL_CLI_PID_NAMESPACE_H_

#include <corral/result.h>

namespace corral::cli {

// EXDEV unless task numbers here are the host's: the daemon knows no others. The sentence names
// the command that may not be used here.
Result<void> CheckPidNamespace(const char* command);

}  // namespace corral::cli

#endif  // CORRAL_CLI_PID_NAMESPACE_H_
