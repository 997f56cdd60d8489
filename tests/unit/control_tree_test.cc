// Directories, names and attributes (spec 4 and 5).
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>

#include "support/control_fixture.h"

namespace corral {
namespace {

using testing::ElementsAre;

constexpr Caller kAlice{.tid = Tid{50}, .uid = 1000, .gid = 1001};

class Directories : public ControlTest {
 protected:
  std::vector<std::string> Names(Inode directory) {
    std::vector<std::string> names;
    const auto entries = tree_.ReadDir(directory);
    for (const DirEntry& entry : *entries) names.push_back(entry.name);
    return names;
  }
  int MkdirError(std::string_view parent, std::string_view name) {
    auto made = tree_.Mkdir(root_caller_, At(parent), name, 0755);
    return made ? 0 : made.error().code;
  }
  int RenameError(std::string_view from, std::string_view to, unsigned flags = 0) {
    const auto [parent, name] = Split(from);
    const auto [new_parent, new_name] = Split(to);
    auto renamed = tree_.Rename(At(parent), name, At(new_parent), new_name, flags);
    return renamed ? 0 : renamed.error().code;
  }
};

TEST_F(Directories, ListDotsFilesAndChildren) {
  Make("/job");
  EXPECT_THAT(Names(At("/")), ElementsAre(".", "..", "tasks", "cgroup.procs", "notify_on_release",
                                          "releasable", "release_agent", "cgroup.events", "job"));
  EXPECT_THAT(
      Names(At("/job")),
      ElementsAre(".", "..", "tasks", "cgroup.procs", "notify_on_release", "releasable",
                  "cgroup.events", "cgroup.kill", "cgroup.max.depth", "cgroup.max.descendants"));
  const auto entries = tree_.ReadDir(At("/job"));
  EXPECT_EQ(entries->at(0).ino, At("/job").number);
  EXPECT_EQ(entries->at(1).ino, At("/").number);
}

TEST_F(Directories, CountTheirChildrenAsLinks) {
  EXPECT_EQ(StatOf("/").st_nlink, 2u);
  Make("/a");
  Make("/b");
  Make("/b/c");
  EXPECT_EQ(StatOf("/").st_nlink, 4u);
  EXPECT_EQ(StatOf("/b").st_nlink, 3u);
  EXPECT_EQ(StatOf("/b/tasks").st_nlink, 1u);
}

TEST_F(Directories, RefuseNamesThatExistOrCannotBe) {
  Make("/a");
  EXPECT_EQ(MkdirError("/", "a"), EEXIST);
  EXPECT_EQ(MkdirError("/", "tasks"), EEXIST);
  EXPECT_EQ(MkdirError("/", "x\ny"), EINVAL);
  EXPECT_EQ(MkdirError("/", std::string(256, 'x')), ENAMETOOLONG);
  EXPECT_EQ(MkdirError("/", std::string(255, 'x')), 0);
  EXPECT_EQ(MkdirError("/tasks", "x"), ENOTDIR);
}

TEST_F(Directories, GoOnlyWhenEmptyAndFilesNever) {
  Make("/a");
  Make("/a/b");
  Fork(1, 7);
  EXPECT_EQ(Remove("/a"), EBUSY);
  Write("/a/b/tasks", "7");
  EXPECT_EQ(Remove("/a/b"), EBUSY);
  tracker_.Death(Tid{7});
  EXPECT_EQ(Remove("/a/b"), 0);
  EXPECT_EQ(Remove("/a/b"), ENOENT);
  EXPECT_EQ(Remove("/a/tasks"), ENOTDIR);
  EXPECT_EQ(tree_.Unlink(At("/a"), "tasks").error().code, EPERM);
  EXPECT_EQ(tree_.Unlink(At("/"), "a").error().code, EISDIR);
  EXPECT_EQ(tree_.Unlink(At("/"), "nothing").error().code, ENOENT);
}

TEST_F(Directories, ThatWereRemovedListNothingAndNameNothing) {
  Make("/a");
  const Inode held = At("/a");
  EXPECT_EQ(Remove("/a"), 0);
  EXPECT_TRUE(tree_.ReadDir(held)->empty());
  EXPECT_EQ(tree_.Lookup(held, "tasks").error().code, ENOENT);
  EXPECT_EQ(tree_.Mkdir(root_caller_, held, "x", 0755).error().code, ENOENT);
  EXPECT_EQ(tree_.GetAttr(held).error().code, ENOENT);
  EXPECT_EQ(tree_.Open(root_caller_, Inode::File(held.cgroup(), 0), true).error().code, ENODEV);
  Make("/a");
  EXPECT_NE(At("/a"), held);
}

TEST_F(Directories, KeepInodeTasksAndAttributesAcrossRename) {
  Make("/a");
  Make("/b");
  Fork(1, 7);
  Write("/a/tasks", "7");
  const Inode inode = At("/a");
  ASSERT_TRUE(tree_.SetAttr(inode, {.mode = 0700, .uid = 5}));
  EXPECT_EQ(RenameError("/a", "/c"), 0);
  EXPECT_EQ(At("/c"), inode);
  EXPECT_EQ(Read("/c/tasks"), "7\n");
  EXPECT_EQ(StatOf("/c").st_mode, S_IFDIR | 0700u);
  EXPECT_EQ(StatOf("/c").st_uid, 5u);
}

TEST_F(Directories, RefuseRenamesInTheOrderOfTheSpecification) {
  Make("/a");
  Make("/b");
  Make("/b/a");
  EXPECT_EQ(RenameError("/a", "/x", 2), EINVAL);
  EXPECT_EQ(RenameError("/a", "/x\ny"), EINVAL);
  EXPECT_EQ(RenameError("/nothing", "/x"), ENOENT);
  EXPECT_EQ(RenameError("/tasks", "/b/a"), ENOTDIR);
  EXPECT_EQ(RenameError("/a", "/b/a"), EEXIST);
  EXPECT_EQ(RenameError("/a", "/tasks"), EEXIST);
  EXPECT_EQ(RenameError("/a", "/b/x"), EIO);
  EXPECT_EQ(RenameError("/a", "/x", 1), 0);
}

// As readdir(3) needs it: whoever is there all the time is listed once.
TEST_F(Directories, AreListedInPartsWhileNamesComeAndGo) {
  for (const char* name : {"/a", "/b", "/c", "/d"}) Make(name);
  std::vector<std::string> names;
  std::vector<std::uint64_t> places{0};
  for (int part = 0;; ++part) {
    const auto entries = tree_.ReadDir(At("/"), places.back(), 3).value();
    if (entries.empty()) break;
    EXPECT_LE(entries.size(), 3u);
    for (const DirEntry& entry : entries) names.push_back(entry.name);
    places.push_back(entries.back().next);
    if (part == 2) {  // a is listed
      EXPECT_EQ(Remove("/a"), 0);
      EXPECT_EQ(RenameError("/c", "/0"), 0);
      Make("/e");
    }
  }
  EXPECT_THAT(names,
              ElementsAre(".", "..", "tasks", "cgroup.procs", "notify_on_release", "releasable",
                          "release_agent", "cgroup.events", "a", "b", "0", "d", "e"));
  EXPECT_EQ(tree_.ReadDir(At("/"), places[1], 1)->front().name, "cgroup.procs") << "seekdir";
}

class Attrs : public ControlTest {};

// Of a directory that was given away as a whole, the quotas stay with who gave it.
TEST_F(Attrs, OfAQuotaAreTheParentsOwners) {
  Make("/mine");
  ASSERT_TRUE(tree_.SetAttr(At("/mine"), {.uid = 1000, .gid = 1001}));
  EXPECT_EQ(StatOf("/mine/cgroup.max.depth").st_uid, 0u);
  Make("/mine/sub", kAlice);
  EXPECT_EQ(StatOf("/mine/sub/cgroup.max.depth").st_uid, 1000u);
  EXPECT_EQ(StatOf("/mine/sub/cgroup.max.descendants").st_gid, 1001u);
  Make("/mine/roots");
  EXPECT_EQ(StatOf("/mine/roots/cgroup.max.depth").st_uid, 1000u);
  EXPECT_EQ(StatOf("/mine/roots/tasks").st_uid, 0u);
  ASSERT_TRUE(tree_.SetAttr(At("/mine/sub/cgroup.max.depth"), {.mode = 0600}));
  EXPECT_EQ(StatOf("/mine/sub/cgroup.max.depth").st_uid, 1000u);
}

TEST_F(Attrs, OfDirectoriesAboveDecideWhoReachesACgroup) {
  Make("/a", root_caller_, 0750);
  Make("/a/b", kAlice, 0700);
  const CgroupId c = Make("/a/b/c");
  const Credentials alice{.uid = 1000, .gid = 1001}, other{.uid = 2000, .gid = 2000};
  EXPECT_FALSE(tree_.MayReach(alice, c)) << "/a is root's";
  EXPECT_TRUE(tree_.MayReach(alice, At("/a").cgroup())) << "but its name is not hidden";
  ASSERT_TRUE(tree_.SetAttr(At("/a"), {.gid = 7}));
  EXPECT_FALSE(tree_.MayReach(alice, c));
  EXPECT_TRUE(tree_.MayReach({.uid = 1000, .gid = 1001, .groups = {5, 7}}, c));
  ASSERT_TRUE(tree_.SetAttr(At("/a"), {.mode = 0711}));
  EXPECT_TRUE(tree_.MayReach(alice, c));
  EXPECT_FALSE(tree_.MayReach(other, c)) << "/a/b is alice's";
  const std::uint64_t search = 1u << Credentials::kDacReadSearch;
  EXPECT_TRUE(tree_.MayReach({.uid = 2000, .gid = 2000, .capabilities = search}, c));
}

TEST_F(Attrs, OfTheTopAreRoots) {
  EXPECT_EQ(StatOf("/").st_mode, S_IFDIR | 0755u);
  EXPECT_EQ(StatOf("/tasks").st_mode, S_IFREG | 0644u);
  EXPECT_EQ(StatOf("/releasable").st_mode, S_IFREG | 0444u);
  EXPECT_EQ(StatOf("/tasks").st_uid, 0u);
}

TEST_F(Attrs, OfANewDirectoryAndItsFilesAreTheCreators) {
  Caller caller = kAlice;
  caller.umask = 027;
  Make("/a", caller, 07777);
  EXPECT_EQ(StatOf("/a").st_mode, S_IFDIR | S_ISVTX | 0750u);
  EXPECT_EQ(StatOf("/a").st_uid, 1000u);
  EXPECT_EQ(StatOf("/a").st_gid, 1001u);
  EXPECT_EQ(StatOf("/a/tasks").st_mode, S_IFREG | 0644u);
  EXPECT_EQ(StatOf("/a/tasks").st_uid, 1000u);
  EXPECT_EQ(StatOf("/a/tasks").st_gid, 1001u);
}

TEST_F(Attrs, ChangeOneByOneAndLast) {
  Make("/a");
  ASSERT_TRUE(tree_.SetAttr(At("/a/tasks"), {.mode = 0664}));
  ASSERT_TRUE(tree_.SetAttr(At("/a/tasks"), {.gid = 9}));
  ASSERT_TRUE(tree_.SetAttr(At("/a/tasks"), {.mtime = timespec{5, 6}}));
  const struct stat tasks = StatOf("/a/tasks");
  EXPECT_EQ(tasks.st_mode, S_IFREG | 0664u);
  EXPECT_EQ(tasks.st_uid, 0u);
  EXPECT_EQ(tasks.st_gid, 9u);
  EXPECT_EQ(tasks.st_mtim.tv_sec, 5);
  EXPECT_EQ(StatOf("/a/cgroup.procs").st_gid, 0u);
  EXPECT_EQ(StatOf("/a").st_gid, 0u);
}

TEST_F(Attrs, TimesFollowNamesAndAttributesButNotContents) {
  Make("/a");
  const timespec old{5, 0};
  ASSERT_TRUE(tree_.SetAttr(At("/"), {.mtime = old}));
  ASSERT_TRUE(tree_.SetAttr(At("/a/notify_on_release"), {.mtime = old}));
  Write("/a/notify_on_release", "1");
  EXPECT_EQ(StatOf("/a/notify_on_release").st_mtim.tv_sec, 5);
  EXPECT_GT(StatOf("/a/notify_on_release").st_ctim.tv_sec, 5);
  EXPECT_EQ(StatOf("/").st_mtim.tv_sec, 5);
  Make("/b");
  EXPECT_GT(StatOf("/").st_mtim.tv_sec, 5);
  ASSERT_TRUE(tree_.SetAttr(At("/"), {.mtime = old}));
  ASSERT_TRUE(tree_.Rename(At("/"), "b", At("/"), "c", 0));
  EXPECT_GT(StatOf("/").st_mtim.tv_sec, 5);
  ASSERT_TRUE(tree_.SetAttr(At("/"), {.mtime = old}));
  Remove("/c");
  EXPECT_GT(StatOf("/").st_mtim.tv_sec, 5);
}

// sendfile through FUSE copies no more than the size says.
TEST_F(Attrs, SizeIsWholePagesAndEnoughForEveryTask) {
  EXPECT_EQ(StatOf("/notify_on_release").st_size, 4096);
  EXPECT_EQ(StatOf("/tasks").st_size, 4096);
  machine_.tasks = 100'000;
  EXPECT_EQ(StatOf("/tasks").st_size % 4096, 0);
  EXPECT_GE(StatOf("/tasks").st_size, 100'000 * 8);
  EXPECT_GE(StatOf("/tasks").st_blksize, StatOf("/tasks").st_size);
}

}  // namespace
}  // namespace corral
