#include "trackers/bpf/bpf_tracker.h"

#include <bpf/libbpf.h>

#include <utility>

#include "base/errors.h"
#include "base/log.h"
#include "trackers/bpf/kernel_support.h"
#include "trackers/bpf/proc_tasks.h"
#include "trackers/bpf/task_feed.h"
#include "trackers/bpf/task_limiter.h"

namespace corral {

Result<std::unique_ptr<BpfTracker>> BpfTracker::Create(BpfOptions options,
                                                       std::optional<Pins> pins) {
  TRY(CheckKernel());
  auto programs =
      TRY(TrackerPrograms::Load({.sets = options.sets, .tids = options.tids}, std::move(pins)));
  std::unique_ptr<BpfTracker> tracker(new BpfTracker(std::move(programs), std::move(options)));
  TRY(tracker->doorbell_.Open(tracker->programs_->Map(TrackerTable::kDoorbell)));
  TRY(tracker->MapTables());
  TRY(tracker->Begin());
  return tracker;
}

BpfTracker::BpfTracker(std::unique_ptr<TrackerPrograms> programs, BpfOptions options)
    : programs_(std::move(programs)),
      feed_bytes_(options.feed_bytes),
      tasks_(*programs_, tables_, std::move(options.also_hidden)) {}

BpfTracker::~BpfTracker() {
  feed_.reset();
  limiter_.reset();
}

Result<void> BpfTracker::MapTables() {
  // Words are read only: every change goes through the hooks or the control program.
  words_ = TRY(MapArray<const std::uint64_t>(programs_->Map(TrackerTable::kWords)));
  live_ = TRY(MapArray<const std::uint64_t>(programs_->Map(TrackerTable::kLive)));
  counters_ = TRY(MapArray<const std::uint64_t>(programs_->Map(TrackerTable::kCounters)));
  sets_ = TRY(MapArray<corral_set_entry>(programs_->Map(TrackerTable::kSets)));
  tables_ = {.words = words_.get(),
             .live = live_.get(),
             .sets = sets_.get(),
             .counters = counters_.get(),
             .tid_capacity = bpf_map__max_entries(programs_->Map(TrackerTable::kWords)),
             .set_capacity = bpf_map__max_entries(programs_->Map(TrackerTable::kSets))};
  return {};
}

// The hooks are attached: every task born from now on is known, the others are now.
Result<void> BpfTracker::Begin() {
  seed_incomplete_ = !TRY(tasks_.Seed());
  if (programs_->taken_over()) {
    // Told by whoever was here before; what was missed since, the resync below finds.
    ForgetMisses();
  } else {
    // What died or forked before it was known is no miss.
    doorbell_.Take();
    programs_->set_at_start(AllMisses());
  }
  TableTracker::Resync();  // an exec that crossed the seeding
  return {};
}

bool BpfTracker::HasPlacedTasks() const {
  for (std::uint32_t set = CORRAL_SET_FIRST; set < tables_.set_capacity; ++set) {
    if (Count(CssSetId{set}).count != 0) return true;
  }
  return false;
}

int BpfTracker::words_fd() const { return bpf_map__fd(programs_->Map(TrackerTable::kWords)); }

// ---- words, bells and tasks, as TableTracker asks for them

int BpfTracker::MoveWord(Tid tid, std::uint64_t word, CssSetId to) {
  return programs_->Request(CORRAL_OP_MOVE, tid, word, to.value);
}

int BpfTracker::BuryWord(Tid tid, std::uint64_t word) {
  return programs_->Request(CORRAL_OP_BURY, tid, word, 0);
}

std::vector<corral_bell> BpfTracker::TakeBells() {
  auto bells = doorbell_.Take();
  if (std::exchange(seed_incomplete_, false)) bells.push_back({CORRAL_BELL_RESYNC, 0});
  return bells;
}

bool BpfTracker::TellMisses(const MissCounts& before, const MissCounts& now) {
  return doorbell_.TellMisses(before, now, tid_capacity());
}

bool BpfTracker::IsGone(Tid tid, Tgid tgid) const {
  return StateInProc(tgid.value, tid.value) & CORRAL_TASK_GONE;
}

std::uint64_t BpfTracker::AdoptUnknown(const TaskAudit& audit) {
  tasks_.AdoptUnknown();
  std::uint64_t adopted = 0;
  for (const Tid tid : audit.unknown()) adopted += Describe(tid).has_value() ? 1 : 0;
  return adopted;
}

std::vector<Leaver> BpfTracker::Leavers() {
  std::vector<Leaver> leavers;
  for (const auto& task : programs_->Walk(Walks::kLeavers)) {
    leavers.push_back({Tid{task.tid}, CssSetId{corral_word_set(task.word)}});
  }
  return leavers;
}

AuditReport BpfTracker::Resync() {
  AuditReport report = TableTracker::Resync();
  if (const auto feed = Feed()) feed->LookAgain();
  return report;
}

MissCounts BpfTracker::AllMisses() const {
  MissCounts misses = MissesOf(tables_);
  misses.recursion += programs_->SkippedHooks();
  return misses;
}

MissCounts BpfTracker::misses() const {
  MissCounts misses = AllMisses() - programs_->at_start();
  // A thread of a hidden process ends unheard, and a birth finds its word when it gets the tid.
  // Whose word it was, nobody can say any more.
  if (tasks_.some_are_hidden()) misses.hidden += std::exchange(misses.displaced, 0);
  return misses;
}

// ---- who is told of births and deaths

Result<void> BpfTracker::Listen(TaskListener* listener) {
  std::shared_ptr<TaskFeed> feed;
  if (listener) {
    auto made = TRY(TaskFeed::Create(
        words_fd(), tables_, [this] { return tasks_.List(); }, feed_bytes_, *listener));
    feed = std::move(made);
  }
  MutexLock lock(parts_mu_);
  feed_.swap(feed);
  return {};
}

std::shared_ptr<TaskFeed> BpfTracker::Feed() const {
  MutexLock lock(parts_mu_);
  return feed_;
}

std::unique_ptr<Tracker::Standstill> BpfTracker::HoldTasks() {
  class Held final : public Standstill {
   public:
    explicit Held(std::shared_ptr<TaskFeed> feed) NO_THREAD_SAFETY_ANALYSIS
        : feed_(std::move(feed)) {
      feed_->mu().Lock();
    }
    ~Held() override NO_THREAD_SAFETY_ANALYSIS { feed_->mu().Unlock(); }

   private:
    const std::shared_ptr<TaskFeed> feed_;
  };
  auto feed = Feed();
  if (!feed) return nullptr;
  return std::make_unique<Held>(std::move(feed));
}

// ---- limits of births

Result<void> BpfTracker::LimitTasks(const TaskLimits& limits) {
  auto limiter = Limiter();
  if (!limiter) {
    if (limits.limits.empty()) return {};
    auto made = TaskLimiter::Create(words_fd(), bpf_map__fd(programs_->Map(TrackerTable::kSets)),
                                    tables_.set_capacity);
    MutexLock lock(parts_mu_);
    const bool cannot = !made && made.error().code == ENOTSUP;
    if (std::exchange(cannot_limit_, cannot) != cannot && cannot) {
      log::Warn("{}", made.error().message);
    }
    if (!made) return Fail(made.error());
    limiter = limiter_ = std::move(*made);
  }
  return limiter->Set(limits);
}

std::string_view BpfTracker::births_beyond_limits() const {
  MutexLock lock(parts_mu_);
  if (cannot_limit_) return "allowed";
  if (!limiter_) return "";
  return limiter_->control() == BirthControl::kRefuses ? "refused" : "killed";
}

std::uint64_t BpfTracker::RefusedBirths(std::uint32_t number) const {
  const auto limiter = Limiter();
  return limiter ? limiter->Refused(number) : 0;
}

Result<std::vector<Tid>> BpfTracker::BirthsNotLetIn() const {
  const auto limiter = Limiter();
  return limiter ? limiter->NotLetIn() : std::vector<Tid>();
}

std::uint64_t BpfTracker::births_let_through() const {
  const auto limiter = Limiter();
  return limiter ? limiter->LetThrough() : 0;
}

std::shared_ptr<TaskLimiter> BpfTracker::Limiter() const {
  MutexLock lock(parts_mu_);
  return limiter_;
}

}  // namespace corral
