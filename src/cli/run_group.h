// The group `corral run` runs a command in: found or made, filled, waited for, removed.
#ifndef CORRAL_CLI_RUN_GROUP_H_
#define CORRAL_CLI_RUN_GROUP_H_

#include <corral/result.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cli/kill_group.h"
#include "client/client.h"

namespace corral::cli {

class RunGroup {
 public:
  // A new group in the built-in hierarchy (spec 3.13), named after the command.
  static Result<RunGroup> MakeFresh(Client& client, const std::string& command);
  // The group `text` names (target.h), made if it is missing.
  static Result<RunGroup> FindOrMake(Client& client, const std::string& text);

  // HIERARCHY:/path, bytes.
  const std::string& name() const { return name_; }
  bool is_root() const { return is_root_; }
  // As it was when it was found.
  bool was_populated() const { return was_populated_; }

  Result<void> Attach(Client& client, pid_t pid) const;

  // Kills every process in it and below, and says which those were.
  Result<std::vector<Victim>> Kill(Client& client) const;

  // Has the daemon count the CPU time of the group from now on, over this connection.
  Result<void> OpenBill(Client& client) const;

  // Begins to wait until it is empty: client.Answer<wire::Wait>() comes then.
  Result<void> SendWait(Client& client) const;

  // Removes it, if run made it. That it is gone already is fine: the daemon removes a group
  // made for a run when it gets empty.
  Result<void> Remove(Client& client) const;

 private:
  static RunGroup FromInfo(const wire::Info::Answer& info, bool made);
  static Result<RunGroup> OfAnswer(Client& client, const wire::Mkdir::Answer& made);

  std::uint64_t id_ = 0;
  std::string name_;
  bool made_ = false;
  bool is_root_ = false;
  bool was_populated_ = false;
};

}  // namespace corral::cli

#endif  // CORRAL_CLI_RUN_GROUP_H_
