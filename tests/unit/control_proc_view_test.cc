// What the proc view shows whom (spec 12), where /proc hides processes and directories are closed.
#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>

#include "control/proc_view.h"
#include "support/control_fixture.h"

namespace corral {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

constexpr Caller kAlice{.tid = Tid{50}, .uid = 1000, .gid = 1000};

class View : public ControlTest {
 protected:
  View() {
    Fork(1, 50, 1000);
    Fork(1, 51, 1000);  // hers, too
    Fork(1, 60, 0);
    machine_.owners[Tid{1}] = {.real_uid = 0, .saved_uid = 0};
  }
  void Hide(ProcHiding::Level level, gid_t gid = 0) {
    machine_.hiding = {.level = level, .gid = gid};
  }
  std::vector<std::string> Names(const Caller& caller, std::size_t most = 2) {
    std::vector<std::string> names;
    for (std::uint64_t from = 0;;) {
      const auto entries = view_.ReadDir({}, caller, from, most).value();
      if (entries.empty()) return names;
      EXPECT_LE(entries.size(), most);
      for (const DirEntry& entry : entries) names.push_back(entry.name);
      from = entries.back().next;
    }
  }
  // errno, or 0.
  int Look(const Caller& caller, unsigned process) {
    const auto found = view_.Lookup({}, std::to_string(process), caller);
    return found ? 0 : found.error().code;
  }
  Result<std::string> Read(const Caller& caller, unsigned process, std::string_view file) {
    const auto directory = view_.Lookup({}, std::to_string(process), caller);
    if (!directory) return Fail(directory.error());
    const auto node = view_.Lookup(*directory, file, caller);
    if (!node) return Fail(node.error());
    auto open = view_.Open(*node, caller);
    if (!open) return Fail(open.error());
    return (*open)->Read(1 << 16, 0);
  }
  int ReadError(const Caller& caller, unsigned process, std::string_view file) {
    const auto read = Read(caller, process, file);
    return read ? 0 : read.error().code;
  }

