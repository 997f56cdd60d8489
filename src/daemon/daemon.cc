#include "daemon/daemon.h"

#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "client/instance.h"
#include "client/place_mount.h"
#include "subsystems/builtins.h"

namespace corral {

Daemon::Daemon(std::string instance, std::unique_ptr<AgentStarter> agents)
    : instance_(std::move(instance)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      shutdown_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      agents_(std::move(agents)) {}

Result<std::unique_ptr<Daemon>> Daemon::Create(std::string instance,
                                               std::unique_ptr<AgentStarter> agents) {
  auto tracker = BpfTracker::Create();
  if (!tracker) return Fail(tracker.error());
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(instance), std::move(agents)));
  Daemon& d = *daemon;
  d.tracker_ = std::move(*tracker);
  d.registry_ = std::make_unique<Registry>(
      *d.tracker_, [wake = d.wake_.get()] { (void)::eventfd_write(wake, 1); });
  d.meter_ = std::make_unique<BpfCpuMeter>(*d.tracker_);
  d.registry_->UseMeter(d.meter_.get());
  for (const auto& subsystem : MakeBuiltInSubsystems({.meter = *d.meter_})) {
    if (auto ok = d.registry_->Register(subsystem); !ok) return Fail(ok.error());
  }
  auto built_in = d.registry_->CreateHierarchy({.name = kBuiltInHierarchy, .built_in = true});
  if (!built_in) return Fail(built_in.error());
  d.tree_ = std::make_unique<Tree>(*d.registry_, d.host_);
  d.mounts_ = std::make_unique<MountTable>(*d.tree_);
  d.feed_ = std::make_unique<EventFeed>(*d.registry_);
  d.billing_ = std::make_unique<Billing>(*d.registry_, *d.meter_);
  d.bells_ = std::make_unique<BellLoop>(*d.registry_, *d.tree_, *d.mounts_, d.waiters_, *d.feed_,
                                        *d.billing_, d.wake_.get());
  d.bells_->Start();
  d.PlaceProcView(*built_in);
  d.agent_thread_ = std::thread([&d] { d.RunAgents(); });
  return daemon;
}

Daemon::~Daemon() {
  if (proc_mount_) (void)::umount2(ProcDir(instance_).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  proc_mount_.reset();
  (void)::rmdir(ProcDir(instance_).c_str());
  if (mounts_) mounts_->EndAll();
  if (registry_) registry_->queue().Close();
  if (agent_thread_.joinable()) agent_thread_.join();
  if (bells_) bells_->Stop();
}

// Tracking does not need the view: without it the daemon goes on, and says so.
void Daemon::PlaceProcView(HierarchyId built_in) {
  proc_view_ = std::make_unique<ProcView>(
      *registry_, host_, built_in,
      ProcView::Source{.sweep = [this] { (void)mounts_->size(); },
                       .is_mounted = [this](HierarchyId id) { return mounts_->CountOf(id) != 0; },
                       .mounts = [this] { return mounts_->MountsText(); }});
  const std::string dir = ProcDir(instance_);
  // What a daemon that died has left there.
  while (::umount2(dir.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  Result<void> placed;
  if (::mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) {
    placed = Fail(errno, "mkdir: {}", std::strerror(errno));
  } else {
    auto mount = FuseMount::Create(*proc_view_, {.source = "corral",
                                                 .subtype = "container_proc",
                                                 .read_only = true,
                                                 .nosuid = true,
                                                 .nodev = true});
    placed = mount ? PlaceMount((*mount)->TakeMountFd().get(), dir)
                   : Result<void>(Fail(mount.error()));
    if (placed) proc_mount_ = std::move(*mount);
  }
  if (!placed) log::Warn("no proc view at {}: {}", dir, placed.error().message);
}

// One notification after the other; the starter does not wait for an agent's end.
void Daemon::RunAgents() {
  while (const auto next = registry_->queue().Take()) {
    const auto notification = registry_->BeginNotification(*next);
    if (!notification || notification->agent.empty()) continue;
    const Dialect& dialect = DialectOf(notification->dialect);
    const auto path = PathForAgent(notification->path, dialect);
    if (!path) {
      log::Warn("{}: no agent for a path of {} bytes", notification->hierarchy,
                notification->path.size());
      continue;
    }
    feed_->Notified(*notification);
    KeepSpawnerInRoots();
    agents_->Start({.agent = notification->agent,
                    .path = *path,
                    .hierarchy = notification->hierarchy,
                    .user = notification->agent_user,
                    .no_new_privs = dialect.agent_loses_privileges});
  }
}

// Agents inherit their place from the spawner, and run in every root (spec 10.4); somebody
// may have moved it.
void Daemon::KeepSpawnerInRoots() {
  const Tid spawner = agents_->spawner();
  const auto place = tracker_->Describe(spawner);
  if (!place || place->set == kInitialSet) return;
  for (const HierarchyInfo& info : registry_->Hierarchies()) {
    if (auto moved = registry_->Attach(info.root, spawner, {}); !moved) {
      log::Warn("the spawner cannot return to the root of '{}': {}", info.label,
                moved.error().message);
    }
  }
}

Result<void> Daemon::CheckShutdown(bool force) {
  if (force) return {};
  if (const std::size_t mounts = mounts_->size(); mounts != 0) {
    return Fail(EBUSY, "{} mount{} of this instance {} in use; unmount first, or use --force",
                mounts, mounts == 1 ? "" : "s", mounts == 1 ? "is" : "are");
  }
  for (const HierarchyInfo& info : registry_->Hierarchies()) {
    if (info.cgroups > 1) {
      return Fail(EBUSY, "hierarchy '{}' has {} cgroups; remove them first, or use --force",
                  info.label, info.cgroups - 1);
    }
  }
  return {};
}

void Daemon::RequestShutdown() { (void)::eventfd_write(shutdown_.get(), 1); }

}  // namespace corral
