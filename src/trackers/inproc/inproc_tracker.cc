#include "trackers/inproc/inproc_tracker.h"

#include <cstring>
#include <deque>
#include <set>

#include "atomics.h"
#include "base/check.h"
#include "trackers/task_audit.h"

namespace corral {

struct InprocTracker::Storage {
  std::vector<std::uint64_t> words;
  std::vector<std::uint64_t> live;
  std::vector<corral_set_entry> sets;
  std::uint64_t counters[CORRAL_COUNTERS] = {};

  Mutex bells_mu;
  std::deque<corral_bell> bells GUARDED_BY(bells_mu);
  std::size_t bell_capacity = 0;
  std::function<void()> rang;
};

namespace {

// ---- the accessors of task_hooks.h
#define CORRAL_TABLES InprocTracker::Storage

std::uint64_t* corral_word(CORRAL_TABLES* t, corral_u32 tid) {
  return tid < t->words.size() ? &t->words[tid] : nullptr;
}
std::uint64_t* corral_live(CORRAL_TABLES* t, corral_u32 tid) {
  return tid < t->words.size() ? &t->live[tid / 64] : nullptr;
}
corral_set_entry* corral_entry(CORRAL_TABLES* t, corral_u32 set) {
  return set < t->sets.size() ? &t->sets[set] : nullptr;
}
void corral_count(CORRAL_TABLES* t, corral_u32 counter) { CORRAL_ADD(&t->counters[counter], 1u); }
void corral_ring(CORRAL_TABLES* t, corral_u32 kind, corral_u32 id) {
  CORRAL_INTERLEAVE();
  bool full = false;
  {
    MutexLock lock(t->bells_mu);
    full = t->bells.size() >= t->bell_capacity;
    if (!full) t->bells.push_back({kind, id});
  }
  if (full) corral_count(t, CORRAL_MISS_RING_FULL);
  if (t->rang) t->rang();
}

#include "task_hooks.h"

}  // namespace

InprocTracker::InprocTracker(InprocOptions options)
    : storage_(std::make_unique<Storage>()), machine_tasks_(std::move(options.machine_tasks)) {
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

Result<Place> InprocTracker::Describe(Tid tid) const { return DescribeTask(tables_, tid); }

Result<SetCount> InprocTracker::CreateSet(CssSetId set) {
  if (set.value >= tables_.set_capacity) {
    return Fail(ENOSPC, "the css_set table is full ({} entries)", tables_.set_capacity);
  }
  return Count(set);
}

Result<void> InprocTracker::Move(Tid tid, Place expected, CssSetId to) {
  std::uint64_t seen = 0;
  const int error = corral_move(storage_.get(), tid.value, WordOf(expected), to.value, &seen);
  if (error != 0) return Fail(-error, "task {} is not where it was", tid.value);
  return {};
}

SetCount InprocTracker::Count(CssSetId set) const { return CountOf(tables_, set); }

void InprocTracker::ForEachTask(const std::function<void(Tid, Place)>& fn) const {
  for (const auto& [tid, word] : LiveWords(tables_)) fn(tid, PlaceOf(word));
}

void InprocTracker::RetireSet(CssSetId set) { TakePending(tables_, set); }

std::vector<Leaver> InprocTracker::Leavers() {
  MutexLock lock(leaving_mu_);
  std::vector<Leaver> leavers;
  for (const Tid tid : leaving_) {
    // The dead word says what was left; after a failed exec only a burial lets it say so.
    const std::uint64_t word = Load(tables_.words[tid.value]);
    const CssSetId left = PlaceOf(word).set;
    if (!corral_word_alive(word) && left > kInitialSet) leavers.push_back({tid, left});
  }
  return leavers;
}

void InprocTracker::Drain(Listener& listener) {
  std::deque<corral_bell> bells;
  {
    MutexLock lock(storage_->bells_mu);
    bells.swap(storage_->bells);
  }
  bool resync = false;
  for (const corral_bell& bell : bells) {
    if (bell.kind == CORRAL_BELL_RESYNC) {
      resync = true;
    } else if (TakePending(tables_, CssSetId{bell.id})) {
      listener.SetMayBeEmpty(CssSetId{bell.id});
    }
  }
  const MissCounts now = misses();
  if (now != seen_) {
    seen_ = now;
    resync = true;
    for (std::uint32_t set = CORRAL_SET_FIRST; set < tables_.set_capacity; ++set) {
      if (TakePending(tables_, CssSetId{set})) listener.SetMayBeEmpty(CssSetId{set});
    }
  }
  if (resync) listener.ResyncNeeded();
}

AuditReport InprocTracker::Audit() { return Compare(false); }
AuditReport InprocTracker::Resync() {
  AuditReport report = Compare(true);
  if (listener_) CatchUp();
  return report;
}

AuditReport InprocTracker::Compare(bool repair) {
  AuditReport report;
  if (machine_tasks_) {
    TaskAudit audit(tables_, [this] { return MachineTasks(); });
    report = audit.Run();
    if (repair) {
      const std::uint64_t buried = audit.Bury(
          [this](Tid tid, Tgid tgid) {
            const auto tasks = machine_tasks_();
            const auto task = tasks.find(tid);
            return task == tasks.end() || task->second != tgid;
          },
          [this](Tid tid, std::uint64_t word) {
            std::uint64_t seen = 0;
            return corral_bury(storage_.get(), tid.value, word, &seen) == 0;
          });
      report.repaired += buried;
      report.unsettled += audit.phantoms().size() - buried;  // a mover was faster: once more
      std::set<Tid> unknown = audit.unknown();
      for (const auto& [tid, word] : audit.phantoms()) {
        unknown.insert(tid);  // it may sit on the tid of a task that lives
      }
      if (!unknown.empty()) report.repaired += Adopt(unknown);
    }
  }
  if (repair) return report;
  for (std::string& difference : AuditCounts(tables_, 20)) {
    report.differences.push_back(std::move(difference));
  }
  return report;
}

std::vector<corral_task_record> InprocTracker::MachineTasks() const {
  std::vector<corral_task_record> records;
  const auto tasks = machine_tasks_();
  MutexLock lock(leaving_mu_);
  for (const auto& [tid, tgid] : tasks) {
    const bool known = tid.value < tables_.tid_capacity;
    const bool leaving = leaving_.contains(tid);
    records.push_back({.tid = tid.value,
                       .tgid = tgid.value,
                       .word = known ? Load(tables_.words[tid.value]) : 0,
                       .flags = leaving ? std::uint32_t{CORRAL_TASK_EXITING} : 0});
  }
  return records;
}

// As the seeding does it (docs/concurrency.md, 6.1): adopt, look whether it still exists, and
// undo if not, for then its death was told before we gave it a word.
std::uint64_t InprocTracker::Adopt(const std::set<Tid>& tids) {
  std::map<Tid, std::uint64_t> adopted;
  for (const corral_task_record& task : MachineTasks()) {
    if (!tids.contains(Tid{task.tid}) || corral_word_alive(task.word)) continue;
    if (task.flags != 0) continue;  // on its way out: its dead word says what it left
    std::uint64_t* word = corral_word(storage_.get(), task.tid);
    if (!word) continue;
    corral_adopt(storage_.get(), word, task.word, task.tid, task.tgid);
    adopted.emplace(Tid{task.tid}, corral_make_word(task.tgid, CORRAL_SET_INITIAL));
  }
  if (adopted.empty()) return 0;
  std::uint64_t stayed = 0;
  const std::map<Tid, Tgid> tasks = machine_tasks_();
  for (const auto& [tid, word] : adopted) {
    const auto task = tasks.find(tid);
    if (task != tasks.end() && task->second == PlaceOf(word).tgid) {
      ++stayed;
    } else {
      std::uint64_t seen = 0;
      corral_bury(storage_.get(), tid.value, word, &seen);
    }
  }
  return stayed;
}

MissCounts InprocTracker::misses() const { return MissesOf(tables_); }

}  // namespace corral
