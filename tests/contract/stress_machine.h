// StressMachine: the simulated machine of the stress. It keeps the list of tasks as a kernel
// does (listed before the birth is told, until after the death), and knows the one tid that an
// exec gave up and any birth may take before the exec is through (I6).
//
// One offer at a time for each class of families; every family is one thread.
#ifndef CORRAL_TESTS_CONTRACT_STRESS_MACHINE_H_
#define CORRAL_TESTS_CONTRACT_STRESS_MACHINE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>

#include "trackers/inproc/inproc_tracker.h"

namespace corral {

inline constexpr std::uint32_t kStressTids = 512;

class StressMachine {
 public:
  explicit StressMachine(InprocOptions options)
      : tracker_({.tids = kStressTids,
                  .sets = options.sets,
                  .bells = options.bells,
                  .machine_tasks = [this] { return Tasks(); }}) {}

  InprocTracker& tracker() { return tracker_; }

  void Start(Tid tid, Tgid tgid) {
    List(tid, tgid);
    tracker_.Start(tid, tgid);
  }
  void Birth(Tid by, Tid tid, Tgid tgid) {
    List(tid, tgid);
    tracker_.Birth(by, tid, tgid);
  }
  void Death(Tid tid) {
    tracker_.Death(tid);
    Unlist(tid);
  }
  // To be followed by EndDeath; the tid is taken until then.
  void BeginDeath(Tid tid) {
    tracker_.BeginDeath(tid);
    Unlist(tid);
  }
  void EndDeath(Tid tid) { tracker_.EndDeath(tid); }

  // A thread that is not the leader execs: the leader ends, the thread gets its tid and gives up
  // its own. The hook is still to come.
  void ExchangeTids(Tid thread, Tid leader) {
    Death(leader);
    List(leader, Tgid{leader.value});
    Unlist(thread);
  }
  void FinishExec(Tid thread, Tid leader) { tracker_.Exec(thread, leader); }
  // It fails after the exchange: the task dies under its new tid.
  void FailExec(Tid leader) { Death(leader); }

  // ---- tids given up inside an exec
  // False: another one is on offer.
  bool Offer(int slot, Tid tid) {
    std::uint32_t none = 0;
    return offered_.at(slot).compare_exchange_strong(none, tid.value);
  }
  // True: nobody took it, and it is the caller's again.
  bool Withdraw(int slot, Tid tid) {
    std::uint32_t still = tid.value;
    return offered_.at(slot).compare_exchange_strong(still, 0);
  }
  std::optional<Tid> TakeOffered(int slot) {
    if (offered_.at(slot).load() == 0) return std::nullopt;
    const std::uint32_t tid = offered_.at(slot).exchange(0);
    if (tid == 0) return std::nullopt;
    return Tid{tid};
  }

 private:
  void List(Tid tid, Tgid tgid) { listed_.at(tid.value).store(tgid.value); }
  void Unlist(Tid tid) { listed_.at(tid.value).store(0); }
  std::map<Tid, Tgid> Tasks() const {
    std::map<Tid, Tgid> tasks;
    for (std::uint32_t tid = 1; tid < kStressTids; ++tid) {
      if (const std::uint32_t tgid = listed_[tid].load()) tasks.emplace(Tid{tid}, Tgid{tgid});
    }
    return tasks;
  }

  std::array<std::atomic<std::uint32_t>, kStressTids> listed_ = {};
  std::array<std::atomic<std::uint32_t>, 2> offered_ = {};
  InprocTracker tracker_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CONTRACT_STRESS_MACHINE_H_