  const HierarchyId id_ = registry_.FindByLabel("test").value();
  ProcView view_{tree_,
                 id_,
                 {.sweep = [] {},
                  .is_mounted = [](HierarchyId) { return true; },
                  .mounts = [] { return std::string("none /mnt container rw 0 0\n"); }}};
};

TEST_F(View, ShowsAllToAllWhereProcDoes) {
  EXPECT_THAT(Names(kAlice), ElementsAre(".", "..", "self", "thread-self", "cgroups", "mounts", "1",
                                         "50", "51", "60"));
  EXPECT_EQ(Read(kAlice, 60, "cgroup"), "1:name=test:/\n");
}

TEST_F(View, HidesTheContentsOfOthersProcesses) {
  Hide(ProcHiding::kContents);
  EXPECT_THAT(Names(kAlice), Contains("60"));
  EXPECT_EQ(Look(kAlice, 60), 0);
  for (const char* file : {"cgroup", "container", "task", "nothing"}) {
    EXPECT_EQ(ReadError(kAlice, 60, file), EPERM) << file;
  }
  EXPECT_EQ(view_.ReadDir({ProcNode::kProcess, Tid{60}, {}}, kAlice, 0, 9).error().code, EPERM);
  EXPECT_EQ(view_.ReadDir({ProcNode::kTasks, Tid{60}, {}}, kAlice, 0, 9).error().code, EPERM);
  EXPECT_EQ(view_.Open({ProcNode::kCgroup, Tid{60}, Tgid{60}}, kAlice).error().code, EPERM);
  for (const unsigned own : {50u, 51u}) EXPECT_EQ(ReadError(kAlice, own, "cgroup"), 0) << own;
  EXPECT_EQ(ReadError(root_caller_, 60, "cgroup"), 0);
}

TEST_F(View, HidesOthersProcesses) {
  for (const auto level : {ProcHiding::kProcesses, ProcHiding::kNotTraceable}) {
    Hide(level);
    EXPECT_THAT(Names(kAlice),
                ElementsAre(".", "..", "self", "thread-self", "cgroups", "mounts", "50", "51"));
    EXPECT_EQ(Look(kAlice, 60), ENOENT);
    EXPECT_EQ(view_.Lookup({ProcNode::kProcess, Tid{60}, {}}, "cgroup", kAlice).error().code,
              ENOENT);
    EXPECT_EQ(view_.Open({ProcNode::kCgroup, Tid{60}, {}}, kAlice).error().code, ENOENT);
    EXPECT_EQ(ReadError(kAlice, 51, "cgroup"), 0);
    EXPECT_THAT(Names(root_caller_), Contains("60"));
  }
}

TEST_F(View, ShowsAllToMembersOfTheGroupThatProcNames) {
  machine_.groups[kAlice.tid] = {7};
  Hide(ProcHiding::kProcesses, 7);
  EXPECT_EQ(ReadError(kAlice, 60, "cgroup"), 0);
  Hide(ProcHiding::kNotTraceable, 7);
  EXPECT_EQ(Look(kAlice, 60), ENOENT);
  Hide(ProcHiding::kProcesses, 8);
  EXPECT_EQ(Look(kAlice, 60), ENOENT);
}

// A process that runs with root's rights by now is not hers; its own thread group may see itself.
TEST_F(View, ShowsAProcessItself) {
  Hide(ProcHiding::kNotTraceable);
  machine_.owners[Tid{50}] = {.real_uid = 1000, .saved_uid = 0};
  EXPECT_EQ(ReadError(kAlice, 50, "cgroup"), 0);
  EXPECT_EQ(ReadError({.tid = Tid{51}, .uid = 1000, .gid = 1000}, 50, "cgroup"), ENOENT);
}

TEST_F(View, ShowsNoPathBelowADirectoryOneMayNotEnter) {
  Make("/closed", root_caller_, 0700);
  Make("/closed/secret");
  ASSERT_EQ(Write("/closed/secret/tasks", "60"), 0);
  const HierarchyId other = *registry_.CreateHierarchy({.name = "other"});
  EXPECT_EQ(Read(kAlice, 60, "cgroup"), "2:name=other:/\n") << "the other hierarchy's line";
  EXPECT_EQ(ReadError(kAlice, 60, "container"), EACCES);
  EXPECT_EQ(Read(root_caller_, 60, "cgroup"), "2:name=other:/\n1:name=test:/closed/secret\n");
  ASSERT_EQ(Write("/closed/tasks", "60"), 0);
  EXPECT_EQ(Read(kAlice, 60, "container"), "/closed\n") << "a name in the root, which is open";
  // Her own task may be anywhere, and she is told where.
  for (const char* own : {"50", "51"}) ASSERT_EQ(Write("/closed/secret/tasks", own), 0);
  EXPECT_EQ(Read(kAlice, 50, "container"), "/closed/secret\n");
  EXPECT_EQ(Read(kAlice, 51, "cgroup"), "2:name=other:/\n1:name=test:/closed/secret\n");
  machine_.owners[Tid{51}] = {.real_uid = 1000, .saved_uid = 0};  // she may move it still
  EXPECT_EQ(Read(kAlice, 51, "container"), "/closed/secret\n");
  ASSERT_EQ(registry_.DestroyHierarchy(other).has_value(), true);
}

// Of an open file, who opened it decides, and where the task is by then.
TEST_F(View, AsksAnOpenFilesOpener) {
  Make("/closed", root_caller_, 0700);
  Make("/closed/secret");
  const auto node = *view_.Lookup({ProcNode::kProcess, Tid{60}, {}}, "container", kAlice);
  const auto hers = std::move(view_.Open(node, kAlice)).value();
  const auto roots = std::move(view_.Open(node, root_caller_)).value();
  EXPECT_EQ(hers->Read(99, 0), "/\n");
  ASSERT_EQ(Write("/closed/secret/tasks", "60"), 0);
  EXPECT_EQ(hers->Read(99, 0).error().code, EACCES);
  EXPECT_EQ(roots->Read(99, 0), "/closed/secret\n");
}

TEST_F(View, OpenFilesCountForTheirUser) {
  std::vector<std::unique_ptr<ProcFile>> open;
  const ProcNode node{ProcNode::kCgroup, Tid{51}, {}};
  for (;;) {
    auto file = view_.Open(node, kAlice);
    if (!file) {
      EXPECT_EQ(file.error().code, EMFILE);
      break;
    }
    open.push_back(std::move(*file));
  }
  EXPECT_EQ(open.size(), OpenBudget::kOneUser / OpenBudget::kEach);
  EXPECT_TRUE(view_.Open(node, root_caller_));
}

}  // namespace
}  // namespace corral
