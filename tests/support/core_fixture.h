// CoreTest: a Registry over simulated tasks, in the words of a story.
//
//   const CgroupId job = Mkdir("/job");
//   const Tid shell = StartIn(job);
//   Exit(shell);
//   EXPECT_THAT(Told(), ElementsAre("/job"));   // what the release agent would hear
#ifndef CORRAL_TESTS_SUPPORT_CORE_FIXTURE_H_
#define CORRAL_TESTS_SUPPORT_CORE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/looker.h"
#include "core/registry.h"
#include "support/faulty_tracker.h"
#include "support/matchers.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {

class CoreTest : public ::testing::Test, protected Looker::Owner {
 protected:
  explicit CoreTest(InprocOptions options = {.tids = 8192, .sets = 64})
      : machine_(std::move(options)), tracker_(machine_), registry_(tracker_, [] {}) {
    jobs_ = registry_.CreateHierarchy({.name = "jobs", .release_agent = "/bin/agent"}).value();
  }
  // Nothing is left undecided and I2 holds after every story.
  ~CoreTest() override {
    Look();
    EXPECT_THAT(machine_.Audit().differences, ::testing::IsEmpty());
  }

  // ---- directories, by path in the hierarchy `jobs` unless another is named
  CgroupId At(const std::string& path, HierarchyId in) {
    return registry_.Resolve(in, path).value();
  }
  CgroupId At(const std::string& path) { return At(path, jobs_); }
  CgroupId Mkdir(const std::string& path, HierarchyId in) {
    const auto [parent, name] = Split(path, in);
    auto made = registry_.Mkdir(parent, name, {});
    EXPECT_THAT(made, IsOk());
    return made.value_or(CgroupId{});
  }
  CgroupId Mkdir(const std::string& path) { return Mkdir(path, jobs_); }
  // With notify_on_release set.
  CgroupId MkdirNotifying(const std::string& path) {
    const CgroupId made = Mkdir(path);
    EXPECT_THAT(registry_.SetNotifyOnRelease(made, true), IsOk());
    return made;
  }
  Result<CgroupId> Rmdir(const std::string& path, HierarchyId in) {
    const auto [parent, name] = Split(path, in);
    return registry_.Rmdir(parent, name);
  }
  Result<CgroupId> Rmdir(const std::string& path) { return Rmdir(path, jobs_); }
  HierarchyId OtherHierarchy(const std::string& name) {
    return registry_.CreateHierarchy({.name = name}).value();
  }

  // ---- tasks
  Tid Start() {
    const Tid task = NextTid();
    machine_.Start(task, Tgid{task.value});
    return task;
  }
  Tid StartIn(CgroupId cgroup) {
    const Tid task = Start();
    EXPECT_THAT(Attach(cgroup, task), IsOk());
    return task;
  }
  Tid Fork(Tid by) {
    const Tid task = NextTid();
    machine_.Birth(by, task, Tgid{task.value});
    return task;
  }
  Tid Thread(Tid by) {
    const Tid task = NextTid();
    machine_.Birth(by, task, machine_.Describe(by).value().tgid);
    return task;
  }
  void Exit(Tid task) { machine_.Death(task); }
  Result<void> Attach(CgroupId cgroup, Tid task) { return registry_.Attach(cgroup, task, {}); }
  Result<void> AttachProcess(CgroupId cgroup, Tid task) {
    return registry_.AttachProcess(cgroup, task, {});
  }
  std::vector<Tid> Tasks(CgroupId cgroup) { return registry_.Tasks(cgroup).value(); }
  CgroupId Where(Tid task, HierarchyId in) { return registry_.CgroupOf(task, in).value(); }
  CgroupId Where(Tid task) { return Where(task, jobs_); }

  // ---- what the daemon's looker does
  void Look() {
    looker_.Look();
    for (int i = 0; i < 2 && !looker_.settled(); ++i) looker_.Look();
  }
  // The paths the release agent is started with now, in order.
  std::vector<std::string> Told() {
    Look();
    std::vector<std::string> paths;
    while (const auto next = registry_.queue().TryTake()) {
      if (const auto notification = registry_.BeginNotification(*next)) {
        paths.push_back(notification->path);
      }
    }
    return paths;
  }
  std::uint64_t Releases(CgroupId cgroup) {
    Look();
    return registry_.Events(cgroup).value().releases;
  }
  bool Populated(CgroupId cgroup) {
    Look();
    return registry_.Events(cgroup).value().populated;
  }
  bool Releasable(CgroupId cgroup) { return registry_.Releasable(cgroup).value(); }
  std::uint64_t Serial(CgroupId cgroup) {
    Look();
    return registry_.Events(cgroup).value().serial;
  }

  InprocTracker machine_;
  FaultyTracker tracker_;
  Registry registry_;
  Looker looker_{registry_, *this};
  HierarchyId jobs_;
  std::vector<Event> events_;

 private:
  void Dispatch(const Event& event) override { events_.push_back(event); }
  std::pair<CgroupId, std::string> Split(const std::string& path, HierarchyId in) {
    const std::size_t slash = path.rfind('/');
    return {registry_.Resolve(in, path.substr(0, slash)).value(), path.substr(slash + 1)};
  }
  Tid NextTid() { return Tid{next_tid_++}; }

  std::uint32_t next_tid_ = 100;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_CORE_FIXTURE_H_
