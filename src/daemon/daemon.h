// Daemon: everything one instance consists of, wired together. The only place that picks
// parts; nobody knows this folder.
//
//   auto daemon = Daemon::Create("default", std::move(starter), /*plugins=*/{});
//   (*daemon)->Run();      // until shutdown is asked for
#ifndef CORRAL_DAEMON_DAEMON_H_
#define CORRAL_DAEMON_DAEMON_H_

#include <corral/result.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/agent_starter.h"
#include "base/event_fd.h"
#include "control/proc_view.h"
#include "control/tree.h"
#include "core/registry.h"
#include "core/waiters.h"
#include "daemon/billing.h"
#include "daemon/event_feed.h"
#include "daemon/health.h"
#include "daemon/instance.h"
#include "daemon/linux_machine.h"
#include "daemon/looker_threads.h"
#include "daemon/mount_table.h"
#include "daemon/surroundings.h"
#include "store/store.h"
#include "trackers/bpf/bpf_cpu_meter.h"
#include "trackers/bpf/bpf_tracker.h"

namespace corral {

// The hierarchy that is always there (spec 3.13).
inline constexpr char kBuiltInHierarchy[] = "corral";

class Daemon final : public Instance {
 public:
  // `plugins`: files, with their whole path (plugin.h). One that is refused, and nothing is begun.
  static Result<std::unique_ptr<Daemon>> Create(std::string instance,
                                                std::unique_ptr<AgentStarter> agents,
                                                const std::vector<std::string>& plugins);
  ~Daemon();

  // What is asked over the socket.
  const std::string& name() const override { return instance_; }
  BpfTracker& tracker() override { return *tracker_; }
  Registry& registry() override { return *registry_; }
  Tree& tree() override { return *tree_; }
  MountTable& mounts() override { return *mounts_; }
  Waiters& waiters() override { return waiters_; }
  EventFeed& feed() override { return *feed_; }
  Billing& billing() override { return *billing_; }
  Incidents& incidents() override { return incidents_; }
  std::vector<HealthEntry> Health() override { return HealthOf(*this); }
  const std::vector<NotLeft>& surroundings() const override { return surroundings_; }
  const std::string& why_not_kept() const override { return why_not_kept_; }
  const std::vector<LoadedPlugin>& plugins() const override { return plugins_; }
  TrackingLimits tracking_limits() const override;
  AgentCounts agent_counts() const override { return agents_->counts(); }
  Result<void> CheckShutdown(bool force) override;
  void RequestShutdown() override;
  int shutdown_fd() const override { return shutdown_.fd(); }

  std::string AgentTrouble() const { return agents_->trouble(); }
  // What main could not leave of its starter's; set before the server runs.
  void SetSurroundings(std::vector<NotLeft> left) { surroundings_ = std::move(left); }
  // Empty, or a sentence: our lock or socket in the runtime directory is not there any more.
  std::string RuntimeTrouble() const;
  std::string StoreTrouble() const { return store_ ? store_->Trouble() : ""; }
  // The lock that RuntimeTrouble() looks for; set before the server runs. It stays the caller's.
  void WatchLock(int lock) { lock_ = lock; }

  // How it ends, said before it is destroyed. Nothing said: it never began, and leaves what it
  // found. Everything stays for the next daemon, but mounts; false: nothing can be kept here.
  bool KeepForNext();
  // What would be there for a successor goes: this is the end of the instance.
  void EndInstance();

  // Makes shutdown_fd() readable; whoever runs the server then ends it.
  void StopServing();
  // RequestShutdown() was called: the instance ends with the daemon.
  bool shutdown_requested() const { return shutdown_requested_; }

 private:
  Daemon(std::string instance, std::unique_ptr<AgentStarter> agents);
  using Plugins =
      std::vector<std::pair<std::string, std::shared_ptr<Subsystem>>>;  // with their files
  Result<void> StartTracking();
  Result<void> OpenStore();
  Result<void> StartRegistry(const Plugins& plugins);
  Result<void> RegisterSubsystems(const Plugins& plugins);
  void LeaveGroups();
  void StartedAfresh(const std::string& why);
  void TellLostSettings();
  void PlaceProcView(HierarchyId built_in);
  void PersistAgents();
  void RunAgents();
  bool StartAgent(const Notification& notification);
  void KeepSpawnerInRoots();

  const std::string instance_;
  std::string why_not_kept_;
  enum class End { kNeverBegan, kKeeps, kEndsInstance };
  End end_ = End::kNeverBegan;
  std::atomic<bool> shutdown_requested_ = false;
  int lock_ = -1;
  std::vector<NotLeft> surroundings_;  // constant once the server runs
  Incidents incidents_;
  EventFd wake_;  // the looker's
  EventFd shutdown_;
  std::vector<LoadedPlugin> plugins_;  // constant after Create()
  LinuxMachine machine_;
  Waiters waiters_;
  std::unique_ptr<AgentStarter> agents_;
  std::unique_ptr<BpfTracker> tracker_;
  std::unique_ptr<BpfCpuMeter> meter_;
  std::unique_ptr<Store> store_;  // null: nothing is kept
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<Tree> tree_;
  std::unique_ptr<MountTable> mounts_;
  std::unique_ptr<ProcView> proc_view_;
  std::unique_ptr<FuseMount> proc_mount_;
  std::unique_ptr<EventFeed> feed_;
  std::unique_ptr<Billing> billing_;
  std::unique_ptr<LookerThreads> lookers_;
  std::thread agent_thread_;
};

}  // namespace corral

#endif  // CORRAL_DAEMON_DAEMON_H_
