// Subsystem: a plug-in that gives cgroups meaning: accounting, limits, placement.
//
// A subsystem is bound to at most one hierarchy at a time, by mount options. It keeps one Css,
// its state, for each cgroup of that hierarchy; while it is bound nowhere, all tasks are in its
// root's. Built-in ones and shared objects (corral/plugin.h) use this same interface.
//
//   class Colour final : public corral::Subsystem {
//     std::string_view name() const override { return "colour"; }
//     Result<std::unique_ptr<Css>> Create(const NewCss& of) override {
//       return std::make_unique<ColourCss>();
//     }
//     std::vector<SubsystemFile> Files() override {
//       return {{.name = "shade", .read = ReadShade, .write = WriteShade}};   // colour.shade
//     }
//   };
//
// Threads and locks. Create, Destroy, PostClone, Bind, CanAttach, Attach and Cancel are called
// with the tree held: one at a time, nobody moves, makes or removes meanwhile. CanFork, Fork and
// Exit are called by whoever makes or ends a task, many at once where many threads do that.
// None of them may call Groups. Files' handlers may; they are called with nothing held, from any
// thread, many at once. A lock that handlers and the other callbacks share must not be held while
// Groups is called; with HoldTree() the first kind of callback cannot run. An exception that
// leaves a callback is a refusal (EIO, with what it says) where one can refuse, and is logged
// elsewhere.
#ifndef CORRAL_SUBSYSTEM_H_
#define CORRAL_SUBSYSTEM_H_

#include <corral/cpu_meter.h>
#include <corral/ids.h>
#include <corral/result.h>
#include <sys/types.h>

#include <algorithm>
#include <any>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace corral {

class CssOwner;
class Subsystem;

// One subsystem's state for one cgroup. Derive from it. Lives as long as its cgroup, and then as
// long as somebody holds a shared_ptr to it; only references (Get) keep the *cgroup*.
class Css : public std::enable_shared_from_this<Css> {
 public:
  Css() = default;
  virtual ~Css() = default;
  Css(const Css&) = delete;
  Css& operator=(const Css&) = delete;

  // The cgroup it belongs to; 0 for the root of a subsystem that is bound nowhere.
  CgroupId cgroup() const { return CgroupId{cgroup_.load(std::memory_order_relaxed)}; }
  Css* parent() const { return parent_.get(); }  // null for the root's
  bool is_root() const { return !parent_; }
  bool removed() const { return references_.load() < 0; }  // its cgroup is gone

  // A reference from outside: while any is held rmdir gives EBUSY and nothing is released; the
  // last Put() can release the cgroup. No lock is taken, and a race with rmdir has one winner:
  // Get() is false when the cgroup is gone. A root is always there, and not counted.
  bool Get() {
    if (is_root()) return true;
    for (std::int64_t held = references_.load(); held >= 0;) {
      if (references_.compare_exchange_weak(held, held + 1)) return true;
    }
    return false;
  }
  void Put();
  std::int64_t references() const { return std::max<std::int64_t>(references_.load(), 0); }

  // How many tasks there may be in the cgroup with all below it, for births: what
  // Groups::LimitTasks() said last. A new css begins with its parent's where settings are
  // inherited.
  static constexpr std::uint64_t kNoTaskLimit = UINT64_MAX;
  std::uint64_t task_limit() const { return task_limit_.load(std::memory_order_relaxed); }

 private:
  friend class SubsystemTable;
  static constexpr std::int64_t kRemoved = INT64_MIN / 2;

  std::shared_ptr<Css> parent_;
  std::atomic<std::uint64_t> cgroup_ = 0;
  std::atomic<std::int64_t> references_ = 0;
  std::atomic<std::uint64_t> task_limit_ = kNoTaskLimit;  // changes with the tree held
  CssOwner* owner_ = nullptr;                             // hears of the last Put()
};

// Who hears of last puts: the core.
class CssOwner {
 public:
  // From any thread, whatever it holds: takes no lock.
  virtual void LastPut(CgroupId cgroup) = 0;

 protected:
  virtual ~CssOwner() = default;
};

// Touches nothing of this css after the count is down: rmdir may free it then.
inline void Css::Put() {
  if (is_root()) return;
  CssOwner* const owner = owner_;
  const CgroupId id = cgroup();
  if (references_.fetch_sub(1) == 1) owner->LastPut(id);
}

// Whether b is a or an ancestor of a. Both are css of one subsystem.
inline bool IsDescendant(const Css& a, const Css& b) {
  const Css* at = &a;
  while (at && at != &b) at = at->parent();
  return at != nullptr;
}

// What a css is made for.
struct NewCss {
  std::shared_ptr<Css> parent;  // null: the root's
  // The child starts with its parent's settings; where it does not (dialect `linux`), with none.
  bool inherits = true;
};

// One open file of a subsystem.
struct FileUse {
  const std::shared_ptr<Css> css;
  std::any state;  // what `open` wants kept for this descriptor
};

// A control file, named `subsystem.name`, or `name` with the mount option noprefix. Errors
// reach who reads or writes as they are. A missing handler gives EINVAL.
struct SubsystemFile {
  enum class Where { kEverywhere, kNotTop, kTopOnly };

  std::string name;
  Where where = Where::kEverywhere;
  mode_t mode = 0;  // 0: 0644 with a write handler; without, the dialect's mode for such
  std::function<Result<void>(FileUse&)> open;
  std::function<Result<std::string>(FileUse&)> read;      // the whole content
  std::function<Result<std::uint64_t>(FileUse&)> number;  // instead of read: printed as a line
  std::function<Result<void>(FileUse&, std::string_view bytes)> write;  // one write(2)
  std::function<void(FileUse&)> release;
};

