// Registry: hierarchies, cgroups, css_sets, moves and releases. The core.
//
// It makes no system call and knows no file system; the Tracker below it knows where tasks
// are, `control` above it gives it the shape of files. Callable from any thread.
//
// Locks, in this order:
//   1. settle_mu_ walks over the machine's tasks, made with none of the others held
//   2. tree_mu_   topology: hierarchies, cgroups, flags, verdicts; serialises moves
//   3. births and deaths held (Tracker::HoldTasks), where a subsystem wants to be told of them
//   4. set_mu_    (in CssSetTable) interning and listing
//   leaves: ReleaseQueue, the event list. Forks and exits take none of them; told in line to
//   subsystems that want them, 3 and 4.
// Decide under the lock, act after it: agents, replies, pollers. Two kinds of callback run with
// the tree locked: AttachGuard, which may look at the task it was made for and nothing else, and
// those that subsystem.h lists; none of them may call back. The locks of subsystems come after
// ours.
//
//   auto id = registry.CreateHierarchy({.name = "jobs"});
//   auto job = registry.Mkdir(registry.Root(*id).value(), "job1", {});
//   registry.Attach(*job, Tid{1234}, {});
//   ... the last task exits; the tracker rings ...
//   registry.SetMayBeEmpty(set); registry.Settle();
//   registry.queue().TryTake();   // -> job; registry.BeginNotification(job) -> path, agent
#ifndef CORRAL_CORE_REGISTRY_H_
#define CORRAL_CORE_REGISTRY_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <corral/tracker.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"
#include "core/cgroup.h"
#include "core/css_set_table.h"
#include "core/journal.h"
#include "core/release_queue.h"
#include "core/subsystem_table.h"
#include "core/task_callbacks.h"
#include "core/types.h"

namespace corral {

class RowReader;

class Registry : private CssOwner {
 public:
  // `wake` is called, with locks held, whenever Settle() or TakeEvents() has work; it must
  // not block and not call back. `tracker` must outlive the registry.
  Registry(Tracker& tracker, std::function<void()> wake);
  ~Registry() override;

  // ---- subsystems. Numbers are in the order of registration (SubsystemSet).
  // Before the first hierarchy that is to have it. Errors: SubsystemTable::Register; those of
  // Tracker::Listen for one that wants forks. That has been told of every task when this returns,
  // or, where Keep() is still to say which css a task has, when TellOfBirths() does.
  enum class Births { kToldNow, kToldLater };
  Result<void> Register(std::shared_ptr<Subsystem> subsystem, Births births = Births::kToldNow);
  // Those registered with kToldLater hear of every task, and of births and deaths from now on.
  Result<void> TellOfBirths();
  std::vector<SubsystemInfo> Subsystems() const;
  std::optional<std::size_t> FindSubsystem(std::string_view name) const;
  std::vector<std::string> SubsystemNames() const;
  SubsystemSet AllSubsystems() const;
  std::string NamesOf(SubsystemSet subsystems) const;  // comma separated
  std::shared_ptr<Subsystem> SubsystemAt(std::size_t number) const;
  // Null: the cgroup is gone, or the subsystem is not of its hierarchy.
  std::shared_ptr<Css> CssOf(CgroupId id, std::size_t subsystem) const;

  // ---- what outlives the process (spec 10.9)
  // Takes over what `journal` has, and keeps everything in it from now on; without one, all goes
  // with the process. After Register(), with births told later, and before anything else. The
  // tracker must have the words and counters that belong to it. What emptied meanwhile is judged
  // at once. EBADMSG: it is damaged; ENODEV: a subsystem that it needs is not registered; or what
  // a subsystem refuses with. Then the registry is of no use.
  Result<void> Keep(Journal& journal, DialectNames dialects);

