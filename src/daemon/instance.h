// Instance: what the operations of the socket ask of the daemon, and nothing of how it is put
// together. Daemon is one; the fuzzer of requests has another, without a kernel.
//
// Any thread. All of it lives as long as somebody is served.
#ifndef CORRAL_DAEMON_INSTANCE_H_
#define CORRAL_DAEMON_INSTANCE_H_

#include <corral/result.h>
#include <corral/tracker.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent_starter.h"
#include "control/tree.h"
#include "core/registry.h"
#include "core/waiters.h"
#include "daemon/billing.h"
#include "daemon/event_feed.h"
#include "daemon/health.h"
#include "daemon/mounts.h"
#include "daemon/surroundings.h"

namespace corral {

// A plug-in that was loaded, and the name of its subsystem.
struct LoadedPlugin {
  std::string file;
  std::string subsystem;
};

// What a tracker of the kernel's tasks cannot do, and what that has cost.
struct TrackingLimits {
  std::uint32_t tid_capacity = 0;
  std::vector<Tgid> hidden_processes;     // whose tasks the kernel keeps from tracing
  std::string_view births_beyond_limits;  // refused, killed, allowed; empty before the first limit
  std::uint64_t births_let_through = 0;   // that a limit did not stop all the same
};

class Instance {
 public:
  virtual const std::string& name() const = 0;

  virtual Registry& registry() = 0;
  virtual Tree& tree() = 0;
  virtual Mounts& mounts() = 0;
  virtual Tracker& tracker() = 0;
  virtual Waiters& waiters() = 0;
  virtual EventFeed& feed() = 0;
  virtual Billing& billing() = 0;
  virtual Incidents& incidents() = 0;

  // What is not well: the incidents, and what is so now.
  virtual std::vector<HealthEntry> Health() = 0;
  // What of its starter's could not be left behind.
  virtual const std::vector<NotLeft>& surroundings() const = 0;
  // Why nothing outlives a crash of the daemon; empty: it does.
  virtual const std::string& why_not_kept() const = 0;
  virtual const std::vector<LoadedPlugin>& plugins() const = 0;
  virtual TrackingLimits tracking_limits() const = 0;
  virtual AgentCounts agent_counts() const = 0;

  // EBUSY: mounts or child cgroups are there; `force` ends them all the same.
  virtual Result<void> CheckShutdown(bool force) = 0;
  virtual void RequestShutdown() = 0;
  // Readable when it ends: who waits then waits no longer.
  virtual int shutdown_fd() const = 0;

 protected:
  ~Instance() = default;
};

}  // namespace corral

#endif  // CORRAL_DAEMON_INSTANCE_H_
