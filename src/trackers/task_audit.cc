#include "trackers/task_audit.h"

#include <chrono>
#include <thread>
#include <unordered_map>
#include <unordered_set>

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
    if (exists || Load(tables_.words[tid.value]) != word) continue;
    const std::uint32_t owner = corral_word_tgid(word);
    if (wordless.contains(owner)) {
      // A thread inside exec: it has its leader's tid already, its word not yet (I6).
      look.unknown.erase(Tid{owner});
      ++look.in_exec;
    } else {
      look.phantoms.emplace(tid, word);
    }
  }
  return look;
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
    std::erase_if(phantoms_, [&](const auto& entry) {
      const auto now = look.phantoms.find(entry.first);
      return now == look.phantoms.end() || now->second != entry.second;
    });
  }

  AuditReport report;
  report.tasks = look.tasks;
  report.tracked = look.tracked;
  report.unsettled = look.in_exec;
  for (const Tid tid : unknown_) {
    report.differences.push_back(fmt::format("task {} is not known", tid.value));
  }
  for (const auto& [tid, word] : phantoms_) {
    report.differences.push_back(fmt::format(
        "task {} does not exist but is in css_set {}", tid.value, corral_word_set(word)));
  }
  return report;
}

}  // namespace corral