  // ---- hierarchies
  // EEXIST: the name is taken (the empty one by a hierarchy without subsystems). EBUSY: one of
  // the subsystems is bound elsewhere.
  Result<HierarchyId> CreateHierarchy(const HierarchyOptions& options);
  // EBUSY: it has child cgroups, or is built in. Tasks stay where they are: in its root.
  Result<void> DestroyHierarchy(HierarchyId id);
  // Takes away and adds subsystems until it has these. EBUSY: it has child cgroups, or one of
  // them is bound elsewhere; then nothing is changed.
  Result<void> Rebind(HierarchyId id, SubsystemSet subsystems);
  // By what people are shown (HierarchyInfo::label), or by the name of one of its subsystems.
  std::optional<HierarchyId> FindByLabel(std::string_view label) const;
  std::vector<HierarchyInfo> Hierarchies() const;
  Result<CgroupId> Root(HierarchyId id) const;                           // ENOENT
  Result<std::string> ReleaseAgent(HierarchyId id) const;                // ENOENT
  Result<void> SetReleaseAgent(HierarchyId id, std::string_view agent);  // ENOENT
  Result<void> SetAgentUser(HierarchyId id, std::string_view user);      // ENOENT
  std::optional<HierarchyInfo> InfoOf(HierarchyId id) const;

  // ---- cgroups. ENOENT where the directory looked in is gone, ENODEV from files.
  // EEXIST; names are checked by `control`. EAGAIN: a quota of a cgroup above. Inherits
  // notify_on_release (spec 5.2).
  Result<CgroupId> Mkdir(CgroupId parent, std::string_view name, MkdirOptions options);
  // EBUSY: tasks or children. Answers EBUSY only on a live task (I2).
  Result<CgroupId> Rmdir(CgroupId parent, std::string_view name);
  // The same by id: ENOENT, EBUSY; EPERM for a root.
  Result<void> Remove(CgroupId id);
  // A child of the task's cgroup under a generated name with the task in it, or nothing (13.7).
  Result<CgroupId> Clone(HierarchyId hierarchy, Tid tid);
  // Spec 5.5: EEXIST before EIO (another parent).
  Result<void> Rename(CgroupId parent, std::string_view name, CgroupId new_parent,
                      std::string_view new_name);
  Result<CgroupId> Child(CgroupId parent, std::string_view name) const;
  Result<std::vector<std::pair<std::string, CgroupId>>> Children(CgroupId id) const;
  // At most so many of those with a higher id, by id.
  Result<std::vector<std::pair<std::string, CgroupId>>> ChildrenAfter(CgroupId id, CgroupId after,
                                                                      std::size_t most) const;
  // A directory, or an entry of one, as a path walk meets it; ENOENT. An entry that is no cgroup
  // may be a file: `control` knows.
  Result<DirectoryView> View(CgroupId id) const;
  struct Found {
    DirectoryView parent;
    std::optional<DirectoryView> child;
  };
  Result<Found> Lookup(CgroupId parent, std::string_view name) const;
  // Of the directory (Attributes::kDirectory) or one of its files. Its view afterwards; ENOENT.
  Result<DirectoryView> SetAttributes(CgroupId id, unsigned slot, const AttrChange& change);
  // Its parent's directory, the parent's parent's, and so on to the root's.
  std::vector<NodeAttr> DirectoriesAbove(CgroupId id) const;
  Result<std::size_t> ChildCount(CgroupId id) const;
  Result<CgroupInfo> Info(CgroupId id) const;
  Result<std::string> PathOf(CgroupId id) const;
  Result<std::string> ToldPathOf(CgroupId id) const;  // as Event::path
  // The cgroup at PATH ("/a/b") of a hierarchy.
  Result<CgroupId> Resolve(HierarchyId hierarchy, std::string_view path) const;
  std::optional<CgroupFacts> Facts(CgroupId id) const;  // empty: it is gone
  bool Exists(CgroupId id) const { return Facts(id).has_value(); }
  bool IsRoot(CgroupId id) const;
  // Spec 4.6. ENODEV. What is there already stays.
  Result<Quotas> QuotasOf(CgroupId id) const;
  Result<void> SetQuota(CgroupId id, std::uint64_t Quotas::*which, std::uint64_t most);

