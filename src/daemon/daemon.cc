#include "daemon/daemon.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "base/log.h"
#include "base/own_path.h"
#include "base/thread.h"
#include "client/lock_owner.h"
#include "client/place_mount.h"
#include "daemon/plugin.h"
#include "subsystems/builtins.h"
#include "wire/instance.h"

namespace corral {
namespace {

// Who has our tables has not our lock, which is taken first.
Error LockedByAnother(const std::string& instance, Error error) {
  const auto holder = LockOwner(PinDir(instance));
  if (holder) error.message = OutOfReachText(instance, *holder);
  return error;
}

}  // namespace

Daemon::Daemon(std::string instance, std::unique_ptr<AgentStarter> agents)
    : instance_(std::move(instance)), agents_(std::move(agents)) {}

Result<std::unique_ptr<Daemon>> Daemon::Create(std::string instance,
                                               std::unique_ptr<AgentStarter> agents,
                                               const std::vector<std::string>& plugins) {
  Plugins loaded;
  for (const std::string& file : plugins) {
    loaded.emplace_back(file, TRY(LoadPlugin(file)));
  }
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(instance), std::move(agents)));
  Daemon& d = *daemon;
  if (d.wake_.fd() < 0 || d.shutdown_.fd() < 0) {
    return Fail(EMFILE, "no descriptors are left to start with");
  }
  TRY(d.StartTracking());
  TRY(d.StartRegistry(loaded));
  auto built_in = d.registry_->FindByLabel(kBuiltInHierarchy);
  if (!built_in) {
    built_in = TRY(d.registry_->CreateHierarchy(
        {.name = kBuiltInHierarchy, .built_in = true, .quotas = kHierarchyQuotas}));
  }
  d.KeepSpawnerInRoots();
  d.LeaveGroups();
  d.tree_ = std::make_unique<Tree>(*d.registry_, d.machine_);
  d.mounts_ = std::make_unique<MountTable>(*d.tree_);
  d.mounts_->KeepUntilMounted();
  d.feed_ = std::make_unique<EventFeed>(*d.registry_);
  d.billing_ = std::make_unique<Billing>(*d.registry_, *d.meter_);
  d.lookers_ = std::make_unique<LookerThreads>(*d.registry_, *d.tree_, *d.mounts_, d.waiters_,
                                               *d.feed_, *d.billing_, d.wake_);
  TRY(d.lookers_->Start());
  if (d.tracker_->taken_over()) d.lookers_->AskForResync();
  d.TellLostSettings();
  d.PlaceProcView(*built_in);
  TRY(d.agents_->Serve(
      {.place_spawner = [&d] { d.KeepSpawnerInRoots(); },
       .settled = [&d](const AgentJob& job) { d.registry_->FinishNotification(job.notification); },
       .room = [&d] { d.registry_->queue().Wake(); }}));
  d.agent_thread_ = TRY(StartThread([&d] { d.PersistAgents(); }));
  return daemon;
}

// What an earlier daemon left is taken over where tables and store fit each other; else both begin
// anew. Not where tasks are still placed and only the store cannot be read: then whoever runs the
// machine decides.
Result<void> Daemon::StartTracking() {
  auto pins = Pins::Open(PinDir(instance_));
  if (!pins && pins.error().code == EBUSY) return Fail(LockedByAnother(instance_, pins.error()));
  if (!pins && pins.error().code == EPERM) return Fail(pins.error());
  if (!pins) why_not_kept_ = pins.error().message;
  tracker_ =
      TRY(BpfTracker::Create({}, pins ? std::optional<Pins>(std::move(*pins)) : std::nullopt));
  if (!tracker_->pinned()) {
    if (why_not_kept_.empty()) why_not_kept_ = "the tables and hooks cannot be pinned";
    log::Warn("groups will not survive a crash of the daemon: {}", why_not_kept_);
    return {};
  }
  const bool taken_over = tracker_->taken_over();
  if (!tracker_->given_up().empty()) {
    StartedAfresh(tracker_->given_up());
  } else if (!taken_over && Store::Exists(StoreDir(instance_))) {
    StartedAfresh(fmt::format("an earlier daemon left {}, but its tables and hooks in {} are gone",
                              StoreDir(instance_), PinDir(instance_)));
  }
  auto opened = OpenStore();
  if (!opened && opened.error().code == EPERM) return opened;
  if (!opened && taken_over && opened.error().code != ENOENT && tracker_->HasPlacedTasks()) {
    return Fail(opened.error().code,
                "{}; tasks are in groups that only it knows. To forget all groups, remove {} and "
                "start again",
                opened.error().message, StoreDir(instance_));
  }
  if (opened || !taken_over) return opened;
  StartedAfresh(opened.error().message);
  tracker_->EndPins();
  tracker_.reset();
  return StartTracking();
}

