// Who has the flock of a file or directory: how a daemon is found that its socket does not lead to.
#ifndef CORRAL_CLIENT_LOCK_OWNER_H_
#define CORRAL_CLIENT_LOCK_OWNER_H_

#include <sys/types.h>

#include <optional>
#include <string>

namespace corral {

// Its process id. Nothing: nobody does, or it cannot be told (no such file; /proc not mounted).
std::optional<pid_t> LockOwner(const std::string& path);

// What to do about a daemon that runs and has lost its runtime directory.
std::string OutOfReachText(const std::string& instance, pid_t daemon);

}  // namespace corral

#endif  // CORRAL_CLIENT_LOCK_OWNER_H_