  // ---- tasks
  // These processes, instead of those named before, serve all groups: no task of theirs goes
  // anywhere but to a root, where no subsystem and no kill reaches it. Whoever is elsewhere is to
  // be moved there by the caller.
  void KeepInRoots(std::set<Tgid> processes);
  // ENODEV: the cgroup is gone. ESRCH: no such live task. EPERM: one that is kept in the roots.
  // Moving a task to where it is succeeds and has no effect (spec 6.7).
  Result<void> Attach(CgroupId id, Tid tid, const AttachGuard& guard);
  // All threads of tid's process, those born meanwhile included (spec 6.6).
  Result<void> AttachProcess(CgroupId id, Tid tid, const AttachGuard& guard);
  // The process of a tid, also of a dead leader's while it has live threads. ESRCH.
  Result<Tgid> ProcessOf(Tid tid) const;
  // The process of a live task: one look at its word. ESRCH.
  Result<Tgid> ProcessOfLive(Tid tid) const;
  // Every live task of the machine.
  void ForEachTask(const std::function<void(Tid, Tgid)>& fn) const;
  // Own tasks, ascending (spec 7). A root lists every task not placed elsewhere.
  Result<std::vector<Tid>> Tasks(CgroupId id) const;
  Result<std::vector<Tgid>> Processes(CgroupId id) const;
  // Tasks of the cgroup and all below it, tids ascending.
  Result<std::vector<TaskMember>> SubtreeTasks(CgroupId id) const;
  // A cgroup and those below it as one walks a tree: each followed by all below it, siblings by
  // name. Looks at the machine's tasks once or twice, however many cgroups there are. ENOENT.
  Result<std::vector<TreeNode>> Subtree(CgroupId id, const ListOptions& options = {});
  // Where a task is in a hierarchy. ESRCH, ENOENT.
  Result<CgroupId> CgroupOf(Tid tid, HierarchyId hierarchy) const;
  // A css_set's cgroup in a hierarchy, the root included; id 0 when the hierarchy is gone.
  CgroupId CgroupOfSet(CssSetId set, HierarchyId hierarchy) const;

  // ---- flags and events. ENODEV: the cgroup is gone. Each passes the verdict first (I7).
  Result<bool> NotifyOnRelease(CgroupId id);
  Result<void> SetNotifyOnRelease(CgroupId id, bool on);  // clears `releasable` (spec 9.3)
  Result<bool> Releasable(CgroupId id);
  Result<bool> CloneChildren(CgroupId id) const;
  Result<void> SetCloneChildren(CgroupId id, bool on);
  Result<EventsInfo> Events(CgroupId id);

  // ---- CPU time (spec 3.13, subsystem cpuacct)
  // Null: not known, as with the in-process tracker. Before the first cgroup is made; must
  // outlive the registry. Starting and stopping it is for those who want to know.
  void UseMeter(CpuMeter* meter);
  // Since the cgroup was made, or for a root its hierarchy. ENODEV; ENOTSUP: no meter.
  Result<CpuTime> CpuTimeOf(CgroupId id, bool subtree);
  // The same of it and of all below it, with one look at the machine.
  Result<CpuTimesById> CpuTimesBelow(CgroupId top);
  // Dead tasks of the subtree that CpuTimeOf() does not know yet: wait for 0 (CpuMeter::Uncharged).
  std::uint64_t CpuUncharged(CgroupId id);

  // ---- releases
  // A hint from the tracker: judge the cgroups of this set.
  void SetMayBeEmpty(CssSetId set);
  // Announces what was decided and whose leavers are through; retires css_sets. Returns
  // true while something still waits for a task on its way out (call again soon).
  bool Settle();
  // Judges every cgroup; after a resync and after the doorbell overflowed.
  void JudgeAll();
  std::vector<Event> TakeEvents();
  // Whether events are to have paths (they do unless told so); as of the next operation.
  void TellPaths(bool on);
  ReleaseQueue& queue() { return queue_; }
  // Marks the notification as starting (spec 10.9). Empty: the cgroup is gone, and its
  // notification with it (spec 2, "removed while its notification waits").
  std::optional<Notification> BeginNotification(const Waiting& notification);
  // Whoever was to be told is told: until here, a crash has it told again.
  void FinishNotification(std::uint64_t number);
  // Whether beginning it now would start an agent.
  bool StartsAgent(const Waiting& notification) const;

  Tracker& tracker() { return tracker_; }
  std::size_t css_sets() const { return sets_.size(); }