// The tree held still: nobody moves tasks, makes, removes or renames cgroups or changes
// flags as long as this object lives; forks and exits go on. Belongs to one thread; keep it short.
class TreeHold {
 public:
  virtual ~TreeHold() = default;
  virtual std::vector<Tid> Tasks(const Css& css) const = 0;  // of the cgroup itself, ascending
  virtual std::vector<std::shared_ptr<Css>> Children(const Css& css) const = 0;
};

// What a subsystem may ask, from its files' handlers and from threads of its own.
class Groups {
 public:
  virtual ~Groups() = default;

  // Empty for a cgroup that is gone. A root's tasks are those in no other cgroup of the hierarchy.
  virtual std::vector<Tid> Tasks(const Css& css) const = 0;
  virtual std::vector<Tid> SubtreeTasks(const Css& css) const = 0;
  virtual std::vector<Tgid> SubtreeProcesses(const Css& css) const = 0;
  virtual std::string PathOf(const Css& css) const = 0;  // "/a/b"; empty: gone
  virtual std::unique_ptr<TreeHold> HoldTree() = 0;

  // A child of the task's cgroup under a generated name with the task in it, or nothing.
  // Calls PostClone. The error of who refused.
  virtual Result<CgroupId> Clone(Subsystem& subsystem, Tid task) = 0;

  // For a tracker that keeps births within limits by itself, where CanFork() would come too late:
  // from here on css.task_limit() is `max`, and no birth exceeds it; kNoTaskLimit: none. Not for a
  // root. ENOTSUP: the tracker does not limit births; then the limit is kept to be read. On any
  // other error the limit is what it was. EBUSY: births are limited by another subsystem; ENOSPC:
  // there are too many limits; ENODEV: the cgroup is gone.
  virtual Result<void> LimitTasks(Css& css, std::uint64_t max) = 0;
  // Births that the css's limit has stopped.
  virtual std::uint64_t RefusedBirths(const Css& css) const = 0;
  // How many tasks there are in the cgroup with all below it, without newborns that a limit has
  // stopped and that are not gone yet. What was moved in counts, also beyond a limit. 0 for a
  // cgroup that is gone.
  virtual Result<std::uint64_t> TasksLetIn(const Css& css) const = 0;

  // A cgroup of any hierarchy, as developers see it: css_sets, their counters and links.
  virtual std::string Describe(const Css& css) const = 0;

  // What the cgroup's tasks have run since it was made: its own, or with all below it, those
  // removed since included. ENOTSUP: this tracker does not know of CPU time.
  virtual Result<CpuTime> CpuTimeOf(const Css& css, bool subtree) = 0;
  // Of each cgroup at and below it its own, with one look at the machine.
  virtual Result<std::unordered_map<CgroupId, CpuTime>> CpuTimes(const Css& top) = 0;
};

class Subsystem {
 public:
  virtual ~Subsystem() = default;

  // 1 to 31 characters of [a-z0-9_]; not a mount option's name.
  virtual std::string_view name() const = 0;

  // Once, before everything else. `groups` lives longer than the subsystem's use.
  virtual Result<void> Start(Groups& /*groups*/) { return {}; }

  // Once, when the instance ends, after everything else: for threads of its own, and for what must
  // not outlive it. Nothing is held, and Groups may be called for the last time.
  virtual void Stop() {}

  // Asked once, after Start().
  virtual std::vector<SubsystemFile> Files() { return {}; }

  // ---- the life of a css
  // At mkdir, and once for the root, before any hierarchy. A refusal is mkdir's error.
  virtual Result<std::unique_ptr<Css>> Create(const NewCss& of) = 0;
  virtual void Destroy(Css& /*css*/) {}    // at rmdir; not for the root's
  virtual void PostClone(Css& /*css*/) {}  // made by Clone(), or below one with clone_children
  // The root's css changes hierarchies: bound to one now, or (0) to none.
  virtual void Bind(Css& /*root*/, HierarchyId /*hierarchy*/) {}

  // ---- moves
  // Each bound subsystem is asked about each task before any of them is moved. Then each task
  // gets an Attach(), or each that was agreed to a Cancel(). The task may die at any moment:
  // Attach() can come for one that is gone.
  virtual Result<void> CanAttach(Css& /*to*/, Css& /*from*/, Tid /*task*/) { return {}; }
  virtual void Attach(Css& /*to*/, Css& /*from*/, Tid /*task*/) {}
  virtual void Cancel(Css& /*to*/, Css& /*from*/, Tid /*task*/) {}

  // ---- births and deaths, of all tasks, bound or not. False: none of the three is called,
  // and births and deaths cost nothing for them. Asked once, before Start().
  //
  // For each task Fork() comes once, at registration for those alive then; an Attach() for each
  // move in the subsystem's hierarchy; Exit() once. Each names the css that the one before ended
  // with, and they come one at a time: what they count is right. An exec by a thread that is not
  // the leader is the exit of its tid and a fork of its leader's.
  //
  // In-process tracker, in line: CanFork() may refuse the birth, Fork() comes before the child is
  // visible, Exit() while the task is in its cgroup still. An agreement binds nobody: another may
  // refuse, and then nothing is told; but nothing else is told between CanFork() and its Fork().
  // Kernel tracker, later, from a thread of the tracker: no CanFork(); Fork() with the css the task
  // has when it is told, or had if it is gone. Who lived for a moment only is told of all the same,
  // unless so much happened at once that some was lost: then only who is there still.
  virtual bool WantsForks() const { return false; }
  virtual Result<void> CanFork(Css& /*css*/, Tid /*parent*/) { return {}; }
  virtual void Fork(Css& /*css*/, Tid /*task*/) {}
  virtual void Exit(Css& /*css*/, Tid /*task*/) {}
};

}  // namespace corral

#endif  // CORRAL_SUBSYSTEM_H_
