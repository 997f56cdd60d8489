// SubsystemTest: one built-in subsystem over simulated tasks, used through its files.
//
//   Make("/job");
//   EXPECT_EQ(Write("/job/cpuset.cpus", "0-1"), 0);   // 0 or an errno
//   Start(7); EXPECT_EQ(Enter("/job", 7), 0);
#ifndef CORRAL_TESTS_SUPPORT_SUBSYSTEM_FIXTURE_H_
#define CORRAL_TESTS_SUPPORT_SUBSYSTEM_FIXTURE_H_

#include <corral/subsystem.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "control/tree.h"
#include "core/looker.h"
#include "core/registry.h"
#include "support/fake_machine.h"
#include "support/matchers.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {

class SubsystemTest : public ::testing::Test {
 protected:
  // `more`: bound to the same hierarchy, asked after it.
  explicit SubsystemTest(const std::shared_ptr<Subsystem>& subsystem, bool inherits = true,
                         const std::shared_ptr<Subsystem>& more = nullptr)
      : registry_(std::make_unique<Registry>(tracker_, [] {})) {
    EXPECT_THAT(registry_->Register(subsystem), IsOk());
    if (more) {
      EXPECT_THAT(registry_->Register(more), IsOk());
    }
    hierarchy_ = *registry_->CreateHierarchy(
        {.name = "h", .subsystems = registry_->AllSubsystems(), .css_inherit = inherits});
    tree_ = std::make_unique<Tree>(*registry_, machine_);
    machine_.admins.insert(Tid{1});
    tracker_.Start(Tid{1}, Tgid{1});
  }
  // I2 holds after every story.
  ~SubsystemTest() override {
    if (registry_) Look();
    EXPECT_THAT(tracker_.Audit().differences, ::testing::IsEmpty());
  }

  Inode At(std::string_view path) {
    Inode at = Inode::Directory(registry_->Root(hierarchy_).value());
    while (!path.empty()) {
      path.remove_prefix(1);
      const std::size_t end = std::min(path.find('/'), path.size());
      if (end == 0) continue;
      at = Inode{tree_->Lookup(at, path.substr(0, end)).value().st_ino};
      path.remove_prefix(end);
    }
    return at;
  }
  int Make(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return Errno(
        tree_->Mkdir({.tid = Tid{1}}, At(path.substr(0, slash)), path.substr(slash + 1), 0755));
  }
  int Remove(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return Errno(tree_->Rmdir(At(path.substr(0, slash)), path.substr(slash + 1)));
  }
  bool Has(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return tree_->Lookup(At(path.substr(0, slash)), path.substr(slash + 1)).has_value();
  }
  std::unique_ptr<OpenFile> Open(std::string_view path, bool readable) {
    return tree_->Open({.tid = Tid{1}}, At(path), readable).value();
  }
  std::string Read(std::string_view path) {
    return Open(path, true)->Read(Tid{1}, 1 << 20, 0).value();
  }
  int Write(std::string_view path, std::string_view bytes) {
    return Errno(Open(path, false)->Write({.tid = Tid{1}}, bytes));
  }

  // A process of one thread, in the root.
  void Start(unsigned tid) { tracker_.Start(Tid{tid}, Tgid{tid}); }
  // A child process, or another thread, wherever its maker is.
  int Fork(unsigned parent, unsigned child) {
    return Errno(tracker_.Birth(Tid{parent}, Tid{child}, Tgid{child}));
  }
  int Thread(unsigned maker, unsigned tid) {
    return Errno(tracker_.Birth(Tid{maker}, Tid{tid}, tracker_.Describe(Tid{maker}).value().tgid));
  }
  void Exit(unsigned tid) { tracker_.Death(Tid{tid}); }
  int Enter(std::string_view path, unsigned tid) {
    return Errno(registry_->Attach(At(path).cgroup(), Tid{tid}, {}));
  }

  int StartIn(std::string_view path, unsigned tid) {
    Start(tid);
    return Enter(path, tid);
  }
  void Look() { Looker(*registry_).Look(); }

  template <typename T>
  static int Errno(const Result<T>& result) {
    return result ? 0 : result.error().code;
  }

  InprocTracker tracker_{{.tids = 8192, .sets = 256, .machine_tasks = {}}};
  FakeMachine machine_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<Tree> tree_;  // goes before the registry
  HierarchyId hierarchy_;
};

// Refuses what it is told to: for what the others do when somebody else fails.
class Refuser final : public Subsystem {
 public:
  std::string_view name() const override { return "refuser"; }
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override {
    if (of.parent && refuse) return Fail(EXDEV, "refused");
    return std::make_unique<Css>();
  }
  Result<void> CanAttach(Css&, Css&, Tid) override {
    if (refuse) return Fail(EXDEV, "refused");
    return {};
  }
  bool refuse = false;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_SUBSYSTEM_FIXTURE_H_
