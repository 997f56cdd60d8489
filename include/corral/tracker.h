// Tracker: the wall between grouping and the machine.
//
// A tracker knows tasks and css_set numbers and nothing of cgroups. Below it: where a
// task's word lives, how a fork copies it, how a death is noticed. Above it: who may be
// moved where, what a css_set means, when a group is released.
//
// Two trackers exist: `bpf` (the kernel's hooks keep the words) and `inproc` (the
// program tells it of births and deaths). Both run the code of bpf/task_hooks.h and
// pass the same contract tests. I1 to I8 below are the invariants of docs/concurrency.md.
//
// All methods may be called from any thread. Moves and repairs must be serialised by the
// caller (the core does it with its tree lock); births, execs and deaths need no lock.
//
//   auto place = tracker.Describe(tid);                      // {tgid, css_set}
//   tracker.CreateSet(CssSetId{7});
//   tracker.Move(tid, *place, CssSetId{7});                  // or ESRCH, EAGAIN
//   tracker.Count(CssSetId{7}).count;                        // 1
#ifndef CORRAL_TRACKER_H_
#define CORRAL_TRACKER_H_

#include <corral/ids.h>
#include <corral/result.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

// Where a task is: its process and its css_set, one atomic word.
struct Place {
  Tgid tgid;
  CssSetId set;
  bool operator==(const Place&) const = default;
};

// A css_set's counter, both halves read at one instant.
struct SetCount {
  std::uint32_t count = 0;   // never less than the live tasks in it (I2)
  std::uint32_t leaves = 0;  // tasks that ever left, modulo 2^32 (I7)
  bool operator==(const SetCount&) const = default;
};

// A task that has left its css_set by exiting but still holds memory, files or its
// working directory. Nobody is told "empty" before it has let go of them.
struct Leaver {
  Tid tid;
  CssSetId set;
};

// A task in what a TaskListener is told. `start` tells it from others that have its tid before or
// after it (the in-process tracker: always 0); a half that is 0 is not known and fits any.
struct TaskName {
  Tid tid;
  Tgid tgid;
  std::uint64_t start = 0;
};

struct ExistingTask {
  TaskName name;
  CssSetId set;
};

// Who hears of each birth and death. A tracker makes its calls one at a time, under a
// lock that HoldTasks() takes, too: nobody is moved from one call to the other that belongs to it.
// It must ignore what it is told twice. A call must not call the tracker.
//
// In line (`inproc`): CanFork, Forked, then the child's word is published; Exited, then the word
// is cleared. Later (`bpf`): no CanFork; see bpf_tracker.h.
class TaskListener {
 public:
  virtual ~TaskListener() = default;
  // `parent`, in `set`, is about to fork. A failure is what its fork returns.
  virtual Result<void> CanFork(Tid parent, CssSetId set) = 0;
  virtual void Forked(const TaskName& task, CssSetId set) = 0;
  virtual void Exited(const TaskName& task) = 0;
  // These are all there are now: whoever was told of and is not among them is gone.
  virtual void Existing(const std::vector<ExistingTask>& all) = 0;
};

// At most `max` live tasks in `sets[first..end)` of TaskLimits together, for births.
struct TaskLimit {
  std::uint64_t max = 0;
  std::uint32_t number = 0;  // its refusals are counted under this; below set_capacity()
  std::uint32_t outer = 0;   // 1 + index of the limit it is inside; 0: none
  std::uint32_t first = 0;
  std::uint32_t end = 0;
};

// A forest of limits, outer before inner, so that what is in a limit is one piece of `sets`.
struct TaskLimits {
  struct LimitedSet {
    CssSetId set;
    std::uint32_t innermost = 0;  // 1 + index of its limit
  };
  std::vector<TaskLimit> limits;
  std::vector<LimitedSet> sets;
};

// What a comparison of words and counters with the machine's tasks found (I8).
struct AuditReport {
  std::uint64_t tasks = 0;               // live tasks the machine has
  std::uint64_t tracked = 0;             // of those, with a live word
  std::vector<std::string> differences;  // one sentence each; empty when all is well
  std::uint64_t repaired = 0;            // differences that were mended (Resync only)
  std::uint64_t unsettled = 0;           // tasks inside exec or on their way out: look again later
};

// What hooks could not do by themselves since the tracker started. What comes of processes that the
// kernel hides from its tracing is in `hidden` alone: it is expected there.
struct MissCounts {
  std::uint64_t bells = 0;           // doorbell full; nothing lost, everything is scanned
  std::uint64_t out_of_table = 0;    // tid or css_set beyond its table
  std::uint64_t unknown_deaths = 0;  // a task died that was not known
  std::uint64_t adopted = 0;         // a live task was met that was not known
  std::uint64_t displaced = 0;       // a birth found a live word nobody claimed
  std::uint64_t retries = 0;         // a bounded loop ran out
  std::uint64_t recursion = 0;       // a hook was skipped by the kernel
  std::uint64_t hidden = 0;          // of these, by children and threads of hidden processes
  bool operator==(const MissCounts&) const = default;
  MissCounts operator-(const MissCounts& earlier) const {
    // What is hidden is taken off, and may be counted a moment after what it is taken off.
    const auto less = [](std::uint64_t now, std::uint64_t then) {
      return now - std::min(now, then);
    };
    return {.bells = bells - earlier.bells,
            .out_of_table = out_of_table - earlier.out_of_table,
            .unknown_deaths = less(unknown_deaths, earlier.unknown_deaths),
            .adopted = less(adopted, earlier.adopted),
            .displaced = less(displaced, earlier.displaced),
            .retries = retries - earlier.retries,
            .recursion = recursion - earlier.recursion,
            .hidden = hidden - earlier.hidden};
  }
  // Those that should be 0. A full doorbell loses nothing, and what is hidden is expected.
  std::uint64_t unexpected() const {
    return out_of_table + unknown_deaths + adopted + displaced + retries + recursion;
  }
};

