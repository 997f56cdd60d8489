// TrackerPrograms: the tracker's hooks, tables and other programs (bpf/tracker.bpf.c) in the
// kernel.
//
// Load() loads and attaches them, or takes over what an earlier daemon left pinned, if it fits.
// With pins they outlive this process; a successor may take them over from CommitPins() on. Without
// pins they go with this object. Owned by a BpfTracker.
//
// Threads: made by one; then any may call Request(), Walk() and what only reads.
//
//   auto programs = TRY(TrackerPrograms::Load(options, Pins::Open(directory)));
//   programs->Request(CORRAL_OP_MOVE, tid, word, set);     // 0, or -ESRCH, -EAGAIN
//   for (const auto& task : programs->Walk(Walks::kTasks)) ...
#ifndef CORRAL_TRACKERS_BPF_TRACKER_PROGRAMS_H_
#define CORRAL_TRACKERS_BPF_TRACKER_PROGRAMS_H_

#include <corral/ids.h>
#include <corral/result.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "shared.h"
#include "trackers/bpf/bpf_object.h"
#include "trackers/bpf/pins.h"

struct tracker_bpf;

namespace corral {

struct TableSizes {
  std::uint32_t sets = 0;
  std::uint32_t tids = 0;  // tids are below this; 0: what the kernel allows
};

// In the order in which they are pinned.
enum class TrackerTable { kWords, kLive, kSets, kCounters, kHidden, kDoorbell };

// Over which tasks the kernel walks.
enum class Walks {
  kTasks,    // all it shows
  kLeavers,  // those that left a css_set by exiting and are not through
  kAdopt,    // all it shows; and those that are not known get a place
};

class TrackerPrograms {
 public:
  // `sizes` is of tables that are made, not of those taken over.
  static Result<std::unique_ptr<TrackerPrograms>> Load(TableSizes sizes, std::optional<Pins> pins);
  ~TrackerPrograms();

  const bpf_map* Map(TrackerTable table) const;

  // One run of the program `control`: 0, or a negative errno.
  int Request(corral_op op, Tid tid, std::uint64_t word, std::uint32_t to) const;

  // "No task" is an answer that empties groups and buries words. So a walk that cannot be made, for
  // lack of descriptors or memory, is waited for, however long.
  std::vector<corral_task_record> Walk(Walks over) const;

  // How often the kernel skipped a hook, since it was attached.
  std::uint64_t SkippedHooks() const;

  // ---- pins
  bool taken_over() const { return taken_over_; }
  // Why what an earlier daemon left was given up; empty: it was not, or nothing was left.
  const std::string& given_up() const { return given_up_; }
  // Empty, or a sentence: what is pinned was removed meanwhile.
  std::string PinsTrouble() const { return pins_ ? pins_->Trouble() : ""; }
  bool pinned() const { return pins_.has_value(); }
  // What is pinned is worth taking over from now on. REQUIRES: pinned().
  Result<void> CommitPins() const { return pins_->WriteStamp(stamp_); }
  void EndPins() const;
  std::uint64_t generation() const { return stamp_.generation; }
  // Misses are counted from here: those at the start of who made the tables.
  const MissCounts& at_start() const { return stamp_.at_start; }
  void set_at_start(const MissCounts& misses) { stamp_.at_start = misses; }

 private:
  explicit TrackerPrograms(std::optional<Pins> pins);
  Result<void> LoadNew(TableSizes sizes);
  Result<void> LoadPinned();
  Result<void> PinAll() const;
  std::array<std::pair<const char*, bpf_map*>, 6> Tables() const;
  int LinkOf(Walks over) const;

  // Constant once it is loaded.
  std::optional<Pins> pins_;
  bool taken_over_ = false;
  std::string given_up_;
  Stamp stamp_;
  Skeleton<tracker_bpf> skeleton_;
  std::vector<Fd> hook_links_;     // those taken over
  std::vector<Fd> hook_programs_;  // whoever loaded them
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_TRACKER_PROGRAMS_H_
