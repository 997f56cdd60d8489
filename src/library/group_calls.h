// GroupCalls: what can be asked about groups of processes, by path, over one instance's socket.
//
// process_group.h and corral.h stand in front of it. Connects when it is first needed, and again
// when the daemon was another one. Any thread: one lock around the connection; a wait has its own.
#ifndef CORRAL_LIBRARY_GROUP_CALLS_H_
#define CORRAL_LIBRARY_GROUP_CALLS_H_

#include <corral/result.h>
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "client/client.h"

namespace corral {

class GroupCalls {
 public:
  // `instance` may be empty: $CORRAL_INSTANCE, else `default`. EINVAL: no name of one.
  static Result<std::string> InstanceNamed(const std::string& instance);

  explicit GroupCalls(std::string instance) : instance_(std::move(instance)) {}

  // Paths are HIERARCHY:/a/b. The errors are those that process_group.h tells.
  Result<void> Ping();
  Result<bool> Create(const std::string& path);  // whether it was missing
  Result<void> Enter(const std::string& path, pid_t process);
  Result<pid_t> Spawn(const std::string& path, const std::vector<std::string>& command);
  Result<void> WaitEmpty(const std::string& path, std::chrono::milliseconds timeout);
  Result<std::vector<pid_t>> List(const std::string& path);
  Result<std::vector<pid_t>> Kill(const std::string& path);
  Result<void> Remove(const std::string& path);

 private:
  // `call` with a connection to the daemon that runs now.
  template <typename Fn>
  auto Over(Fn call) -> decltype(call(std::declval<Client&>()));
  template <Operation Ask>
  Result<typename Ask::Answer> Call(const Ask& ask);
  Error Gone(const Error& lost) const;

  const std::string instance_;
  Mutex client_mu_;
  std::optional<Client> client_ GUARDED_BY(client_mu_);
};

}  // namespace corral

#endif  // CORRAL_LIBRARY_GROUP_CALLS_H_
