// FaultyTracker: a real tracker whose calls fail when a test says so, and are counted.
//
//   FaultyTracker faulty(tracker);
//   faulty.fail_next_moves = {EAGAIN, ESRCH};      // one after the other, 0: let it pass
//   faulty.before_move = [&](Tid) { ... };         // what happens just before
#ifndef CORRAL_TESTS_SUPPORT_FAULTY_TRACKER_H_
#define CORRAL_TESTS_SUPPORT_FAULTY_TRACKER_H_

#include <corral/tracker.h>

#include <atomic>
#include <deque>
#include <functional>
#include <map>

namespace corral {

class FaultyTracker final : public Tracker {
 public:
  explicit FaultyTracker(Tracker& real) : real_(real) {}

  std::deque<int> fail_next_moves;
  std::deque<int> fail_next_sets;
  std::deque<int> fail_next_listens;
  std::function<void(Tid)> before_move;
  std::function<void(Tid)> after_move;
  // What happens when a pass over the live words begins (the first is 1), and whom it overlooks.
  std::function<void(std::size_t)> before_pass;
  std::function<bool(std::size_t, Tid)> overlooked;
  std::function<void()> after_walk;  // for leavers, before its answer is used

  std::deque<int> fail_next_limits;
  bool limits_births = false;  // it says that it does; what it was told last is in `limits`
  TaskLimits limits;
  std::map<std::uint32_t, std::uint64_t> refused_births;
  std::vector<Tid> not_let_in;  // newborns
  // Births that have raised a set's counter, will find their parent elsewhere, and take it back.
  std::map<CssSetId, std::uint32_t> raised;

  // What was asked of it.
  mutable std::atomic<std::size_t> passes = 0;       // over the live words
  mutable std::atomic<std::size_t> counts_read = 0;  // counters of css_sets
  std::atomic<std::size_t> walks = 0;                // for leavers, over all tasks

  std::string_view name() const override { return "faulty"; }
  std::uint32_t set_capacity() const override { return real_.set_capacity(); }
  Result<Place> Describe(Tid tid) const override { return real_.Describe(tid); }
  Result<SetCount> CreateSet(CssSetId set) override {
    if (const int error = Next(fail_next_sets)) return Fail(error, "injected");
    return real_.CreateSet(set);
  }
  Result<void> Move(Tid tid, Place expected, CssSetId to) override {
    if (before_move) before_move(tid);
    if (const int error = Next(fail_next_moves)) return Fail(error, "injected");
    auto moved = real_.Move(tid, expected, to);
    if (after_move) after_move(tid);
    return moved;
  }
  SetCount Count(CssSetId set) const override {
    ++counts_read;
    SetCount count = real_.Count(set);
    if (const auto births = raised.find(set); births != raised.end()) count.count += births->second;
    return count;
  }
  void ForEachTask(const std::function<void(Tid, Place)>& fn) const override {
    const std::size_t pass = ++passes;
    if (before_pass) before_pass(pass);
    real_.ForEachTask([&](Tid tid, Place place) {
      if (!overlooked || !overlooked(pass, tid)) fn(tid, place);
    });
  }
  Result<void> Listen(TaskListener* listener) override {
    if (const int error = Next(fail_next_listens)) return Fail(error, "injected");
    return real_.Listen(listener);
  }
  std::unique_ptr<Standstill> HoldTasks() override { return real_.HoldTasks(); }
  Result<void> LimitTasks(const TaskLimits& all) override {
    if (!limits_births) return real_.LimitTasks(all);
    if (const int error = Next(fail_next_limits)) return Fail(error, "injected");
    limits = all;
    return {};
  }
  Result<std::vector<Tid>> BirthsNotLetIn() const override { return not_let_in; }
  std::uint64_t RefusedBirths(std::uint32_t number) const override {
    const auto found = refused_births.find(number);
    return found == refused_births.end() ? 0 : found->second;
  }
  void RetireSet(CssSetId set) override { real_.RetireSet(set); }
  std::vector<Leaver> Leavers() override {
    ++walks;
    std::vector<Leaver> leavers = real_.Leavers();
    if (after_walk) after_walk();
    return leavers;
  }
  int bell_fd() const override { return real_.bell_fd(); }
  void Drain(Listener& listener) override { real_.Drain(listener); }
  AuditReport Audit() override { return real_.Audit(); }
  AuditReport Resync() override { return real_.Resync(); }
  MissCounts misses() const override { return real_.misses(); }

 private:
  static int Next(std::deque<int>& errors) {
    if (errors.empty()) return 0;
    const int error = errors.front();
    errors.pop_front();
    return error;
  }

  Tracker& real_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_FAULTY_TRACKER_H_
