// Where dialects differ, file by file (spec 2), without a machine.
#include <gmock/gmock.h>

#include <cerrno>

#include "support/control_fixture.h"

namespace corral {
namespace {

constexpr Caller kAlice{.tid = Tid{50}, .uid = 1000, .gid = 1000};

class LinuxFiles : public ControlTest {
 protected:
  LinuxFiles() {
    const Dialect& dialect = *FindDialect("linux");
    root_ = *registry_.Root(*registry_.CreateHierarchy(
        {.name = "linux", .dialect = &dialect, .rules = dialect.releases}));
    Make("/a");
  }
  int ReadError(OpenFile& file, std::uint64_t offset) {
    const auto read = file.Read(Tid{1}, 4096, offset);
    return read ? 0 : read.error().code;
  }
};

TEST_F(LinuxFiles, AZombieMovesNowhereAndThatIsNoError) {
  Fork(1, 50, 1000);
  tracker_.Death(Tid{50});  // the machine still knows it
  EXPECT_EQ(Write("/a/tasks", "50"), 0);
  EXPECT_EQ(Read("/a/tasks"), "");
  const auto others = tree_.Open({.tid = Tid{1}, .uid = 7}, At("/a/tasks"), false);
  EXPECT_EQ(Write(**others, root_caller_, "50"), EACCES);
  EXPECT_EQ(Write("/a/tasks", "51"), ESRCH);
}

TEST_F(LinuxFiles, ABoundKernelThreadStays) {
  Fork(1, 60);
  machine_.bound_kthreads.insert(Tid{60});
  EXPECT_EQ(Write("/a/tasks", "60"), EINVAL);
  EXPECT_EQ(Read("/a/tasks"), "");
}

TEST_F(LinuxFiles, TheOpenersCredentialsMove) {
  Fork(1, 50, 1000);
  Fork(1, 51, 1001);
  machine_.owners[root_caller_.tid] = {.real_uid = 0, .saved_uid = 0};
  auto alices = std::move(tree_.Open(kAlice, At("/a/tasks"), false)).value();
  EXPECT_EQ(Write(*alices, root_caller_, "51"), EACCES);  // though root writes
  EXPECT_EQ(Write(*alices, root_caller_, "0"), EACCES);
  auto roots = Open("/a/tasks", false);
  EXPECT_EQ(Write(*roots, kAlice, "51"), 0);
}

TEST_F(LinuxFiles, AListGoesOnAfterTheLastNumberAndAFreshReaderRenewsIt) {
  for (unsigned tid = 1000; tid < 3000; ++tid) {
    Fork(1, tid);
    ASSERT_EQ(Write("/a/tasks", std::to_string(tid)), 0);
  }
  const auto file = Open("/a/tasks");
  EXPECT_EQ(file->Read(Tid{1}, 10, 0).value(), "1000\n1001\n");
  Fork(1, 5000);
  ASSERT_EQ(Write("/a/tasks", "5000"), 0);
  const std::string fresh = Read("/a/tasks");
  EXPECT_TRUE(fresh.ends_with("2999\n5000\n"));
  std::string rest;
  for (std::string piece; !(piece = file->Read(Tid{1}, 4096, 10 + rest.size()).value()).empty();) {
    rest += piece;
  }
  EXPECT_EQ("1000\n1001\n" + rest, fresh);
}

TEST_F(LinuxFiles, AReadAfterTheRemovalFails) {
  const auto held = Open("/a/notify_on_release");
  EXPECT_EQ(held->Read(Tid{1}, 1, 0).value(), "0");
  ASSERT_EQ(Remove("/a"), 0);
  EXPECT_EQ(held->Read(Tid{1}, 9, 1).value(), "\n");  // of what was read once
  EXPECT_EQ(ReadError(*held, 2), ENODEV);             // not an end of file
  EXPECT_EQ(ReadError(*held, 0), ENODEV);
  EXPECT_EQ(Write(*held, root_caller_, "1"), ENODEV);
}

TEST_F(LinuxFiles, ASetGroupIdDirectoryHandsItsGroupOn) {
  tree_.SetAttr(At("/a"), {.mode = 02755, .gid = 77}).value();
  Make("/a/b", kAlice);
  EXPECT_EQ(StatOf("/a/b").st_gid, 77u);
  EXPECT_EQ(StatOf("/a/b").st_mode & 07777, 02755u);
  EXPECT_EQ(StatOf("/a/b/tasks").st_gid, 77u);
  EXPECT_EQ(StatOf("/a/b/tasks").st_uid, 1000u);
}

// ---- other pid namespaces (spec 7.5), in every dialect

class PidViews : public ControlTest {};

TEST_F(PidViews, AListHasTheOpenersNumbersAndAWriteTheWriters) {
  const Caller inside{.tid = Tid{300}};
  Fork(1, 300);
  Fork(1, 301);
  Fork(1, 302);
  machine_.views[inside.tid] = {{Tid{300}, 1}, {Tid{302}, 2}};
  Make("/a");
  EXPECT_EQ(Write("/a/tasks", inside, "2"), 0);
  EXPECT_EQ(Read("/a/tasks"), "302\n");
  EXPECT_EQ(Write("/a/tasks", "301"), 0);
  EXPECT_EQ(Write("/a/tasks", inside, "0"), 0);
  EXPECT_EQ(Write("/a/tasks", inside, "301"), ESRCH);
  const auto file = std::move(tree_.Open(inside, At("/a/tasks"), true)).value();
  EXPECT_EQ(file->Read(Tid{1}, 4096, 0).value(), "1\n2\n");
}

}  // namespace
}  // namespace corral
