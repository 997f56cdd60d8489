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
#include "daemon/plugin.h"
#include "subsystems/builtins.h"

namespace corral {

Daemon::Daemon(std::string instance, std::unique_ptr<AgentStarter> agents)
    : instance_(std::move(instance)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      shutdown_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      agents_(std::move(agents)) {}

Result<std::unique_ptr<Daemon>> Daemon::Create(std::string instance,
                                               std::unique_ptr<AgentStarter> agents,
                                               const std::vector<std::string>& plugins) {
  Plugins loaded;
  for (const std::string& file : plugins) {
    auto subsystem = LoadPlugin(file);
    if (!subsystem) return Fail(subsystem.error());
    loaded.emplace_back(file, std::move(*subsystem));
  }
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(instance), std::move(agents)));
  Daemon& d = *daemon;
  if (auto ok = d.StartTracking(); !ok) return Fail(ok.error());
  if (auto ok = d.StartRegistry(loaded); !ok) return Fail(ok.error());
  auto built_in = d.registry_->FindByLabel(kBuiltInHierarchy);
  if (!built_in) {
    auto made = d.registry_->CreateHierarchy({.name = kBuiltInHierarchy, .built_in = true});
    if (!made) return Fail(made.error());
    built_in = *made;
  }
  d.LeaveGroups();
  d.tree_ = std::make_unique<Tree>(*d.registry_, d.host_);
  d.mounts_ = std::make_unique<MountTable>(*d.tree_);
  d.mounts_->KeepUntilMounted();
  d.feed_ = std::make_unique<EventFeed>(*d.registry_);
  d.billing_ = std::make_unique<Billing>(*d.registry_, *d.meter_);
  d.bells_ = std::make_unique<BellLoop>(*d.registry_, *d.tree_, *d.mounts_, d.waiters_, *d.feed_,
                                        *d.billing_, d.wake_.get());
  d.bells_->Start();
  if (d.tracker_->taken_over()) d.bells_->ResyncNeeded();
  d.PlaceProcView(*built_in);
  d.agent_thread_ = std::thread([&d] { d.RunAgents(); });
  return daemon;
}

// What an earlier daemon left is taken over where tables and store fit each other; else both begin
// anew. Not where tasks are still placed and only the store cannot be read: then whoever runs the
// machine decides.
Result<void> Daemon::StartTracking() {
  auto pins = Pins::Open(PinDirectory(instance_));
  if (!pins && pins.error().code == EBUSY) return Fail(pins.error());
  if (!pins) why_not_kept_ = pins.error().message;
  auto tracker = BpfTracker::Create(
      {}, pins ? std::optional<Pins>(std::move(*pins)) : std::nullopt);
  if (!tracker) return Fail(tracker.error());
  tracker_ = std::move(*tracker);
  if (!tracker_->pinned()) {
    if (why_not_kept_.empty()) why_not_kept_ = "the tables and hooks cannot be pinned";
    log::Warn("groups will not survive a crash of the daemon: {}", why_not_kept_);
    return {};
  }
  const bool taken_over = tracker_->taken_over();
  auto opened = OpenStore();
  if (!opened && taken_over && opened.error().code != ENOENT && tracker_->HasPlacedTasks()) {
    return Fail(opened.error().code,
                "{}; tasks are in groups that only it knows. To forget all groups, remove {} and "
                "start again",
                opened.error().message, StoreDir(instance_));
  }
  if (opened || !taken_over) return opened;
  log::Error("starting afresh, every task in the roots: {}", opened.error().message);
  tracker_->EndPins();
  tracker_.reset();
  return StartTracking();
}

Result<void> Daemon::OpenStore() {
  const std::string directory = StoreDir(instance_);
  auto store = tracker_->taken_over() ? Store::Open(directory, tracker_->generation())
                                      : Store::Create(directory, tracker_->generation());
  if (!store) return Fail(store.error());
  store_ = std::move(*store);
  return {};
}

