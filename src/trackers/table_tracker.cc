#include "trackers/table_tracker.h"

#include <utility>

namespace corral {

Result<SetCount> TableTracker::CreateSet(CssSetId set) {
  if (set.value >= tables_.set_capacity) {
    return Fail(ENOSPC, "the css_set table is full ({} entries)", tables_.set_capacity);
  }
  if (set.value > highest_set_) highest_set_ = set.value;
  return Count(set);
}

Result<void> TableTracker::Move(Tid tid, Place expected, CssSetId to) {
  const int error = MoveWord(tid, WordOf(expected), to);
  if (error != 0) return Fail(-error, "task {} is not where it was", tid.value);
  return {};
}

void TableTracker::ForEachTask(const std::function<void(Tid, Place)>& fn) const {
  for (const auto& [tid, word] : LiveWords(tables_)) fn(tid, PlaceOf(word));
}

void TableTracker::Drain(Listener& listener) {
  bool resync = false;
  for (const corral_bell& bell : TakeBells()) {
    if (bell.kind == CORRAL_BELL_RESYNC) {
      resync = true;
    } else if (TakePending(tables_, CssSetId{bell.id})) {
      listener.SetMayBeEmpty(CssSetId{bell.id});
    }
  }
  const MissCounts now = misses();
  if (now.bells != seen_.bells) {  // a set that did not get its bell through is marked all the same
    for (std::uint32_t set = CORRAL_SET_FIRST; set <= highest_set_; ++set) {
      if (TakePending(tables_, CssSetId{set})) listener.SetMayBeEmpty(CssSetId{set});
    }
  }
  if (TellMisses(seen_, now)) resync = true;
  seen_ = now;
  if (resync) listener.ResyncNeeded();
}

AuditReport TableTracker::Audit() {
  constexpr int kPatienceMs = 50;
  AuditReport report;
  if (KnowsTasks()) {
    report = TaskAudit(
                 tables_, [this] { return ListTasks(); }, Unheard())
                 .Run();
  }
  Tables used = tables_;
  used.set_capacity = highest_set_ + 1;
  for (std::string& difference : AuditCounts(used, kPatienceMs)) {
    report.differences.push_back(std::move(difference));
  }
  return report;
}

AuditReport TableTracker::Resync() {
  if (!KnowsTasks()) return {};
  TaskAudit audit(tables_, [this] { return ListTasks(); });
  AuditReport report = audit.Run();
  const std::uint64_t buried =
      audit.Bury([this](Tid tid, Tgid tgid) { return IsGone(tid, tgid); },
                 [this](Tid tid, std::uint64_t word) { return BuryWord(tid, word) == 0; });
  report.repaired += buried;
  report.unsettled += audit.phantoms().size() - buried;  // a mover was faster: once more
  // After burying: a phantom may sit on the tid of a task that lives.
  if (!audit.unknown().empty() || !audit.phantoms().empty()) {
    report.repaired += AdoptUnknown(audit);
  }
  return report;
}

}  // namespace corral
