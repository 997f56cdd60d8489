// StressFamily: one thread's tasks. An anchor lives all along; its descendants are born, die at
// once or slowly, exec as threads that are not the leader, and lose the tid they gave up to a
// birth of another family before the exec is through.
//
//   StressFamily family(machine, {.anchor = Tid{64}, .tids = 64, .slot = 0, .seed = 1});
//   while (!stop) family.Step();
//   family.End();                       // everybody dies
#ifndef CORRAL_TESTS_CONTRACT_STRESS_FAMILY_H_
#define CORRAL_TESTS_CONTRACT_STRESS_FAMILY_H_

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "contract/stress_machine.h"

namespace corral {

class StressFamily {
 public:
  struct Options {
    Tid anchor;
    std::uint32_t tids = 64;  // from the anchor's on
    int slot = 0;             // shares offered tids with the families of the same slot
    std::uint32_t seed = 0;
    bool execs_fail = false;  // now and then
  };
  StressFamily(StressMachine& machine, Options options)
      : machine_(machine), options_(options), random_(options.seed) {
    for (std::uint32_t i = 1; i < options.tids; ++i) free_.push_back(Tid{anchor().value + i});
  }

  // Called with a task that was just born by the anchor, or that just went through exec.
  std::function<void(Tid)> check_place;

  Tid anchor() const { return options_.anchor; }
  std::uint64_t ops() const { return ops_.load(std::memory_order_relaxed); }
  std::uint64_t births() const { return births_; }
  std::uint64_t leaves() const { return leaves_; }  // what must leave a css_set, without moves
  std::uint64_t execs() const { return execs_; }
  std::uint64_t failed_execs() const { return failed_execs_; }
  std::uint64_t taken() const { return taken_; }  // births with a tid from inside an exec

  void Step() {
    const std::uint32_t dice = random_() % 32;
    if (dice < 3) {
      ExecByThread();
    } else if (dice < 6 && !leaving_.empty()) {
      EndSlowDeath();
    } else if (alive_.empty() || dice % 2 == 0) {
      Fork();
    } else {
      Kill(random_() % alive_.size());
    }
    if (dice == 31) std::this_thread::yield();
  }

  void End() {
    while (!alive_.empty()) Kill(0);
    while (!leaving_.empty()) EndSlowDeath();
    machine_.Death(anchor());
    ++leaves_;
  }

 private:
  struct Task {
    Tid tid;
    Tgid tgid;
  };

  void Fork() {
    const auto tid = TakeTid();
    if (!tid) return;
    const bool by_anchor = alive_.empty() || random_() % 2 == 0;
    const Task by =
        by_anchor ? Task{anchor(), Tgid{anchor().value}} : alive_[random_() % alive_.size()];
    const Tgid tgid = random_() % 4 == 0 ? by.tgid : Tgid{tid->value};
    machine_.Birth(by.tid, *tid, tgid);
    alive_.push_back({*tid, tgid});
    Did(1);
    ++births_;
    if (by_anchor && check_place && random_() % 16 == 0) check_place(*tid);
  }

  void Kill(std::size_t at) {
    const Task task = alive_[at];
    alive_[at] = alive_.back();
    alive_.pop_back();
    if (random_() % 8 == 0) {
      machine_.BeginDeath(task.tid);
      leaving_.push_back(task);
    } else {
      machine_.Death(task.tid);
      Free(task);
    }
    Did(1);
    ++leaves_;
  }

  void EndSlowDeath() {
    machine_.EndDeath(leaving_.front().tid);
    Free(leaving_.front());
    leaving_.pop_front();
    Did(1);
  }

  // A leader that died before its threads keeps its tid until the last of them is gone.
  void Free(const Task& task) {
    const auto leader = std::ranges::find(zombies_, Tid{task.tgid.value});
    if (std::ranges::count(alive_, task.tgid, &Task::tgid) != 0) {
      if (task.tid.value == task.tgid.value) {
        zombies_.push_back(task.tid);
        return;
      }
    } else if (leader != zombies_.end()) {
      free_.push_back(*leader);
      zombies_.erase(leader);
    }
    free_.push_back(task.tid);
  }

  // A process of one thread makes a second one, which execs.
  void ExecByThread() {
    if (free_.size() < 16 || alive_.empty()) return;
    const std::size_t at = random_() % alive_.size();
    const Tid leader = alive_[at].tid;
    const Tgid process{leader.value};
    if (alive_[at].tgid != process) return;
    if (std::ranges::count(alive_, process, &Task::tgid) != 1) return;
    const Tid thread = free_.front();
    free_.pop_front();
    machine_.Birth(leader, thread, process);
    machine_.ExchangeTids(thread, leader);
    const bool offered = machine_.Offer(options_.slot, thread);
    if (random_() % 2 == 0) std::this_thread::yield();
    const bool fails = options_.execs_fail && random_() % 4 == 0;
    if (fails) {
      machine_.FailExec(leader);
    } else {
      machine_.FinishExec(thread, leader);
    }
    if (!offered || machine_.Withdraw(options_.slot, thread)) free_.push_back(thread);
    Did(3);
    ++births_;
    ++leaves_;  // the old leader
    if (!fails) {
      ++execs_;
      if (check_place && random_() % 4 == 0) check_place(leader);
      return;
    }
    ++failed_execs_;
    ++leaves_;  // its word, when a resync buries it or a birth displaces it
    alive_.erase(alive_.begin() + static_cast<std::ptrdiff_t>(at));
    free_.push_back(leader);
  }

  // As early as it can a tid from inside an exec; it stays with this family.
  std::optional<Tid> TakeTid() {
    if (const auto offered = machine_.TakeOffered(options_.slot)) {
      ++taken_;
      return offered;
    }
    if (free_.empty()) return std::nullopt;
    const Tid tid = free_.front();
    free_.pop_front();
    return tid;
  }

  void Did(std::uint64_t ops) {
    ops_.store(ops_.load(std::memory_order_relaxed) + ops, std::memory_order_relaxed);
  }

  StressMachine& machine_;
  const Options options_;
  std::mt19937 random_;
  std::vector<Task> alive_;
  std::vector<Tid> zombies_;
  std::deque<Task> leaving_;
  std::deque<Tid> free_;  // the one that was given back first is used first, as in a kernel
  std::atomic<std::uint64_t> ops_ = 0;
  std::uint64_t births_ = 0;
  std::uint64_t leaves_ = 0;
  std::uint64_t execs_ = 0;
  std::uint64_t failed_execs_ = 0;
  std::uint64_t taken_ = 0;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CONTRACT_STRESS_FAMILY_H_
