// Daemon, as daemon/operations.cc needs it, over a World: no kernel, no mounts, no agents. It
// comes before src/daemon in the search for headers, and for fuzz_requests only.
#ifndef CORRAL_TESTS_FUZZ_STAND_IN_DAEMON_DAEMON_H_
#define CORRAL_TESTS_FUZZ_STAND_IN_DAEMON_DAEMON_H_

#include <sys/eventfd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent_starter.h"
#include "base/fd.h"
#include "core/waiters.h"
#include "daemon/billing.h"
#include "daemon/event_feed.h"
#include "daemon/health.h"
#include "daemon/mount_table.h"
#include "daemon/surroundings.h"
#include "fuzz/world.h"
#include "support/still_meter.h"

namespace corral {

class Daemon {
 public:
  struct LoadedPlugin {
    std::string file;
    std::string subsystem;
  };
  class Agents {
   public:
    AgentCounts counts() const { return {}; }
    std::string trouble() const { return ""; }
  };
  class NamedTracker {
   public:
    explicit NamedTracker(Tracker& tracker) : tracker_(tracker) {}
    std::string_view name() const { return tracker_.name(); }
    std::uint32_t tid_capacity() const { return 128; }
    MissCounts misses() const { return tracker_.misses(); }
    AuditReport Audit() { return tracker_.Audit(); }
    std::vector<Tgid> hidden_processes() const { return {}; }
    std::string_view births_beyond_limits() const { return ""; }
    std::uint64_t births_let_through() const { return 0; }

   private:
    Tracker& tracker_;
  };

  explicit Daemon(World& world)
      : world_(world),
        tracker_(world.tracker),
        mounts_(world.root),
        shutdown_(::eventfd(0, EFD_CLOEXEC)) {
    world_.registry.UseMeter(&meter_);
  }
  ~Daemon() { world_.registry.UseMeter(nullptr); }

  const std::string& instance() const { return instance_; }
  NamedTracker& tracker() { return tracker_; }
  Registry& registry() { return world_.registry; }
  Tree& tree() { return world_.tree; }
  MountTable& mounts() { return mounts_; }
  Waiters& waiters() { return waiters_; }
  EventFeed& feed() { return feed_; }
  Billing& billing() { return billing_; }
  const Agents& agents() const { return agents_; }
  const std::vector<LoadedPlugin>& plugins() const { return plugins_; }
  Result<void> CheckShutdown(bool force) {
    if (force) return {};
    return Fail(EBUSY, "cgroups are there");
  }
  std::string why_not_kept() const { return "nothing is kept here"; }
  std::vector<HealthEntry> Health() { return {}; }
  Incidents& incidents() { return incidents_; }
  const std::vector<NotLeft>& surroundings() const { return surroundings_; }
  void RequestShutdown() { (void)::eventfd_write(shutdown_.get(), 1); }
  int shutdown_fd() const { return shutdown_.get(); }

 private:
  const std::string instance_ = "fuzz";
  World& world_;
  NamedTracker tracker_;
  MountTable mounts_;
  Waiters waiters_;
  EventFeed feed_{world_.registry};
  StillMeter meter_;  // there are no tasks that run
  Billing billing_{world_.registry, meter_};
  Agents agents_;
  const std::vector<LoadedPlugin> plugins_ = {{"/plugin.so", "plugin"}};
  Incidents incidents_;
  const std::vector<NotLeft> surroundings_;
  const Fd shutdown_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_FUZZ_STAND_IN_DAEMON_DAEMON_H_