 private:
  // Tasks that the subsystems agreed to move, and from where (spec 13.2).
  using Agreed = std::unordered_map<Tid, const Cgroup*>;
  struct Moved {
    Tid tid;
    Tgid tgid;
    SetTuple from;
    CssList from_css;  // only where somebody is told of births
    CssSetId to;
  };

  // Who has the CPU time of an unlinked set: as its own, or as that of removed children.
  struct Payee {
    CgroupId cgroup;
    bool below = false;
  };
  // A set nobody can be moved to any more.
  struct Unlinked {
    std::uint64_t serial = 0;       // of the unlinking
    std::vector<CgroupId> waiting;  // await its leavers (Cgroup::ghosts)
    std::vector<Payee> payees;
  };
  using Retiring = std::pair<CssSetId, std::uint64_t>;  // with the serial of its unlinking
  using LeaversBySet = std::unordered_map<CssSetId, std::vector<Tid>>;
  static LeaversBySet BySet(const std::vector<Leaver>& leavers);
  // What one Settle() is about.
  struct Batch {
    std::vector<std::pair<CgroupId, std::uint64_t>> decided;  // with the serial of the decision
    std::vector<Retiring> unlinked;
  };

  // What changed since the last transaction, and is to be written as it is then.
  struct Marked {
    std::vector<HierarchyId> hierarchies;
    std::vector<CgroupId> cgroups;
    std::vector<CssSetId> sets;
    std::vector<std::uint64_t> notifications;
    std::vector<CgroupId> last_paths;
    std::vector<CgroupId> attributes;
    bool empty() const {
      return hierarchies.empty() && cgroups.empty() && sets.empty() && notifications.empty() &&
             last_paths.empty() && attributes.empty();
    }
  };
  // Holds the tree. At its end what changed is kept, and only then told.
  class SCOPED_CAPABILITY Operation {
   public:
    explicit Operation(Registry& registry) ACQUIRE(registry.tree_mu_);
    ~Operation() RELEASE();
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

   private:
    Registry& registry_;
  };

  // keeping.cc
  void MarkLocked(const Hierarchy& hierarchy) REQUIRES(tree_mu_) {
    if (journal_) marked_.hierarchies.push_back(hierarchy.id);
  }
  void MarkLocked(const Cgroup& cgroup) REQUIRES(tree_mu_) {
    if (journal_) marked_.cgroups.push_back(cgroup.id);
  }
  void MarkAttributesLocked(const Cgroup& cgroup) REQUIRES(tree_mu_) {
    if (journal_) marked_.attributes.push_back(cgroup.id);
  }
  void MarkLocked(CssSetId set) REQUIRES(tree_mu_) {
    if (journal_) marked_.sets.push_back(set);
  }
  void EndLocked() REQUIRES(tree_mu_);
  Result<void> CommitRowsLocked() REQUIRES(tree_mu_);
  bool IsOwedLocked(HierarchyId id) const REQUIRES(tree_mu_);
  std::string MetaRowLocked() const REQUIRES(tree_mu_);
  std::string RowOfLocked(const Hierarchy& hierarchy, bool ended) const REQUIRES(tree_mu_);
  std::string RowOfLocked(const Cgroup& cgroup, bool departed) const REQUIRES(tree_mu_);
  std::optional<std::string> RowOfLocked(CssSetId set) const REQUIRES(tree_mu_);
  Result<void> TakeRowLocked(std::string_view key, std::string_view value) REQUIRES(tree_mu_);
  Result<void> TakeHierarchyLocked(HierarchyId id, RowReader& row) REQUIRES(tree_mu_);
  Result<void> TakeCgroupLocked(CgroupId id, RowReader& row) REQUIRES(tree_mu_);
  Result<void> TakeSetLocked(CssSetId set, RowReader& row) REQUIRES(tree_mu_);
  Result<void> TakeNotificationLocked(std::uint64_t number, RowReader& row) REQUIRES(tree_mu_);
  void TakeStockLocked() REQUIRES(tree_mu_);

