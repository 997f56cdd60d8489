// EngineCore: what engine.h stands in front of: an InprocTracker, a Registry over it, and the
// thread that looks when the tracker rings.
//
// Owned by its Engine; tasks and groups hold a plain pointer, and are counted. Any thread. The
// one that looks holds no lock while it calls on_release. Locks: those of the registry, then
// leaves.
#ifndef CORRAL_ENGINE_ENGINE_CORE_H_
#define CORRAL_ENGINE_ENGINE_CORE_H_

#include <corral/engine.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "base/event_fd.h"
#include "base/mutex.h"
#include "core/looker.h"
#include "core/registry.h"
#include "core/waiters.h"
#include "engine/task_slots.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {

class EngineCore final : private Looker::Owner {
 public:
  EngineCore(const EngineOptions& options, EventFd wake);
  ~EngineCore() override;

  // ---- tasks
  // In the root of every hierarchy; the parent of tasks that have no other. Never listed.
  static constexpr TaskId kProgram{1};
  Result<TaskId> Begin(TaskId parent);  // REQUIRES: the parent does not end meanwhile
  void End(TaskId task);
  AuditReport Audit() { return tracker_.Audit(); }
  TaskSlots& tasks() { return tasks_; }

  // ---- groups
  Registry& registry() { return registry_; }
  Result<void> Enter(CgroupId group, TaskId task);
  Result<std::vector<TaskId>> Tasks(CgroupId group, bool subtree) const;
  Result<std::size_t> Kill(CgroupId group, const std::function<void(TaskId)>& end);
  Result<void> WaitEmpty(CgroupId group, std::chrono::milliseconds timeout);
  // EBUSY, ENODEV. A root: its hierarchy.
  Result<void> Remove(CgroupId group);
  // Its handle is gone.
  void Drop(CgroupId group);

  // ---- hierarchies and subsystems
  Result<void> Register(std::shared_ptr<Subsystem> subsystem);
  Result<CgroupId> CreateHierarchy(HierarchySpec spec);
  Result<std::string> Read(CgroupId group, std::string_view file);
  Result<void> Write(CgroupId group, std::string_view file, std::string_view bytes);

  // ---- the thread that looks
  Result<void> Flush();
  bool OnOwnThread() const { return std::this_thread::get_id() == thread_.get_id(); }

  std::atomic<std::size_t> handles = 0;  // of groups

 private:
  struct AddedFile {
    std::size_t subsystem;
    SubsystemFile file;
  };
  // An open file, as the handlers of a subsystem see one.
  Result<void> WithFile(CgroupId group, std::string_view name,
                        const std::function<Result<void>(const SubsystemFile&, FileUse&)>& use);

  class AtWork;
  bool IsBeingKilled(Tid tid);

  void Wake() { wake_.Wake(); }
  void Run();
  void Dispatch(const Event& event) override;
  void TellReleases();
  // Of hierarchies that have ended: nothing of them is left to be told.
  void ForgetCallbacks(const std::vector<HierarchyId>& ended);
  void RemoveIfDropped(CgroupId group);

  EventFd wake_;
  TaskSlots tasks_;
  InprocTracker tracker_;
  Registry registry_;
  Waiters waiters_;
  Looker looker_;  // the thread's own

  std::atomic<std::size_t> killing_ = 0;  // kills_.size(), for births, which take no lock
  Mutex kills_mu_;                        // a leaf
  std::multiset<CgroupId> kills_ GUARDED_BY(kills_mu_);

  Mutex files_mu_;  // a leaf
  std::map<std::string, std::shared_ptr<const AddedFile>, std::less<>> files_ GUARDED_BY(files_mu_);

  Mutex told_mu_;  // a leaf; on_release is called without it
  std::map<HierarchyId, std::shared_ptr<const HierarchySpec>> told_ GUARDED_BY(told_mu_);
  std::set<CgroupId> dropped_ GUARDED_BY(told_mu_);  // to be removed when they get empty
  std::vector<HierarchyId> ended_ GUARDED_BY(told_mu_);

  Mutex rounds_mu_;  // a leaf
  CondVar round_done_;
  std::uint64_t asked_ GUARDED_BY(rounds_mu_) = 0;
  std::uint64_t done_ GUARDED_BY(rounds_mu_) = 0;  // everything before this question was told
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace corral

#endif  // CORRAL_ENGINE_ENGINE_CORE_H_
