// What TableTracker asks the in-process tracker: words, bells, tasks.
#include <map>
#include <set>
#include <utility>

#include "trackers/inproc/inproc_tracker.h"
#include "trackers/inproc/plain_tables.h"

namespace corral {

int InprocTracker::MoveWord(Tid tid, std::uint64_t word, CssSetId to) {
  std::uint64_t seen = 0;
  return corral_move(storage_.get(), tid.value, word, to.value, &seen);
}

int InprocTracker::BuryWord(Tid tid, std::uint64_t word) {
  std::uint64_t seen = 0;
  return corral_bury(storage_.get(), tid.value, word, &seen);
}

std::vector<corral_bell> InprocTracker::TakeBells() {
  MutexLock lock(storage_->bells_mu);
  return std::exchange(storage_->bells, {});
}

bool InprocTracker::IsGone(Tid tid, Tgid tgid) const {
  const auto tasks = machine_tasks_();
  const auto task = tasks.find(tid);
  return task == tasks.end() || task->second != tgid;
}

std::vector<corral_task_record> InprocTracker::ListTasks() const {
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
std::uint64_t InprocTracker::AdoptUnknown(const TaskAudit& audit) {
  std::set<Tid> tids = audit.unknown();
  for (const auto& [tid, word] : audit.phantoms()) tids.insert(tid);
  std::map<Tid, std::uint64_t> adopted;
  for (const corral_task_record& task : ListTasks()) {
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
      BuryWord(tid, word);
    }
  }
  return stayed;
}

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

}  // namespace corral
