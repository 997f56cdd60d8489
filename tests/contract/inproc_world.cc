// The simulated machine: it numbers tasks as a kernel would and tells the tracker.
#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "base/check.h"
#include "base/mutex.h"
#include "contract/world.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kFirstTid = 100;
constexpr std::uint32_t kStormTids = 7000;
constexpr std::uint32_t kTids = 8192;

class InprocWorld final : public World {
 public:
  explicit InprocWorld(WorldOptions options)
      : tracker_(
            {.tids = kTids, .sets = options.sets, .machine_tasks = [this] { return Tasks(); }}) {}

  ~InprocWorld() override {
    for (auto& [tid, storm] : storms_) {
      if (storm.thread.joinable()) storm.thread.join();
    }
  }

  Tracker& tracker() override { return tracker_; }

  Tid Start() override {
    const Tid tid = NewTid();
    Add(tid, Tgid{tid.value});
    tracker_.Start(tid, Tgid{tid.value});
    return tid;
  }
  Tid Fork(Tid by) override {
    const Tid tid = NewTid();
    return Born(by, tid, Tgid{tid.value});
  }
  Tid ForkSibling(Tid by) override { return Fork(by); }
  Tid VforkExec(Tid by) override { return Exec(Fork(by)); }
  Tid Daemonize(Tid by) override {
    const Tid child = Fork(by);
    const Tid grandchild = Fork(child);
    ExitProcess(child);
    return grandchild;
  }
  Tid Thread(Tid by) override { return Born(by, NewTid(), ProcessOf(by)); }

  // As the kernel does it: the others end, the tids are exchanged, the hook comes last.
  Tid Exec(Tid by) override {
    const Tid leader{ProcessOf(by).value};
    for (const Tid other : ThreadsOf(Tgid{leader.value})) {
      if (other != by) Died(other);
    }
    Remove(by);
    Add(leader, Tgid{leader.value});
    tracker_.Exec(by, leader);
    return leader;
  }
  void ExitThread(Tid task) override { Died(task); }
  void ExitProcess(Tid task) override { Kill(ProcessOf(task)); }
  void Kill(Tgid process) override {
    for (const Tid task : ThreadsOf(process)) Died(task);
  }
  void BeginSlowExit(Tid task) override {
    Remove(task);
    ended_ = false;
    tracker_.BeginDeath(task);
  }
  bool HasEnded(Tid) override { return ended_; }
  void EndSlowExit(Tid task) override {
    tracker_.EndDeath(task);
    ended_ = true;
  }
  void Reap(Tid, Tid child) override {
    MutexLock lock(mu_);
    CORRAL_CHECK(!tasks_.contains(child));
  }
  Tid ForkAs(Tid by, Tid wanted) override { return Born(by, wanted, Tgid{wanted.value}); }

