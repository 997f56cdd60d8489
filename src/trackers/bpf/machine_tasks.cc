#include "trackers/bpf/machine_tasks.h"

#include <chrono>
#include <iterator>
#include <set>
#include <thread>
#include <unordered_set>

#include "base/errors.h"
#include "base/log.h"
#include "trackers/bpf/proc_tasks.h"

namespace corral {

// A task inside exec is adopted by the exec hook; if that exec fails, by a later look.
Result<bool> MachineTasks::Seed() {
  constexpr int kTries = 50;
  constexpr int kTriesForHidden = 4;  // who was born between two walks looks hidden, once
  bool complete = false;
  for (int i = 1; i <= kTries; ++i) {
    complete = TRY(SeedOnce());
    if (complete && (!some_are_hidden_ || i >= kTriesForHidden)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  hidden_.insert(hidden_.end(), also_hidden_.begin(), also_hidden_.end());
  TRY(TellHooksOfHidden());
  if (some_are_hidden_) log::Info("the task iterator hides tasks; /proc is asked as well");
  return complete;
}

// Whether every live task has a place now.
Result<bool> MachineTasks::SeedOnce() {
  AdoptUnknown();
  std::unordered_set<std::uint32_t> shown;
  for (const auto& task : programs_.Walk(Walks::kTasks)) shown.insert(task.tid);
  if (shown.empty()) return Fail(ENOTSUP, "the kernel's task iterator shows no task");
  std::set<Tgid> hidden;
  bool complete = true;
  for (const corral_task_record& task : List()) {
    const bool unborn = (task.flags & CORRAL_TASK_NEWBORN) && !corral_word_alive(task.word);
    if (unborn || (task.flags & (CORRAL_TASK_EXITING | CORRAL_TASK_GONE))) continue;
    if (!corral_word_alive(task.word)) complete = false;
    if (!shown.contains(task.tid)) hidden.insert(Tgid{task.tgid});
  }
  some_are_hidden_ = !hidden.empty();
  hidden_.assign(hidden.begin(), hidden.end());
  return complete;
}

// So that what these processes are the reason of is not taken for trouble. More than fit are rare
// enough to be told as misses.
Result<void> MachineTasks::TellHooksOfHidden() const {
  const auto told = TRY(MapArray<corral_hidden>(programs_.Map(TrackerTable::kHidden)));
  for (std::size_t i = 0; i < std::size(told->tgids); ++i) {
    __atomic_store_n(&told->tgids[i], i < hidden_.size() ? hidden_[i].value : 0, __ATOMIC_SEQ_CST);
  }
  return {};
}

std::vector<corral_task_record> MachineTasks::List() const {
  auto tasks = programs_.Walk(Walks::kTasks);
  if (!some_are_hidden_) return tasks;
  std::unordered_set<std::uint32_t> shown;
  for (const corral_task_record& task : tasks) shown.insert(task.tid);
  for (corral_task_record& task : TasksOfProc(shown)) {
    if (task.tid < tables_.tid_capacity) task.word = Load(tables_.words[task.tid]);
    tasks.push_back(task);
  }
  return tasks;
}

// What the iterator shows is adopted by the kernel program itself. For the rest, the look
// at the flags afterwards is ours: a task that began to exit meanwhile may have passed its
// death hook before its word was there.
void MachineTasks::AdoptUnknown() const {
  programs_.Walk(Walks::kAdopt);
  if (!some_are_hidden_) return;
  for (const corral_task_record& task : List()) {
    if (task.flags != 0 || corral_word_alive(task.word)) continue;
    const Tid tid{task.tid};
    if (programs_.Request(CORRAL_OP_ADOPT, tid, task.word, task.tgid) != 0) continue;
    if (StateInProc(task.tgid, task.tid) != 0) {
      programs_.Request(CORRAL_OP_BURY, tid, corral_make_word(task.tgid, CORRAL_SET_INITIAL), 0);
    }
  }
}

}  // namespace corral
