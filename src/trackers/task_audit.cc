#include "trackers/task_audit.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace corral {

TaskAudit::Look TaskAudit::LookOnce() const {
  Look look;
  // Words before tasks: a word of a task that dies in between is dead when read again.
  const auto words = LiveWords(tables_);
  std::unordered_map<std::uint32_t, corral_task_record> tasks;
  std::unordered_set<std::uint32_t> wordless;  // processes whose leader has no live word
  for (const corral_task_record& task : walk_()) {
    tasks.emplace(task.tid, task);
    if (task.flags & (CORRAL_TASK_EXITING | CORRAL_TASK_GONE)) continue;
    if ((task.flags & CORRAL_TASK_NEWBORN) && !corral_word_alive(task.word)) continue;
    ++look.tasks;
    if (corral_word_tgid(task.word) == task.tgid) {
      ++look.tracked;
    } else if (!corral_word_alive(task.word)) {
      look.unknown.insert(Tid{task.tid});
      if (task.tid == task.tgid) wordless.insert(task.tid);
    }
  }
  for (const auto& [tid, word] : words) {
    const auto task = tasks.find(tid.value);
    const bool exists = task != tasks.end() && task->second.tgid == corral_word_tgid(word) &&
                        !(task->second.flags & CORRAL_TASK_GONE);
    // On its way out, perhaps past its death hook, and the word was handed over after that
    // (docs/concurrency.md, 5.4): whether it is a phantom shows when the task is gone.
    const bool leaving = exists && (task->second.flags & CORRAL_TASK_EXITING);
    if (leaving && corral_word_alive(Load(tables_.words[tid.value]))) ++look.unsettled;
    const std::uint64_t now = Load(tables_.words[tid.value]);
    const std::uint32_t owner = corral_word_tgid(word);
    if (exists || corral_word_tgid(now) != owner) continue;
    if (wordless.contains(owner)) {
      // A thread inside exec: it has its leader's tid already, its word not yet (I6).
      look.unknown.erase(Tid{owner});
      ++look.unsettled;
    } else {
      look.phantoms.emplace(tid, now);
    }
  }
  return look;
}

std::uint64_t TaskAudit::Bury(const std::function<bool(Tid, Tgid)>& gone,
                              const std::function<bool(Tid, std::uint64_t)>& bury) const {
  constexpr int kTries = 10;  // each needs a mover between our two steps
  std::uint64_t buried = 0;
  for (const auto& [tid, phantom] : phantoms_) {
    for (int i = 0; i < kTries; ++i) {
      const std::uint64_t word = Load(tables_.words[tid.value]);
      const Tgid tgid = PlaceOf(phantom).tgid;
      if (PlaceOf(word).tgid != tgid || !gone(tid, tgid)) break;
      if (bury(tid, word)) {
        ++buried;
        break;
      }
    }
  }
  return buried;
}

AuditReport TaskAudit::Run() {
  constexpr int kLooks = 6;
  Look look = LookOnce();
  unknown_ = look.unknown;
  phantoms_ = look.phantoms;
  auto pause = std::chrono::milliseconds(1);
  for (int i = 1; i < kLooks && !(unknown_.empty() && phantoms_.empty()); ++i, pause *= 3) {
    std::this_thread::sleep_for(pause);
    look = LookOnce();
    std::erase_if(unknown_, [&](Tid tid) { return !look.unknown.contains(tid); });
    // The same process's word, wherever it was moved meanwhile: a word without a task can be
    // moved about like any other, and must not escape by that.
    std::map<Tid, std::uint64_t> still;
    for (const auto& [tid, before] : phantoms_) {
      const auto now = look.phantoms.find(tid);
      if (now == look.phantoms.end()) continue;
      if (corral_word_tgid(now->second) == corral_word_tgid(before)) still.insert(*now);
    }
    phantoms_ = std::move(still);
  }

  AuditReport report;
  report.tasks = look.tasks;
  report.tracked = look.tracked;
  report.unsettled = look.unsettled;
  for (const Tid tid : unknown_) {
    report.differences.push_back(
        tid.value < tables_.tid_capacity
            ? fmt::format("task {} is not known", tid.value)
            : fmt::format("task {} is beyond the table of {} tids: kernel.pid_max was raised after "
                          "corrald started, restart it",
                          tid.value, tables_.tid_capacity));
  }
  for (const auto& [tid, word] : phantoms_) {
    const Tgid owner = PlaceOf(word).tgid;
    if (std::ranges::find(unheard_, owner) != unheard_.end()) {
      ++report.unsettled;
      continue;
    }
    report.differences.push_back(
        fmt::format("task {} does not exist but is in css_set {}, in process {}", tid.value,
                    corral_word_set(word), owner.value));
  }
  return report;
}

}  // namespace corral
