// ControlTest: a hierarchy over the in-process tracker, used as a user of the files would:
// by path.
//
//   Make("/job");
//   EXPECT_EQ(Write("/job/tasks", "7"), 0);     // 0 or an errno
//   EXPECT_EQ(Read("/job/tasks"), "7\n");
#ifndef CORRAL_TESTS_SUPPORT_CONTROL_FIXTURE_H_
#define CORRAL_TESTS_SUPPORT_CONTROL_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "control/tree.h"
#include "core/looker.h"
#include "core/registry.h"
#include "support/fake_machine.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {

class ControlTest : public testing::Test {
 protected:
  ControlTest() {
    root_ = *registry_.Root(*registry_.CreateHierarchy({.name = "test"}));
    tracker_.Start(Tid{1}, Tgid{1});
    machine_.admins.insert(root_caller_.tid);
  }

  // The inode at a path of directories and, last, perhaps a file.
  Result<Inode> Find(std::string_view path) {
    Inode at = Inode::Directory(root_);
    while (!path.empty()) {
      path.remove_prefix(1);
      const std::size_t end = std::min(path.find('/'), path.size());
      if (end == 0) break;
      auto next = tree_.Lookup(at, path.substr(0, end));
      if (!next) return Fail(next.error());
      at = Inode{next->st_ino};
      path.remove_prefix(end);
    }
    return at;
  }
  Inode At(std::string_view path) { return Find(path).value(); }
  struct stat StatOf(std::string_view path) {
    return tree_.GetAttr(At(path)).value();
  }

  static std::pair<std::string_view, std::string_view> Split(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return {path.substr(0, slash), path.substr(slash + 1)};
  }
  CgroupId Make(std::string_view path, const Caller& caller, mode_t mode = 0777) {
    const auto [parent, name] = Split(path);
    return Inode{tree_.Mkdir(caller, At(parent), name, mode).value().st_ino}.cgroup();
  }
  CgroupId Make(std::string_view path) { return Make(path, root_caller_); }
  int Remove(std::string_view path) {
    const auto [parent, name] = Split(path);
    auto removed = tree_.Rmdir(At(parent), name);
    return removed ? 0 : removed.error().code;
  }

  std::unique_ptr<OpenFile> Open(std::string_view path, bool readable = true) {
    return std::move(tree_.Open(root_caller_, At(path), readable)).value();
  }
  std::string Read(std::string_view path) { return Open(path)->Read(Tid{1}, 1 << 20, 0).value(); }
  static int Write(OpenFile& file, const Caller& caller, std::string_view bytes) {
    auto written = file.Write(caller, bytes);
    return written ? 0 : written.error().code;
  }
  int WriteOpenedBy(const Caller& opener, std::string_view path, const Caller& writer,
                    std::string_view bytes) {
    auto file = tree_.Open(opener, At(path), false);
    return file ? Write(**file, writer, bytes) : file.error().code;
  }
  int Write(std::string_view path, const Caller& caller, std::string_view bytes) {
    return Write(*Open(path, false), caller, bytes);
  }
  int Write(std::string_view path, std::string_view bytes) {
    return Write(path, root_caller_, bytes);
  }

  // A new task of a new process, wherever `parent` is.
  void Fork(unsigned parent, unsigned child, uid_t uid = 0) {
    tracker_.Birth(Tid{parent}, Tid{child}, Tgid{child});
    machine_.owners[Tid{child}] = {.real_uid = uid, .saved_uid = uid};
  }
  void Look() { looker_.Look(); }

  InprocTracker tracker_{{.tids = 8192, .sets = 256, .machine_tasks = {}}};
  Registry registry_{tracker_, [] {}};
  Looker looker_{registry_};
  FakeMachine machine_;
  Tree tree_{registry_, machine_};
  CgroupId root_;
  const Caller root_caller_{.tid = Tid{1}};
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_CONTROL_FIXTURE_H_
