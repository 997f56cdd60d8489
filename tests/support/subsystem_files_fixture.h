// SubsystemFilesTest: one subsystem in a hierarchy of its own over simulated tasks, used by its files.
//
//   class Numbers : public SubsystemFilesTest {
//    protected:
//     Numbers() : SubsystemFilesTest(std::make_shared<Numtasks>(...)) {}
//   };
//   TEST_F(Numbers, AreThere) {
//     Mkdir("/a"); StartIn("/a", 7);
//     EXPECT_EQ(Read("/a/numtasks.current"), "1\n");
//   }
#ifndef CORRAL_TESTS_SUPPORT_SUBSYSTEM_FILES_FIXTURE_H_
#define CORRAL_TESTS_SUPPORT_SUBSYSTEM_FILES_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "control/tree.h"
#include "support/fake_host.h"
#include "support/matchers.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {

class SubsystemFilesTest : public ::testing::Test, private Tracker::Listener {
 protected:
  explicit SubsystemFilesTest(std::shared_ptr<Subsystem> subsystem, bool css_inherit = true) {
    EXPECT_THAT(registry_.Register(std::move(subsystem)), IsOk());
    hierarchy_ = registry_
                     .CreateHierarchy({.name = "h", .subsystems = 1, .css_inherit = css_inherit})
                     .value();
    tree_ = std::make_unique<Tree>(registry_, host_);
    host_.admins.insert(Tid{1});
    tracker_.Start(Tid{1}, Tgid{1});
  }
  // I2 holds after every story.
  ~SubsystemFilesTest() override {
    Settle();
    EXPECT_THAT(tracker_.Audit().differences, ::testing::IsEmpty());
  }

  CgroupId At(const std::string& path) { return registry_.Resolve(hierarchy_, path).value(); }
  int Mkdir(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return Code(registry_.Mkdir(At(path.substr(0, slash)), path.substr(slash + 1), {}));
  }
  int Rmdir(const std::string& path) { return Code(registry_.Remove(At(path))); }

  // 0 or an errno.
  int StartIn(const std::string& path, std::uint32_t tid) {
    tracker_.Start(Tid{tid}, Tgid{tid});
    return Attach(path, tid);
  }
  int Attach(const std::string& path, std::uint32_t tid) {
    return Code(registry_.Attach(At(path), Tid{tid}, {}));
  }
  int Fork(std::uint32_t parent, std::uint32_t child) {
    return Code(tracker_.Birth(Tid{parent}, Tid{child}, Tgid{child}));
  }
  void Exit(std::uint32_t tid) { tracker_.Death(Tid{tid}); }

  Result<std::unique_ptr<OpenFile>> Open(const std::string& path, bool readable) {
    const std::size_t slash = path.rfind('/');
    const auto found = tree_->Lookup(Inode::Directory(At(path.substr(0, slash))),
                                     path.substr(slash + 1));
    if (!found) return Fail(found.error());
    return tree_->Open({.tid = Tid{1}}, Inode{found->st_ino}, readable);
  }
  bool Has(const std::string& path) { return Open(path, true).has_value(); }
  std::string Read(const std::string& path) {
    auto file = Open(path, true);
    if (!file) return "errno " + std::to_string(file.error().code);
    return (*file)->Read(Tid{1}, 1 << 16, 0).value();
  }
  int Write(const std::string& path, std::string_view bytes) {
    auto file = Open(path, false);
    return file ? Code((*file)->Write({.tid = Tid{1}}, bytes)) : file.error().code;
  }
  void Settle() {
    tracker_.Drain(*this);
    registry_.Settle();
  }

  InprocTracker tracker_{{.tids = 8192, .sets = 256, .machine_tasks = {}}};
  Registry registry_{tracker_, [] {}};
  FakeHost host_;
  HierarchyId hierarchy_;
  std::unique_ptr<Tree> tree_;

 private:
  template <typename T>
  static int Code(const Result<T>& result) {
    return result ? 0 : result.error().code;
  }
  void SetMayBeEmpty(CssSetId set) override { registry_.SetMayBeEmpty(set); }
  void ResyncNeeded() override {}
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_SUBSYSTEM_FILES_FIXTURE_H_
