// Engine: corral inside a program, for tasks of any kind: fibres, jobs, requests, connections.
//
// The program says when a task begins and ends; the engine groups them as the daemon groups the
// processes of a machine: any number of hierarchies, inheritance at birth, subsystems, and one
// call for every group that has got empty. No daemon, no root, no system call but for the thread
// that tells. For real processes see process_group.h.
//
//   auto engine = corral::Engine::Create({}).value();
//   auto jobs = engine->CreateHierarchy({.name = "jobs", .on_release = [](const corral::Release& r)
//   {
//     std::cout << r.path << " is done\n";                         // "/build is done"
//   }}).value();
//   auto build = jobs.Create("build").value();
//   auto task = build.Begin().value();                             // a task in the group,
//   auto child = engine->Begin(task).value();                      // and its child: there, too
//   std::jthread([child = std::move(child)]() mutable { ...; child.End(); });
//   build.WaitEmpty();
//
// Threads. Everything may be called from any thread, many at once; births and ends take no lock
// but that of the list of free numbers, and one more while a subsystem wants to hear of them
// (Subsystem::WantsForks). One object (a Task, a Group) belongs to one thread at a
// time, as usual, except that const methods of one object may run at once.
// An engine has one thread of its own. It calls on_release with no lock held, one call after the
// other for all hierarchies; from there everything may be called but WaitEmpty() and Flush()
// (EDEADLK), and it should be short: what is told next waits. An exception that leaves it is
// logged.
//
// Tasks and groups must end before their engine; its destructor aborts the program if one is left.
#ifndef CORRAL_ENGINE_H_
#define CORRAL_ENGINE_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <corral/subsystem.h>
#include <corral/tracker.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral {

class EngineCore;

struct EngineOptions {
  std::uint32_t tasks = 65536;  // at most so many at once, and at most kMostTasks
  // At most so many different places at once: with one hierarchy the groups that have tasks, with
  // several each combination that a task is in.
  std::uint32_t places = 4096;
};
inline constexpr std::uint32_t kMostTasks = (1u << 24) - 2;

// A task, by a number that no other task of the engine ever has. Fits in a program's own tables;
// whoever has it may ask for a task that has ended meanwhile, and is told ESRCH.
using TaskId = StrongId<struct TaskIdTag, std::uint64_t>;

// The number that subsystems know the task by (Subsystem::CanAttach and others); used again for
// another one when it has ended.
constexpr Tid TidOf(TaskId id) { return Tid{static_cast<std::uint32_t>(id.value & 0xFFFFFF)}; }

// A group that got empty: its last task ended or left, or the last group in it was removed, and
// neither tasks nor groups are in it nor references of subsystems held.
struct Release {
  CgroupId group;         // Group::id(); it may have been removed since
  std::string hierarchy;  // its name
  std::string path;       // as it was then: "/a/b"
};

struct HierarchySpec {
  std::string name;                          // not empty
  std::vector<std::string> subsystems = {};  // registered, and in no other hierarchy
  // Called once for every emptying of every group, also of one that was removed meanwhile.
  std::function<void(const Release&)> on_release = {};
};

// A task that runs. Ends with this object, if not before. Move it to whoever ends it.
class Task {
 public:
  Task() = default;  // none
  Task(Task&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), id_(std::exchange(other.id_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      End();
      core_ = std::exchange(other.core_, nullptr);
      id_ = std::exchange(other.id_, {});
    }
    return *this;
  }
  ~Task() { End(); }

  // The task ends. Its groups may get empty by this. A second call has no effect.
  void End();

  explicit operator bool() const { return core_ != nullptr; }
  TaskId id() const { return id_; }
  // Somebody has called Group::Kill() on a group it was in, or it was born by one so marked.
  bool killed() const;

 private:
  friend class Engine;
  friend class Group;
  Task(EngineCore* core, TaskId id) : core_(core), id_(id) {}

  EngineCore* core_ = nullptr;
  TaskId id_;
};

// A group, or the root of a hierarchy, which holds every task that is in no group of it. With
// this object the group is removed: at once if nothing is in it, else as soon as it gets empty.
// With a root its hierarchy ends, as soon as no group is left.
class Group {
 public:
  Group() = default;  // none: every call fails with ENODEV
  Group(Group&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), id_(std::exchange(other.id_, {})) {}
  Group& operator=(Group&& other) noexcept {
    if (this != &other) {
      Drop();
      core_ = std::exchange(other.core_, nullptr);
      id_ = std::exchange(other.id_, {});
    }
    return *this;
  }
  ~Group() { Drop(); }

