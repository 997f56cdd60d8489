#include "trackers/inproc/inproc_tracker.h"

#include "base/check.h"
#include "trackers/inproc/plain_tables.h"

namespace corral {

InprocTracker::InprocTracker(InprocOptions options)
    : storage_(std::make_unique<PlainTables>()), machine_tasks_(std::move(options.machine_tasks)) {
  const std::uint32_t tids = (options.tids + 63) / 64 * 64;
  storage_->words.resize(tids);
  storage_->live.resize(tids / 64);
  storage_->sets.resize(options.sets);
  storage_->bell_capacity = options.bells;
  storage_->rang = std::move(options.rang);
  tables_ = {.words = storage_->words.data(),
             .live = storage_->live.data(),
             .sets = storage_->sets.data(),
             .counters = storage_->counters,
             .tid_capacity = tids,
             .set_capacity = options.sets};
}

InprocTracker::~InprocTracker() = default;

void InprocTracker::Start(Tid tid, Tgid tgid) {
  CORRAL_CHECK(tid.value < tables_.tid_capacity && tgid.value != 0);
  corral_mark_live(storage_.get(), tid.value);
  __atomic_store_n(&storage_->words[tid.value], corral_make_word(tgid.value, CORRAL_SET_INITIAL),
                   __ATOMIC_SEQ_CST);
  if (listener_) CatchUp();
}

Tgid InprocTracker::ProcessOf(Tid tid) const {
  const auto place = Describe(tid);
  return place ? place->tgid : Tgid{tid.value};
}

// ---- births, execs and deaths. Without a listener they look for one before and after, and that
// is all; the second look finds a listener that came meanwhile, and whose first list may have
// missed this very task (docs/concurrency.md, 17.1).

void InprocTracker::Bear(Tid parent, Tid child, Tgid child_tgid) {
  corral_birth(storage_.get(), parent.value, ProcessOf(parent).value, child.value,
               child_tgid.value);
}

Result<void> InprocTracker::Birth(Tid parent, Tid child, Tgid child_tgid) {
  if (!listener_) {
    Bear(parent, child, child_tgid);
    if (listener_) CatchUp();
    return {};
  }
  MutexLock lock(feed_mu_);
  TaskListener* const listener = listener_;
  if (!listener || child.value >= tables_.tid_capacity) {  // gone meanwhile; never to be tracked
    Bear(parent, child, child_tgid);
    return {};
  }
  const CssSetId set = Describe(parent).value_or(Place{{}, kInitialSet}).set;
  if (auto agreed = listener->CanFork(parent, set); !agreed) return agreed;
  // Somebody inside exec has given up this tid and not taken its new one yet (I6).
  const auto in_exec = Describe(child);
  if (in_exec) listener->Exited({child, in_exec->tgid});
  listener->Forked({child, child_tgid}, set);
  Bear(parent, child, child_tgid);
  if (in_exec) TellState(Tid{in_exec->tgid.value}, *listener);
  TellState(parent, *listener);  // one that was not known is by now
  return {};
}

void InprocTracker::Exec(Tid old_tid, Tid tid) {
  const auto exec = [&] { corral_exec(storage_.get(), old_tid.value, tid.value, tid.value); };
  if (!listener_) {
    exec();
    if (listener_) CatchUp();
    return;
  }
  MutexLock lock(feed_mu_);
  TaskListener* const listener = listener_;
  if (!listener) return exec();
  const auto old = Describe(old_tid);  // another process: a birth took the tid (I6)
  if (old_tid != tid && old && old->tgid.value == tid.value) {
    listener->Exited({old_tid, old->tgid});
  }
  exec();
  TellState(tid, *listener);
}

void InprocTracker::Die(Tid tid, bool leaving) {
  if (!leaving) {
    corral_death(storage_.get(), tid.value, ProcessOf(tid).value);
    return;
  }
  MutexLock lock(leaving_mu_);  // Leavers() sees the count and the leaver change as one
  corral_death(storage_.get(), tid.value, ProcessOf(tid).value);
  leaving_.insert(tid);
}

void InprocTracker::End(Tid tid, bool leaving) {
  if (!listener_) {
    Die(tid, leaving);
    if (listener_) CatchUp();
    return;
  }
  MutexLock lock(feed_mu_);
  if (TaskListener* const listener = listener_) listener->Exited({tid, ProcessOf(tid)});
  Die(tid, leaving);
}

void InprocTracker::Death(Tid tid) { End(tid, /*leaving=*/false); }
void InprocTracker::BeginDeath(Tid tid) { End(tid, /*leaving=*/true); }

void InprocTracker::EndDeath(Tid tid) {
  MutexLock lock(leaving_mu_);
  leaving_.erase(tid);
}

// ---- the listener

class InprocTracker::Held final : public Standstill {
 public:
  explicit Held(Mutex& mu) NO_THREAD_SAFETY_ANALYSIS : mu_(mu) { mu_.Lock(); }
  ~Held() override NO_THREAD_SAFETY_ANALYSIS { mu_.Unlock(); }

 private:
  Mutex& mu_;
};

std::unique_ptr<Tracker::Standstill> InprocTracker::HoldTasks() {
  if (!listener_) return nullptr;
  return std::make_unique<Held>(feed_mu_);
}

Result<void> InprocTracker::Listen(TaskListener* listener) {
  MutexLock lock(feed_mu_);
  listener_ = listener;
  TellExisting();
  return {};
}

// What the word of one tid says.
void InprocTracker::TellState(Tid tid, TaskListener& listener) {
  const auto place = Describe(tid);
  if (place) {
    listener.Forked({tid, place->tgid}, place->set);
  } else {
    listener.Exited({tid, {}});
  }
}

void InprocTracker::TellExisting() {
  TaskListener* const listener = listener_;
  if (!listener) return;
  std::vector<ExistingTask> all;
  for (const auto& [tid, word] : LiveWords(tables_)) {
    all.push_back({.name = {tid, PlaceOf(word).tgid}, .set = PlaceOf(word).set});
  }
  listener->Existing(all);
}

void InprocTracker::CatchUp() {
  MutexLock lock(feed_mu_);
  TellExisting();
}

AuditReport InprocTracker::Resync() {
  AuditReport report = TableTracker::Resync();
  if (listener_) CatchUp();
  return report;
}

}  // namespace corral
