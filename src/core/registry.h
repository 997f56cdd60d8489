// Registry: hierarchies, cgroups, css_sets, moves and releases. The face of the core.
//
// It makes no system call, but to lock and to let others run, and knows no file system; the
// Tracker below it knows where tasks are, `control` above it gives it the shape of files. Callable
// from any thread.
//
// The work is done by parts, each with a header, fields and a piece of `Cgroup` of its own: core.h
// lists them. A method here finds what the ids name, under the tree's lock, and calls them:
//
//   Operation operation(*core_);  // locks the tree; at its end what changed is kept, and told
//   Cgroup& cgroup = *TRY(core_->tree.Find(id, ENODEV));
//   core_->releases.Judge(cgroup);  // REQUIRES(the_tree), which clang checks
//
// Locks, in this order:
//   1. settle_mu  walks over the machine's tasks, made with none of the others held
//   2. tree_mu_   (tree_lock.h) topology: hierarchies, cgroups, flags, verdicts; serialises moves
//   3. births and deaths held (Tracker::HoldTasks), where a subsystem wants to be told of them
//   4. set_mu_    (in CssSetTable) interning and listing
//   leaves: ReleaseQueue, the event list. Forks and exits take none of them; where a subsystem is
//   told of them in line (inproc), they take 3 and 4.
// Decide under the lock, act after it: agents, replies, pollers. Called with the tree locked:
// AttachGuard (looks at its own task only), the callbacks that subsystem.h lists, the Journal, and
// `wake`; none of them may call back. A subsystem's lock that those callbacks take comes after
// ours; one that it holds while it calls Groups comes before.
//
//   auto id = registry.CreateHierarchy({.name = "jobs"});
//   auto job = registry.Mkdir(registry.Root(*id).value(), "job1", {});
//   registry.Attach(*job, Tid{1234}, {});
//   ... the last task exits; the tracker rings ...
//   registry.SetMayBeEmpty(set); registry.Settle();
//   registry.queue().TryTake();   // -> job; registry.BeginNotification(job) -> path, agent
#ifndef CORRAL_CORE_REGISTRY_H_
#define CORRAL_CORE_REGISTRY_H_

#include <corral/cpu_meter.h>
#include <corral/ids.h>
#include <corral/result.h>
#include <corral/subsystem.h>
#include <corral/tracker.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/journal.h"
#include "core/release_queue.h"
#include "core/types.h"

namespace corral {

struct Core;  // the parts, core.h

class Registry {
 public:
  // `wake` is called, with locks held, whenever Settle() or TakeEvents() has work; it must
  // not block and not call back. `tracker` must outlive the registry.
  Registry(Tracker& tracker, std::function<void()> wake);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

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
  // EBUSY: children, a live task (a count alone is looked at again, I2), or a subsystem's reference
  // (spec 13.5).
  Result<CgroupId> Rmdir(CgroupId parent, std::string_view name);
  // The same by id: ENOENT, EBUSY; EPERM for a root.
  Result<void> Remove(CgroupId id);
  // A child of the task's cgroup under a generated name with the task in it, or nothing
  // (spec 13.7).
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
  // Own tasks, ascending (spec 7). A root lists every task not placed elsewhere. ENODEV, as for the
  // next two.
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

  // ---- flags and events. ENODEV: the cgroup is gone. SetNotifyOnRelease, Releasable and Events
  // pass the verdict first (I7).
  Result<bool> NotifyOnRelease(CgroupId id) const;
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
  // A hint from the tracker: this css_set may be empty; judges its cgroups.
  void SetMayBeEmpty(CssSetId set);
  // Announces what was decided and whose leavers are through; retires css_sets. Returns
  // true while something still waits for a task on its way out (call again soon).
  bool Settle();
  // Judges every cgroup; after a resync and after the doorbell overflowed.
  void JudgeAll();
  std::vector<Event> TakeEvents();
  // Whether events are to have paths (they do unless told so); as of the next operation.
  void TellPaths(bool on);
  ReleaseQueue& queue();
  // Marks the notification as starting (spec 10.9). Empty: the cgroup is gone, and its
  // notification with it (spec 2, "removed while its notification waits").
  std::optional<Notification> BeginNotification(const Waiting& notification);
  // Whoever was to be told is told: until here, a crash has it told again.
  void FinishNotification(std::uint64_t number);
  // Whether beginning it now would start an agent.
  bool StartsAgent(const Waiting& notification) const;

  Tracker& tracker();
  std::size_t css_sets() const;

 private:
  const std::unique_ptr<Core> core_;
};

// The processes of these tasks, ascending, each once.
std::vector<Tgid> ProcessesOf(const std::vector<TaskMember>& tasks);

}  // namespace corral

#endif  // CORRAL_CORE_REGISTRY_H_