  // subsystems.cc
  class RegistryGroups;
  class Hold;
  void LastPut(CgroupId cgroup) override;
  void TakePutsLocked() REQUIRES(tree_mu_);
  void JudgePutsLocked() REQUIRES(tree_mu_);
  Result<void> ListenLocked() REQUIRES(tree_mu_);
  void TellUntoldLocked() REQUIRES(tree_mu_);
  std::string DescribeSets(CgroupId id) const;

  // registry.cc
  Result<Cgroup*> MkdirLocked(Cgroup& parent, std::string_view name, MkdirOptions options,
                              bool clone) REQUIRES(tree_mu_);
  Result<void> CheckQuotasLocked(Cgroup& parent) const REQUIRES(tree_mu_);
  Result<Cgroup*> FindLocked(CgroupId id, int missing) const REQUIRES(tree_mu_);
  static CgroupFacts FactsOf(const Cgroup& cgroup);
  static DirectoryView ViewOf(const Cgroup& cgroup);
  void TouchEntriesLocked(Cgroup& directory) REQUIRES(tree_mu_);
  Result<Hierarchy*> FindHierarchyLocked(HierarchyId id) const REQUIRES(tree_mu_);
  HierarchyInfo InfoOfHierarchy(const Hierarchy& hierarchy) const REQUIRES(tree_mu_);
  std::string LabelLocked(const Hierarchy& hierarchy) const REQUIRES(tree_mu_);
  Result<void> CloseLocked(Cgroup& child) REQUIRES(tree_mu_);
  std::unique_ptr<Cgroup> TakeOutLocked(Cgroup& child) REQUIRES(tree_mu_);
  void TakeOutLocked(Hierarchy& hierarchy) REQUIRES(tree_mu_);
  Result<void> RemoveLocked(Cgroup& child) REQUIRES(tree_mu_);
  using KnownBelow = std::unordered_map<const Cgroup*, bool>;
  bool IsBelowLocked(CgroupId id, const Cgroup& top, KnownBelow& known) const REQUIRES(tree_mu_);
  Result<std::pair<HierarchyId, CgroupId>> PlaceOf(CgroupId id) const;
  std::vector<Tid> TasksAt(HierarchyId hierarchy, CgroupId place) const;

  // moves.cc
  Result<void> CheckMayGoLocked(const Cgroup& to, Tgid process) const REQUIRES(tree_mu_);
  Result<CssSetId> InternLocked(const SetTuple& tuple) REQUIRES(tree_mu_);
  CssList CssOfLocked(const SetTuple& tuple) const REQUIRES(tree_mu_);
  void IntroduceLocked(Tid tid, const Place& place) REQUIRES(tree_mu_);
  Cgroup& CgroupInLocked(Hierarchy& hierarchy, CgroupId id) const REQUIRES(tree_mu_);
  Result<Agreed> AskLocked(Cgroup& to, const std::vector<Tid>& tids, Tgid tgid) REQUIRES(tree_mu_);
  void CallOffLocked(Cgroup& to, const Agreed& agreed) REQUIRES(tree_mu_);
  Result<void> MoveTaskLocked(Cgroup& to, Tid tid, Tgid tgid, const Cgroup* agreed,
                              std::vector<Moved>* moved) REQUIRES(tree_mu_);
  Result<void> MoveProcessLocked(Cgroup& to, Tgid tgid, std::vector<Moved>* moved)
      REQUIRES(tree_mu_);
  std::vector<Moved> UndoLocked(Cgroup& to, const std::vector<Moved>& moved) REQUIRES(tree_mu_);
  Result<void> FinishLocked(Cgroup& to, Result<void> done, const std::vector<Moved>& moved,
                            const AttachGuard& guard) REQUIRES(tree_mu_);
  void CommitLocked(Cgroup& to, const std::vector<Moved>& moved) REQUIRES(tree_mu_);
  void AddGhostLocked(Cgroup& cgroup, CssSetId set) REQUIRES(tree_mu_);
  void UnlinkSetLocked(CssSetId set) REQUIRES(tree_mu_);
  std::size_t ReclaimIdleSetsLocked() REQUIRES(tree_mu_);
  std::size_t RetireUnlinkedLocked(const LeaversBySet& leavers,
                                   const std::vector<Retiring>& candidates) REQUIRES(tree_mu_);