// Once: what follows from it is no second loss.
void Daemon::StartedAfresh(const std::string& why) {
  constexpr const char* kName = "started_afresh";
  if (incidents_.Has(kName)) return;
  log::Error("starting afresh, every task in the roots: {}", why);
  incidents_.Add(kName, fmt::format("started afresh: all groups are forgotten and every task is in "
                                    "the roots, because {}",
                                    why));
}

// What was written to the files of subsystems is known to them only.
void Daemon::TellLostSettings() {
  if (!tracker_->taken_over()) return;
  const auto has_settings = [this](CgroupId cgroup) {
    return std::ranges::any_of(tree_->SubsystemFiles(cgroup), [this](const DirEntry& file) {
      const auto attr = tree_->GetAttr(Inode{file.ino});
      return attr && (attr->st_mode & S_IWUSR) != 0;
    });
  };
  for (const HierarchyInfo& info : registry_->Hierarchies()) {
    const auto children = registry_->Children(info.root);
    if (!children || children->empty() || !has_settings(children->front().second)) continue;
    incidents_.Add(
        "settings_not_restored",
        fmt::format("hierarchy '{}' was taken over from an earlier daemon, but not what was "
                    "written to the files of its subsystems ({}): write it again",
                    info.label, registry_->NamesOf(info.subsystems)));
  }
}

Result<void> Daemon::OpenStore() {
  const std::string directory = StoreDir(instance_);
  store_ = TRY(tracker_->taken_over() ? Store::Open(directory, tracker_->generation())
                                      : Store::Create(directory, tracker_->generation()));
  return {};
}

Result<void> Daemon::StartRegistry(const Plugins& plugins) {
  registry_ = std::make_unique<Registry>(*tracker_, [this] { wake_.Wake(); });
  meter_ = std::make_unique<BpfCpuMeter>(*tracker_);
  registry_->UseMeter(meter_.get());
  TRY(RegisterSubsystems(plugins));
  if (!store_) return registry_->TellOfBirths();
  auto kept = registry_->Keep(
      *store_, {.name_of = [](const Dialect& dialect) { return std::string(dialect.name); },
                .find = FindDialect});
  if (!kept) {
    return Fail(kept.error().code,
                "what the store {} has cannot be taken over: {}. To forget all groups, remove it "
                "and start again",
                StoreDir(instance_), kept.error().message);
  }
  TRY(registry_->TellOfBirths());
  if (tracker_->taken_over()) {
    std::size_t cgroups = 0;
    for (const HierarchyInfo& info : registry_->Hierarchies()) cgroups += info.cgroups - 1;
    log::Info("took over {} groups from an earlier daemon", cgroups);
    return {};
  }
  return tracker_->CommitPins();  // from here on a successor takes over
}

// With hooks that are at work already, we may have been born in one of our own groups.
void Daemon::LeaveGroups() {
  if (!tracker_->taken_over()) return;
  for (const HierarchyInfo& info : registry_->Hierarchies()) {
    auto moved =
        registry_->AttachProcess(info.root, Tid{static_cast<std::uint32_t>(::getpid())}, {});
    if (!moved) log::Warn("cannot leave the groups of '{}': {}", info.label, moved.error().message);
  }
}

bool Daemon::KeepForNext() {
  if (!store_) return false;
  end_ = End::kKeeps;
  return true;
}

void Daemon::EndInstance() { end_ = End::kEndsInstance; }

std::string Daemon::RuntimeTrouble() const {
  const std::string lock = LockPath(instance_);
  if (lock_ >= 0 && !StillNamed(lock_, lock)) {
    return fmt::format("{} was removed: a second daemon could be started beside this one", lock);
  }
  const std::string socket = SocketPath(instance_);
  if (::access(socket.c_str(), F_OK) != 0) {
    return fmt::format("{} was removed: nobody reaches the daemon any more", socket);
  }
  return "";
}