  void BeginForkStorm(Tid by, std::chrono::milliseconds time) override {
    Begin(by, [this, by, end = Clock::now() + time](std::uint64_t* done) {
      const Tid child = StormTid();
      for (; Clock::now() < end; ++*done) {
        tracker_.Birth(by, child, Tgid{child.value});
        tracker_.Death(child);
      }
    });
  }
  void BeginThreadStorm(Tid by, std::chrono::milliseconds time) override {
    Begin(by, [this, by, tgid = ProcessOf(by), end = Clock::now() + time](std::uint64_t* done) {
      const Tid child = StormTid();
      for (; Clock::now() < end; ++*done) {
        tracker_.Birth(by, child, tgid);
        tracker_.Death(child);
      }
    });
  }
  std::uint64_t EndStorm(Tid by) override {
    Storm& storm = storms_.at(by);
    storm.thread.join();
    const std::uint64_t done = storm.done;
    storms_.erase(by);
    return done;
  }
  void BeginExecStorm(Tid leader, std::chrono::milliseconds time) override {
    const Tid spare = StormTid();
    Begin(leader, [this, leader, spare, end = Clock::now() + time](std::uint64_t* done) {
      const Tgid process{leader.value};
      for (; Clock::now() < end; ++*done) {
        // Wait until nobody has the thread's tid, as the kernel's allocator would.
        while (taken_.load() == spare.value) std::this_thread::yield();
        tracker_.Birth(leader, spare, process);
        tracker_.Death(leader);
        offered_.store(spare.value);  // the tids are exchanged: the old one is free
        tracker_.Exec(spare, leader);
        std::uint32_t still = spare.value;
        offered_.compare_exchange_strong(still, 0);
      }
    });
  }
  std::uint64_t EndExecStorm(Tid leader) override { return EndStorm(leader); }
  void BeginTakeTidStorm(Tid by, std::chrono::milliseconds time) override {
    Begin(by, [this, by, end = Clock::now() + time](std::uint64_t* done) {
      while (Clock::now() < end) {
        std::uint32_t wanted = offered_.load();
        if (wanted == 0) {
          std::this_thread::yield();
          continue;
        }
        taken_.store(wanted);
        if (offered_.compare_exchange_strong(wanted, 0)) {
          tracker_.Birth(by, Tid{wanted}, Tgid{wanted});
          tracker_.Death(Tid{wanted});
          ++*done;
        }
        taken_.store(0);
      }
    });
  }

 private:
  struct Storm {
    std::thread thread;
    std::uint64_t done = 0;
  };

  template <typename Run>
  void Begin(Tid by, Run run) {
    Storm& storm = storms_[by];
    storm.thread = std::thread([run = std::move(run), &storm] { run(&storm.done); });
  }

  // As a kernel does it: the next one that is free, around and around.
  Tid NewTid() {
    MutexLock lock(mu_);
    do {
      next_tid_ = next_tid_ + 1 < kStormTids ? next_tid_ + 1 : kFirstTid;
    } while (tasks_.contains(Tid{next_tid_}));
    return Tid{next_tid_};
  }
  // For the tasks of a storm, which are never in tasks_.
  Tid StormTid() { return Tid{kStormTids + next_storm_tid_++}; }
  Tid Born(Tid by, Tid child, Tgid process) {
    tracker_.Birth(by, child, process);
    Add(child, process);
    return child;
  }
  void Died(Tid task) {
    Remove(task);
    tracker_.Death(task);
  }
  void Add(Tid task, Tgid process) {
    MutexLock lock(mu_);
    CORRAL_CHECK(tasks_.emplace(task, process).second);
  }
  void Remove(Tid task) {
    MutexLock lock(mu_);
    CORRAL_CHECK(tasks_.erase(task) == 1);
  }
  Tgid ProcessOf(Tid task) const {
    MutexLock lock(mu_);
    return tasks_.at(task);
  }
  std::vector<Tid> ThreadsOf(Tgid process) const {
    MutexLock lock(mu_);
    std::vector<Tid> threads;
    for (const auto& [tid, tgid] : tasks_) {
      if (tgid == process) threads.push_back(tid);
    }
    return threads;
  }
  std::map<Tid, Tgid> Tasks() const {
    MutexLock lock(mu_);
    return tasks_;
  }

  mutable Mutex mu_;
  std::map<Tid, Tgid> tasks_ GUARDED_BY(mu_);
  std::uint32_t next_tid_ GUARDED_BY(mu_) = kFirstTid;
  std::atomic<std::uint32_t> next_storm_tid_ = 0;
  std::atomic<std::uint32_t> offered_ = 0;  // given up inside exec
  std::atomic<std::uint32_t> taken_ = 0;    // being taken, or taken and not given back
  std::map<Tid, Storm> storms_;
  bool ended_ = false;
  InprocTracker tracker_;
};

}  // namespace

std::unique_ptr<World> MakeInprocWorld(WorldOptions options) {
  return std::make_unique<InprocWorld>(options);
}

}  // namespace corral
