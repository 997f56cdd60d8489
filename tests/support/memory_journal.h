// MemoryJournal: a journal in memory. CrashPoint: the moment at which a process dies: from there
// on journal and tracker stay as they are, whatever the doomed registry still does.
//
//   CrashPoint crash(3);                        // before the fourth step
//   DyingJournal journal(kept, crash);
//   DyingTracker tracker(machine, crash);
#ifndef CORRAL_TESTS_SUPPORT_MEMORY_JOURNAL_H_
#define CORRAL_TESTS_SUPPORT_MEMORY_JOURNAL_H_

#include <corral/tracker.h>

#include <cerrno>
#include <map>
#include <string>

#include "core/journal.h"

namespace corral {

class MemoryJournal final : public Journal {
 public:
  Result<void> Commit(const std::vector<Change>& changes) override {
    if (fail) return Fail(fail, "injected");
    ++commits;
    for (const Change& change : changes) {
      if (change.value) {
        rows[change.key] = *change.value;
      } else {
        rows.erase(change.key);
      }
    }
    return {};
  }
  Result<void> ForEach(const Row& row) const override {
    for (const auto& [key, value] : rows) {
      if (auto ok = row(key, value); !ok) return ok;
    }
    return {};
  }

  std::map<std::string, std::string> rows;
  std::size_t commits = 0;
  int fail = 0;
};

class CrashPoint {
 public:
  explicit CrashPoint(std::size_t steps) : left_(steps) {}
  // Whether the step is still made.
  bool Step() {
    if (left_ == 0) return false;
    --left_;
    return true;
  }
  bool dead() const { return left_ == 0; }

 private:
  std::size_t left_;
};

class DyingJournal final : public Journal {
 public:
  DyingJournal(Journal& real, CrashPoint& crash) : real_(real), crash_(crash) {}
  Result<void> Commit(const std::vector<Change>& changes) override {
    return crash_.Step() ? real_.Commit(changes) : Result<void>();
  }
  Result<void> ForEach(const Row& row) const override { return real_.ForEach(row); }

 private:
  Journal& real_;
  CrashPoint& crash_;
};

class DyingTracker final : public Tracker {
 public:
  DyingTracker(Tracker& real, CrashPoint& crash) : real_(real), crash_(crash) {}

  std::string_view name() const override { return "dying"; }
  std::uint32_t set_capacity() const override { return real_.set_capacity(); }
  Result<Place> Describe(Tid tid) const override { return real_.Describe(tid); }
  Result<SetCount> CreateSet(CssSetId set) override { return real_.CreateSet(set); }
  Result<void> Move(Tid tid, Place expected, CssSetId to) override {
    if (!crash_.Step()) return Fail(EIO, "dead");
    return real_.Move(tid, expected, to);
  }
  SetCount Count(CssSetId set) const override { return real_.Count(set); }
  void ForEachTask(const std::function<void(Tid, Place)>& fn) const override {
    real_.ForEachTask(fn);
  }
  Result<void> Listen(TaskListener* listener) override { return real_.Listen(listener); }
  std::unique_ptr<Standstill> HoldTasks() override { return real_.HoldTasks(); }
  void RetireSet(CssSetId set) override {
    if (crash_.Step()) real_.RetireSet(set);
  }
  std::vector<Leaver> Leavers() override { return real_.Leavers(); }
  int bell_fd() const override { return -1; }
  void Drain(Listener& listener) override {
    if (crash_.Step()) real_.Drain(listener);
  }
  AuditReport Audit() override { return real_.Audit(); }
  AuditReport Resync() override { return real_.Resync(); }
  MissCounts misses() const override { return real_.misses(); }

 private:
  Tracker& real_;
  CrashPoint& crash_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_MEMORY_JOURNAL_H_