  explicit operator bool() const { return core_ != nullptr; }
  CgroupId id() const { return id_; }
  // "/a/b"; empty when it was removed.
  std::string path() const;

  // A group in this one. EEXIST; EINVAL: a name is not empty, ".", "..", and has no '/' or NUL; or
  // what a subsystem says.
  Result<Group> Create(std::string_view name) const;

  // Moves a task here, from wherever in this hierarchy it is. ESRCH: it has ended; ENOSPC: more
  // places than EngineOptions has; or what a subsystem says. Then the task stays where it was.
  Result<void> Enter(const Task& task) const { return Enter(task.id()); }
  Result<void> Enter(TaskId task) const;

  // A new task here: begun in every root, then moved. Errors of Engine::Begin() and Enter().
  Result<Task> Begin() const;

  // Those in the group itself, or also in all below it. ENODEV.
  Result<std::vector<TaskId>> Tasks() const;
  Result<std::vector<TaskId>> SubtreeTasks() const;

  // Marks every task in the group and below it, and all their children to come. Calls `end` (which
  // may be empty) for each that it marked, with no lock held: to cancel it, to wake it; it may
  // have ended by then. A task that is born meanwhile, or later by a marked one, is marked when
  // Begin() returns it, and `end` need not be called. Returns how often it was. The engine cannot
  // stop a task: it looks at Task::killed() itself. EPERM: a root, which would be everybody.
  // ENODEV.
  Result<std::size_t> Kill(const std::function<void(TaskId)>& end) const;

  // Returns when neither the group nor one below it has a task. ETIMEDOUT; ENODEV: it is removed
  // meanwhile; EDEADLK: called from on_release; EMFILE: no descriptor is left to wait with. A root
  // is never empty: EINVAL.
  Result<void> WaitEmpty(
      std::chrono::milliseconds timeout = std::chrono::milliseconds::max()) const;

  // The group goes, and this object is none any more. EBUSY, and nothing happens: tasks, groups
  // or references are in it.
  Result<void> Remove();

  // The control files of the hierarchy's subsystems, by `subsystem.file`: the whole content, one
  // write. ENOENT: no such file here. EINVAL: it cannot be read, or written. ENODEV.
  Result<std::string> Read(std::string_view file) const;
  Result<void> Write(std::string_view file, std::string_view bytes) const;

  // What a subsystem keeps for this group, as Subsystem::Create made it; null where the subsystem
  // is not of this hierarchy, or the group is removed.
  std::shared_ptr<Css> StateOf(std::string_view subsystem) const;

 private:
  friend class Engine;
  Group(EngineCore* core, CgroupId id) : core_(core), id_(id) {}
  void Drop();

  EngineCore* core_ = nullptr;
  CgroupId id_;
};

class Engine {
 public:
  // EINVAL: no tasks, or more than kMostTasks, or no places. Or why there is no eventfd.
  static Result<std::unique_ptr<Engine>> Create(EngineOptions options);
  // What has happened is told first. REQUIRES: no Task and no Group of it is left.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Makes a subsystem known, before a hierarchy that is to have it. EEXIST: the name is taken;
  // EINVAL: it is none; ENOSPC: more than 16; or what the subsystem's Start() or Create() says.
  Result<void> Register(std::shared_ptr<Subsystem> subsystem);

  // One that corral brings itself, of BuiltIns(): those that count and limit any task (numtasks,
  // debug). Not those that act on the processes of a machine, like freezer. ENOENT: not one of
  // them.
  Result<void> RegisterBuiltIn(std::string_view name);
  static std::vector<std::string> BuiltIns();

  // Returns its root. EEXIST: the name is taken; EINVAL: it is empty; ENOENT: a subsystem is not
  // registered; EBUSY: it is in another hierarchy.
  Result<Group> CreateHierarchy(HierarchySpec spec);

  // A task in the root of every hierarchy; or one born by another, in its groups. EAGAIN: there
  // are EngineOptions::tasks already; ESRCH: the parent has ended; or what a subsystem says.
  Result<Task> Begin();
  Result<Task> Begin(const Task& parent);

  // Returns when everything that happened before the call was told. EDEADLK: from on_release.
  Result<void> Flush();

  // Compares what the engine counts with the tasks there are; for tests and for doubts.
  AuditReport Audit();

 private:
  explicit Engine(std::unique_ptr<EngineCore> core);
  const std::unique_ptr<EngineCore> core_;
};

}  // namespace corral

#endif  // CORRAL_ENGINE_H_
