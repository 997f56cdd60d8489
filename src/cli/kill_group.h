// Killing all that is in a group and below it, and saying what that was.
#ifndef CORRAL_CLI_KILL_GROUP_H_
#define CORRAL_CLI_KILL_GROUP_H_

#include <corral/result.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "client/client.h"

namespace corral::cli {

struct Victim {
  pid_t pid;
  std::string command;  // escaped; "?" for one that was born meanwhile
};

// SIGKILL to every process of the group (by the number of an answer) and of those below it. Does
// not wait for their end. ENOENT, ENODEV: it is gone. EPERM: a root.
Result<std::vector<Victim>> KillGroup(Client& client, std::uint64_t group);

// "make (12), cc1 (14)"
std::string NamesOf(const std::vector<Victim>& victims);

}  // namespace corral::cli

#endif  // CORRAL_CLI_KILL_GROUP_H_
