// BpfWorld: the real machine, puppets under the kernel's hooks.
#ifndef CORRAL_TESTS_CONTRACT_BPF_WORLD_H_
#define CORRAL_TESTS_CONTRACT_BPF_WORLD_H_

#include "base/check.h"
#include "contract/world.h"
#include "support/puppets.h"
#include "trackers/bpf/bpf_tracker.h"

namespace corral {

class BpfWorld final : public World {
 public:
  explicit BpfWorld(std::unique_ptr<BpfTracker> tracker) : tracker_(std::move(tracker)) {}

  Tracker& tracker() override { return *tracker_; }
  Puppets& puppets() { return puppets_; }
  Tid Start() override {
    const Tid task = puppets_.Start();
    own_.insert(task);
    return task;
  }
  Tid Fork(Tid by) override { return puppets_.Fork(by); }
  Tid ForkSibling(Tid by) override { return puppets_.ForkSibling(by); }
  Tid VforkExec(Tid by) override { return puppets_.VforkExec(by); }
  Tid Daemonize(Tid by) override { return puppets_.Daemonize(by); }
  Tid Thread(Tid by) override { return puppets_.Thread(by); }
  Tid Exec(Tid by) override { return puppets_.Exec(by); }
  void ExitThread(Tid task) override { puppets_.ExitThread(task); }
  void ExitProcess(Tid task) override { puppets_.ExitProcess(task); }
  void Kill(Tgid process) override { puppets_.Kill(process); }
  // A file, not memory: before 6.16 the kernel gives up a task's memory before its death hook
  // runs, its files after it on every kernel.
  void BeginSlowExit(Tid task) override {
    puppets_.Grow(task, 512);
    const CssSetId set = tracker_->Describe(task).value().set;
    const std::uint32_t leaves = tracker_->Count(set).leaves;
    puppets_.BeginKill(Tgid{task.value});
    // Its word dies first, then its leave is counted (I3); not in the initial set.
    while (tracker_->Describe(task) || tracker_->Count(set).leaves == leaves) {
    }
  }
  bool HasEnded(Tid task) override { return puppets_.IsZombie(task); }
  void EndSlowExit(Tid task) override { puppets_.EndKill(Tgid{task.value}); }
  void Reap(Tid parent, Tid child) override {
    if (own_.erase(child) != 0) {
      puppets_.ReapOwn(child);
    } else {
      puppets_.Reap(parent, child);
    }
  }
  Tid ForkAs(Tid by, Tid wanted) override {
    auto child = puppets_.ForkAs(by, wanted);
    CORRAL_CHECK(child);
    return *child;
  }
  void BeginForkStorm(Tid by, std::chrono::milliseconds time) override {
    puppets_.BeginStorm(by, puppet::Storm::kFork, time);
  }
  void BeginThreadStorm(Tid by, std::chrono::milliseconds time) override {
    puppets_.BeginStorm(by, puppet::Storm::kThread, time);
  }
  std::uint64_t EndStorm(Tid by) override { return puppets_.EndStorm(by); }
  void BeginExecStorm(Tid leader, std::chrono::milliseconds time) override {
    puppets_.BeginExecStorm(leader, time);
  }
  std::uint64_t EndExecStorm(Tid leader) override { return puppets_.EndExecStorm(leader); }
  void BeginTakeTidStorm(Tid by, std::chrono::milliseconds time) override {
    puppets_.BeginTakeTidStorm(by, time);
  }

 private:
  std::unique_ptr<BpfTracker> tracker_;
  Puppets puppets_;
  std::set<Tid> own_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CONTRACT_BPF_WORLD_H_