Result<void> Daemon::StartRegistry(const Plugins& plugins) {
  registry_ = std::make_unique<Registry>(
      *tracker_, [wake = wake_.get()] { (void)::eventfd_write(wake, 1); });
  meter_ = std::make_unique<BpfCpuMeter>(*tracker_);
  registry_->UseMeter(meter_.get());
  if (auto ok = RegisterSubsystems(plugins); !ok) return ok;
  if (!store_) return registry_->TellOfBirths();
  auto kept = registry_->Keep(
      *store_,
      {.name_of = [](const Dialect& dialect) { return std::string(dialect.name); },
       .find = FindDialect});
  if (!kept) {
    return Fail(kept.error().code,
                "what the store {} has cannot be taken over: {}. To forget all groups, remove it "
                "and start again",
                StoreDir(instance_), kept.error().message);
  }
  if (auto ok = registry_->TellOfBirths(); !ok) return ok;
  if (tracker_->taken_over()) {
    std::size_t cgroups = 0;
    for (const HierarchyInfo& info : registry_->Hierarchies()) cgroups += info.cgroups - 1;
    log::Info("took over {} cgroups from a daemon that died", cgroups);
    return {};
  }
  return tracker_->CommitPins();  // from here on a successor takes over
}

// With hooks that are at work already, we may have been born in one of our own groups.
void Daemon::LeaveGroups() {
  if (!tracker_->taken_over()) return;
  for (const HierarchyInfo& info : registry_->Hierarchies()) {
    auto moved = registry_->AttachProcess(info.root, Tid{static_cast<std::uint32_t>(::getpid())}, {});
    if (!moved) log::Warn("cannot leave the groups of '{}': {}", info.label, moved.error().message);
  }
  KeepSpawnerInRoots();
}

void Daemon::EndInstance() { ends_instance_ = true; }

Result<void> Daemon::RegisterSubsystems(const Plugins& plugins) {
  for (const auto& subsystem : MakeBuiltInSubsystems({.meter = *meter_})) {
    if (auto ok = registry_->Register(subsystem, Registry::Births::kToldLater); !ok) return ok;
  }
  for (const auto& [file, subsystem] : plugins) {
    if (auto ok = registry_->Register(subsystem, Registry::Births::kToldLater); !ok) {
      return Fail(ok.error().code, "plug-in {}: {}", file, ok.error().message);
    }
    plugins_.push_back({.file = file, .subsystem = std::string(subsystem->name())});
  }
  return {};
}

Daemon::~Daemon() {
  if (proc_mount_) (void)::umount2(ProcDir(instance_).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  proc_mount_.reset();
  (void)::rmdir(ProcDir(instance_).c_str());
  if (mounts_) mounts_->EndAll();
  if (registry_) registry_->queue().Close();
  if (agent_thread_.joinable()) agent_thread_.join();
  if (bells_) bells_->Stop();
  // A start that failed leaves what it found.
  if (!tracker_ || (tracker_->taken_over() && !ends_instance_)) return;
  tracker_->EndPins();
  Store::Remove(StoreDir(instance_));
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
    if (!notification) continue;
    StartAgent(*notification);
    registry_->FinishNotification(*notification);  // handed over: the spawner outlives us
  }
}

void Daemon::StartAgent(const Notification& notification) {
  if (notification.agent.empty()) return;
  const Dialect& dialect = DialectOf(notification.dialect);
  const auto path = PathForAgent(notification.path, dialect);
  if (!path) {
    log::Warn("{}: no agent for a path of {} bytes", notification.hierarchy,
              notification.path.size());
    return;
  }
  feed_->Notified(notification);
  KeepSpawnerInRoots();
  agents_->Start({.agent = notification.agent,
                  .path = *path,
                  .hierarchy = notification.hierarchy,
                  .user = notification.agent_user,
                  .no_new_privs = dialect.agent_loses_privileges});
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