  // task_limits.cc
  Result<void> LimitTasks(Css& css, std::uint64_t max);
  std::uint64_t RefusedBirths(CgroupId id) const;
  Result<std::uint64_t> TasksLetIn(const Css& css) const;
  Result<void> PushLimitsLocked() REQUIRES(tree_mu_);
  Result<void> NumberLimitLocked(Cgroup& cgroup) REQUIRES(tree_mu_);
  void FreeLimitNumberLocked(const Cgroup& cgroup) REQUIRES(tree_mu_);
  Result<void> LimitSetLocked(CssSetId set, const SetTuple& tuple) REQUIRES(tree_mu_);

  // cpu_time.cc
  using CpuReading = std::unordered_map<CssSetId, CpuTime>;
  CpuMeter* UsedMeter() const;
  CpuTime MachineCpuTime() REQUIRES(tree_mu_);
  void SetMadeLocked(CssSetId set) REQUIRES(tree_mu_);
  void SetRetiredLocked(CssSetId set, const Unlinked& unlinked) REQUIRES(tree_mu_);
  void HandCpuTimeUpLocked(const Cgroup& removed) REQUIRES(tree_mu_);
  CpuTime RanInLocked(CssSetId set, const CpuReading& now) const REQUIRES(tree_mu_);
  CpuTime OwnCpuTimeLocked(const Cgroup& cgroup, const CpuReading& now) const REQUIRES(tree_mu_);
  CpuTimesById CpuTimesLocked(const Cgroup& top, const CpuReading& now) const REQUIRES(tree_mu_);

  // releases.cc
  bool HasCountLocked(const Cgroup& cgroup) const REQUIRES(tree_mu_);
  bool HasLiveTaskLocked(const Cgroup& cgroup) const REQUIRES(tree_mu_);
  bool LookAtSetLocked(Cgroup& cgroup, CssSetId set) REQUIRES(tree_mu_);
  void JudgeLocked(Cgroup& cgroup) REQUIRES(tree_mu_);
  void StartSettlingLocked(Cgroup& cgroup) REQUIRES(tree_mu_);
  bool SettleOnce() REQUIRES(settle_mu_) EXCLUDES(tree_mu_);
  Batch TakeBatchLocked() const REQUIRES(tree_mu_);
  void AwaitLocked(Cgroup& cgroup, std::vector<Tid> leaving) REQUIRES(tree_mu_);
  bool JudgePopulatedLocked(Cgroup& top) REQUIRES(tree_mu_);
  EventsInfo EventsLocked(const Cgroup& cgroup) const REQUIRES(tree_mu_);
  void AnnounceLocked(Cgroup& cgroup) REQUIRES(tree_mu_);
  void SetPopulatedLocked(Cgroup& cgroup, bool populated) REQUIRES(tree_mu_);
  void EmitLocked(Event::Kind kind, const Cgroup& cgroup,
                  std::optional<bool> populated = std::nullopt) REQUIRES(tree_mu_);
  void DecideNotificationLocked(Cgroup& cgroup) REQUIRES(tree_mu_);
  void QueueNotificationsLocked(Cgroup& cgroup) REQUIRES(tree_mu_);
  void DepartLocked(std::unique_ptr<Cgroup> cgroup) REQUIRES(tree_mu_);
  Cgroup* FindSettlingLocked(CgroupId id) const REQUIRES(tree_mu_);
  void EndNotificationLocked(const Waiting& waiting) REQUIRES(tree_mu_);

  Tracker& tracker_;
  const std::function<void()> wake_;

