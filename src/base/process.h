// Processes: a handle that is never another's, standard files that lead nowhere.
#ifndef CORRAL_BASE_PROCESS_H_
#define CORRAL_BASE_PROCESS_H_

#include <corral/result.h>
#include <sys/types.h>

#include "base/fd.h"

namespace corral {

// Readable once the process has ended. ESRCH: no process has this number.
Result<Fd> OpenPidfd(pid_t process);

// Through a pidfd, so that it reaches this process or nobody. ESRCH: it has ended.
Result<void> SendSignal(const Fd& pidfd, int signal);

// Standard input, output and error lead nowhere from here on. May be called between fork(2) and
// exec(2). False, with errno: not all of them do.
bool StandardFilesToNull() noexcept;

}  // namespace corral

#endif  // CORRAL_BASE_PROCESS_H_