Result<void> Daemon::RegisterSubsystems(const Plugins& plugins) {
  for (const auto& subsystem : MakeBuiltInSubsystems({.meter = *meter_})) {
    TRY(registry_->Register(subsystem, Registry::Births::kToldLater));
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
  if (proc_mount_) Detach(*proc_mount_);  // wherever its directory is by now
  proc_mount_.reset();
  (void)::rmdir(ProcDir(instance_).c_str());
  if (mounts_) {
    if (end_ == End::kKeeps) mounts_->KeepUntilMounted();
    mounts_->EndAll();
  }
  if (registry_) registry_->queue().Close();
  if (agent_thread_.joinable()) agent_thread_.join();
  agents_.reset();  // it calls the registry
  if (lookers_) lookers_->Stop();
  // A start that failed leaves what it found, and nothing of its own.
  if (!tracker_ || end_ == End::kKeeps) return;
  if (tracker_->taken_over() && end_ == End::kNeverBegan) return;
  tracker_->EndPins();
  Store::Remove(StoreDir(instance_));
}

// Tracking does not need the view: without it the daemon goes on, and says so.
void Daemon::PlaceProcView(HierarchyId built_in) {
  proc_view_ = std::make_unique<ProcView>(
      *tree_, built_in,
      ProcView::Source{.sweep = [this] { (void)mounts_->size(); },
                       .is_mounted = [this](HierarchyId id) { return mounts_->CountOf(id) != 0; },
                       .mounts = [this] { return mounts_->MountsText(); }});
  const std::string dir = ProcDir(instance_);
  // What a daemon that died has left there.
  while (::umount2(dir.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  Result<void> placed;
  if (auto made = OpenOwnDirectory(dir, 0755); !made) {
    placed = Fail(made.error());
  } else {
    auto mount = FuseMount::Create(*proc_view_, {.source = "corral",
                                                 .subtype = "container_proc",
                                                 .read_only = true,
                                                 .nosuid = true,
                                                 .nodev = true});
    placed =
        mount ? PlaceMount((*mount)->TakeMountFd().get(), dir) : Result<void>(Fail(mount.error()));
    if (placed) proc_mount_ = std::move(*mount);
  }
  if (!placed) log::Warn("no proc view at {}: {}", dir, placed.error().message);
}

// What flies out is a lack of memory, threads or descriptors. The notification that was taken stays
// in the store, for the next daemon.
void Daemon::PersistAgents() {
  for (;;) {
    try {
      return RunAgents();
    } catch (...) {
      ::usleep(100'000);
      try {
        static log::Limit once_a_minute(1);
        std::uint64_t left_out;
        if (once_a_minute.Allow(&left_out)) log::Error("agents: {}", std::strerror(CaughtErrno()));
      } catch (...) {  // not even the line
      }
    }
  }
}

// One notification after the other. Where no more agents may run now, those with an agent wait in
// the queue, not begun: what happens to their cgroups meanwhile counts as ever (spec 2, 10.7).
void Daemon::RunAgents() {
  ReleaseQueue& queue = registry_->queue();
  const auto room = [this] { return agents_->HasRoom(); };
  while (auto next = queue.Take(room)) {
    if (registry_->StartsAgent(*next) && !room()) {
      queue.PutBack(*std::move(next));
      continue;
    }
    const auto notification = registry_->BeginNotification(*next);
    if (notification && !StartAgent(*notification)) {
      registry_->FinishNotification(notification->number);
    }
  }
}

// True: handed over; it is finished when its agent runs, or never will.
bool Daemon::StartAgent(const Notification& notification) {
  if (notification.agent.empty()) return false;
  const Dialect& dialect = DialectOf(notification.dialect);
  const auto path = PathForAgent(notification.path, dialect);
  if (!path) {
    log::Warn("{}: no agent for a path of {} bytes", notification.hierarchy,
              notification.path.size());
    return false;
  }
  feed_->Notified(notification);
  agents_->Start({.agent = notification.agent,
                  .path = *path,
                  .hierarchy = notification.hierarchy,
                  .user = notification.agent_user,
                  .no_new_privs = dialect.agent_loses_privileges,
                  .notification = notification.number});
  return true;
}

// We and the spawner serve every group: none is to limit, stop or kill us. And agents inherit their
// place from the spawner, and run in every root (spec 10.4). Called whenever there may be another
// spawner; somebody may have moved it before the registry knew.
void Daemon::KeepSpawnerInRoots() {
  const Tid spawner = agents_->spawner();
  registry_->KeepInRoots({machine_.OwnProcess(), Tgid{spawner.value}});
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
      return Fail(EBUSY, "hierarchy '{}' has {} groups; remove them first, or use --force",
                  info.label, info.cgroups - 1);
    }
  }
  return {};
}

TrackingLimits Daemon::tracking_limits() const {
  return {.tid_capacity = tracker_->tid_capacity(),
          .hidden_processes = tracker_->hidden_processes(),
          .births_beyond_limits = tracker_->births_beyond_limits(),
          .births_let_through = tracker_->births_let_through()};
}

void Daemon::StopServing() { shutdown_.Wake(); }

void Daemon::RequestShutdown() {
  shutdown_requested_ = true;
  StopServing();
}

}  // namespace corral