  Mutex settle_mu_;  // one walk for leavers at a time: who waited finds most of it done
  mutable Mutex tree_mu_;
  SubsystemTable subsystems_ GUARDED_BY(tree_mu_);
  const std::unique_ptr<Groups> groups_;
  struct PutNote;
  std::atomic<PutNote*> puts_ = nullptr;            // cgroups that lost their last reference (13.5)
  std::vector<CgroupId> put_ GUARDED_BY(tree_mu_);  // of those, whom Settle() is to judge
  std::unordered_map<HierarchyId, std::unique_ptr<Hierarchy>> hierarchies_ GUARDED_BY(tree_mu_);
  std::unordered_map<CgroupId, Cgroup*> cgroups_ GUARDED_BY(tree_mu_);
  std::uint64_t next_cgroup_ GUARDED_BY(tree_mu_) = 1;
  std::uint32_t next_hierarchy_ GUARDED_BY(tree_mu_) = 1;
  std::set<Tgid> kept_in_roots_ GUARDED_BY(tree_mu_);
  std::vector<CgroupId> settling_ GUARDED_BY(tree_mu_);
  // Removed with a notification that outlives them: those still to be announced, and the last
  // paths of those in the queue. Hierarchies that ended before all of theirs were told.
  std::unordered_map<CgroupId, std::unique_ptr<Cgroup>> departed_ GUARDED_BY(tree_mu_);
  std::unordered_map<CgroupId, std::string> last_paths_ GUARDED_BY(tree_mu_);
  std::unordered_map<HierarchyId, std::unique_ptr<Hierarchy>> ended_ GUARDED_BY(tree_mu_);
  std::shared_ptr<Subsystem> limiter_ GUARDED_BY(tree_mu_);  // whose limits the tracker has
  std::vector<std::uint32_t> free_limit_numbers_ GUARDED_BY(tree_mu_);
  std::uint32_t next_limit_number_ GUARDED_BY(tree_mu_) = 1;
  std::size_t numbered_limits_ GUARDED_BY(tree_mu_) = 0;
  std::unordered_set<CssSetId> limited_sets_ GUARDED_BY(tree_mu_);  // as the tracker was told
  CpuMeter* meter_ GUARDED_BY(tree_mu_) = nullptr;
  CpuReading cpu_base_ GUARDED_BY(tree_mu_);  // of each set, when it was made
  // What is kept: null where nothing is.
  Journal* journal_ GUARDED_BY(tree_mu_) = nullptr;
  DialectNames dialects_ GUARDED_BY(tree_mu_);
  Marked marked_ GUARDED_BY(tree_mu_);
  std::string kept_meta_ GUARDED_BY(tree_mu_);
  bool behind_ GUARDED_BY(tree_mu_) = false;  // the last transaction failed
  // In the queue or being started, and of those, being started; empty where nothing is kept.
  std::map<std::uint64_t, Waiting> notifications_ GUARDED_BY(tree_mu_);
  std::set<std::uint64_t> starting_ GUARDED_BY(tree_mu_);
  std::uint64_t next_notification_ GUARDED_BY(tree_mu_) = 1;
  std::vector<Event> emitted_ GUARDED_BY(tree_mu_);  // told when the operation ends
  bool tells_paths_ GUARDED_BY(tree_mu_) = true;
  // Sets to be retired.
  std::unordered_map<CssSetId, Unlinked> unlinked_ GUARDED_BY(tree_mu_);
  std::uint64_t unlinked_serial_ GUARDED_BY(tree_mu_) = 0;
  CssSetTable sets_;  // own lock (set_mu_)
  // What a move tells it, under the tracker's lock; null until a subsystem wants forks.
  std::unique_ptr<TaskCallbacks> callbacks_ GUARDED_BY(tree_mu_);
  std::vector<std::size_t> untold_ GUARDED_BY(tree_mu_);  // subsystems, until TellOfBirths()
  ReleaseQueue queue_;                                    // own lock
  mutable Mutex events_mu_;
  std::vector<Event> events_ GUARDED_BY(events_mu_);
};

// The processes of these tasks, ascending, each once.
std::vector<Tgid> ProcessesOf(const std::vector<TaskMember>& tasks);

// Of a cgroup, never recursively. REQUIRES: the tree lock.
// The path from its root; no more than the first `most` bytes.
std::string BuildPath(const Cgroup& cgroup, std::size_t most = SIZE_MAX);
// The path, if it has no more bytes and levels than that; costs no more either.
std::optional<std::string> PathWithin(const Cgroup& cgroup, std::size_t most, std::size_t levels);
// For sentences: printable, and of a long path only the end.
std::string ShownPath(const Cgroup& cgroup);

}  // namespace corral

#endif  // CORRAL_CORE_REGISTRY_H_