class Tracker {
 public:
  // Hints from below. Called by the thread that calls Drain(), with no lock held.
  class Listener {
   public:
    virtual ~Listener() = default;
    // The count of `set` reached 0, or may have: look.
    virtual void SetMayBeEmpty(CssSetId set) = 0;
    // Something could not be accounted for: call Resync() soon.
    virtual void ResyncNeeded() = 0;
  };

  virtual ~Tracker() = default;

  virtual std::string_view name() const = 0;

  // One more than the highest css_set id.
  virtual std::uint32_t set_capacity() const = 0;

  // Where `tid` is. ESRCH: no live task (zombies and exiting tasks are not live).
  virtual Result<Place> Describe(Tid tid) const = 0;

  // Makes `set` usable as the target of moves. Returns its counter as it stands: an id
  // that was used before keeps its leaves.
  virtual Result<SetCount> CreateSet(CssSetId set) = 0;

  // Moves `tid` from `expected` to `to`, or changes nothing: ESRCH when it is no longer
  // that task, EAGAIN when it is somewhere else by now (describe again and decide again).
  // A move to where it is succeeds and counts as no leave.
  // REQUIRES: CreateSet(to) succeeded and `to` is not retired.
  virtual Result<void> Move(Tid tid, Place expected, CssSetId to) = 0;

  virtual SetCount Count(CssSetId set) const = 0;

  // Calls fn for every live task, tids ascending. A task that lives through the whole call
  // is seen once (one inside exec: under its old tid or not at all); one that begins or
  // ends meanwhile may be seen or not.
  virtual void ForEachTask(const std::function<void(Tid, Place)>& fn) const = 0;

  // From now on `listener` is told of births and deaths, beginning with all tasks there are
  // (Existing). Null: nobody; nothing is told any more once this returns. Without a listener
  // births and deaths pay nothing for it.
  virtual Result<void> Listen(TaskListener* listener) = 0;

  // As long as the answer lives no call of the listener is made, and where they are made in line
  // nobody is born, execs or dies. For a move, from before the task is described until the
  // listener's owner knows of it. Null without a listener. May be held by one thread once.
  class Standstill {
   public:
    virtual ~Standstill() = default;
  };
  virtual std::unique_ptr<Standstill> HoldTasks() { return nullptr; }

  // From here on births are kept within these limits instead of earlier ones; without any, births
  // pay nothing for it. A birth beyond a limit fails with EAGAIN, or its newborn is killed before
  // its first instruction. Counts are read when a task is born, so none can be off by one for good
  // (docs/concurrency.md, 17.6). ENOTSUP: this tracker cannot, and subsystems are to refuse in
  // CanFork or not at all; ENOSPC: more than it has room for; then what there was before holds.
  virtual Result<void> LimitTasks(const TaskLimits& /*limits*/) {
    return Fail(ENOTSUP, "births are not limited here");
  }
  // Births that the limit of this number has stopped, ever.
  virtual std::uint64_t RefusedBirths(std::uint32_t /*number*/) const { return 0; }
  // Newborns that no limit has let in: stopped before their first instruction and not gone yet, or
  // not judged yet. They are tasks, listed and counted (I2), and will never run, or have not.
  // Whoever was listed before this call and is not in the answer was let in. Empty without limits.
  virtual Result<std::vector<Tid>> BirthsNotLetIn() const { return std::vector<Tid>(); }

  // The id may be given to CreateSet again.
  // REQUIRES: Count(set).count == 0, no leaver in it, and nobody will move a task to it.
  virtual void RetireSet(CssSetId set) = 0;

  // All tasks that have left a counted css_set by exiting and are not through yet. A task
  // whose count was gone before this call and which is not in the answer is through.
  virtual std::vector<Leaver> Leavers() = 0;

  // Readable when Drain() has something to say. Owned by the tracker; -1 when there is
  // none (then call Drain() after whatever may have emptied a set).
  virtual int bell_fd() const = 0;

  // Takes all pending hints and passes them on. Never blocks. One thread at a time.
  virtual void Drain(Listener& listener) = 0;

  // Compares words and counters with the machine's tasks; changes nothing. Differences that
  // are merely under way (a fork, an exec, a death in progress) are looked at again and
  // not reported.
  virtual AuditReport Audit() = 0;

  // Like Audit, and mends what it can: unknown tasks are put in the initial set, words
  // without a task are buried with a leave.
  virtual AuditReport Resync() = 0;

  virtual MissCounts misses() const = 0;
};

}  // namespace corral

#endif  // CORRAL_TRACKER_H_
