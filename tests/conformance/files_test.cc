// Spec 4.1 to 4.4 and 4.6: control files, their attributes, the extension files. Spec 2.1, 2.6
// to 2.8.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "conformance/conformance.h"

namespace corral {
namespace {

class Files : public Conformance {
 protected:
  static std::set<std::string> FilesIn(const std::string& directory) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (!entry.is_directory()) names.insert(entry.path().filename());
    }
    return names;
  }
  static unsigned Mode(const std::string& path) { return StatOf(path).st_mode & 07777; }
};
CORRAL_IN_EVERY_DIALECT(Files);

TEST_P(Files, EachDialectHasItsFiles) {
  Spec("2.1 4.6");
  using Names = std::set<std::string>;
  const Names v6{"notify_on_release", "tasks"};
  const Names v11{"notify_on_release", "tasks", "releasable"};
  const Names corral{
      "notify_on_release", "tasks",       "releasable",       "cgroup.procs",
      "cgroup.events",     "cgroup.kill", "cgroup.max.depth", "cgroup.max.descendants"};
  const Names today{"tasks", "cgroup.procs", "notify_on_release", "cgroup.clone_children"};
  Names expected = ByDialect(v6, v11, corral, today);
  EXPECT_EQ(FilesIn(Group("g")), expected);
  if (!Is("v6")) expected.insert("release_agent");
  if (Is("linux")) expected.insert("cgroup.sane_behavior");
  expected.erase("cgroup.kill");  // which would end every process of the machine
  for (const char* quota : {"cgroup.max.depth", "cgroup.max.descendants"}) expected.erase(quota);
  EXPECT_EQ(FilesIn(mnt()), expected);
}

TEST_P(Files, ControlFilesAre0644WhateverTheUmask) {
  Spec("4.1");
  ::umask(0777);
  const std::string g = Group("g");
  ::umask(022);
  for (const char* file : {"/tasks", "/notify_on_release"}) {
    EXPECT_EQ(Mode(g + file), 0644u) << file;
    EXPECT_EQ(Mode(mnt() + file), 0644u) << file;
    const struct stat st = StatOf(g + file);
    EXPECT_EQ(st.st_nlink, 1u);
    EXPECT_EQ(st.st_uid, 0u);
    EXPECT_EQ(st.st_gid, 0u);
    EXPECT_TRUE(S_ISREG(st.st_mode));
  }
}

TEST_P(Files, AFileWithoutAWriteHandlerHasItsDialectsMode) {
  Spec("2.7 4.1");
  if (v6()) NOT_APPLICABLE("all its files can be written");
  const std::string file =
      Is("linux") ? mnt() + "/cgroup.sane_behavior" : Group("g") + "/releasable";
  EXPECT_EQ(Mode(file), ByDialect(0u, 0644u, 0444u, 0444u));
  if (Is("corral")) {
    EXPECT_EQ(Mode(mnt() + "/g/cgroup.events"), 0444u);
  }
}

TEST_P(Files, TheTopDirectoryHasItsDialectsMode) {
  Spec("2.21 4.1");
  EXPECT_EQ(Mode(mnt()), ByDialect(0755u, 0755u, 0755u, 0555u));
}

TEST_P(Files, ANewDirectoryIsItsCreators) {
  Spec("4.2");
  const std::string g = Group("g");
  ASSERT_EQ(Code(::chown(g.c_str(), 1234, 0)), 0);
  EXPECT_EQ(As(1234, 4321,
               [&] {
                 ::umask(027);
                 return Mkdir(g + "/made", 07777);
               }),
            0);
  for (const char* name : {"/made", "/made/tasks", "/made/notify_on_release"}) {
    EXPECT_EQ(StatOf(g + name).st_uid, 1234u) << name;
    EXPECT_EQ(StatOf(g + name).st_gid, 4321u) << name;
  }
  EXPECT_EQ(Mode(g + "/made"), 01750u) << "the sticky bit stays, set-id bits do not";
  EXPECT_EQ(Mode(g + "/made/tasks"), 0644u);
}

TEST_P(Files, ADirectoryCountsItsChildrenAsLinks) {
  Spec("4.3");
  const std::string g = Group("g");
  EXPECT_EQ(StatOf(g).st_nlink, 2u);
  Group("g/a");
  Group("g/b");
  EXPECT_EQ(StatOf(g).st_nlink, 4u);
  Group("g/b/c");
  EXPECT_EQ(StatOf(g).st_nlink, 4u);
  ASSERT_EQ(Rmdir(g + "/a"), 0);
  EXPECT_EQ(StatOf(g).st_nlink, 3u);
}

TEST_P(Files, AttributesLastAsLongAsTheGroup) {
  Spec("4.4");
  const std::string g = Group("g"), moved = mnt() + "/moved";
  ASSERT_EQ(Code(::chmod((g + "/tasks").c_str(), 0620)), 0);
  ASSERT_EQ(Code(::chown((g + "/tasks").c_str(), 12, 34)), 0);
  ASSERT_EQ(Code(::chmod(g.c_str(), 0700)), 0);
  ASSERT_EQ(Code(::chown(g.c_str(), 56, 78)), 0);
  const timespec times[] = {{1000, 5}, {2000, 7}};
  ASSERT_EQ(Code(::utimensat(AT_FDCWD, (g + "/notify_on_release").c_str(), times, 0)), 0);
  ASSERT_EQ(Rename(g, moved), 0);
  ASSERT_EQ(Write("/proc/sys/vm/drop_caches", "2"), 0);
  const struct stat tasks = StatOf(moved + "/tasks"), group = StatOf(moved);
  EXPECT_EQ(tasks.st_mode & 07777, 0620u);
  EXPECT_EQ(std::pair(tasks.st_uid, tasks.st_gid), std::pair(12u, 34u));
  EXPECT_EQ(group.st_mode & 07777, 0700u);
  EXPECT_EQ(std::pair(group.st_uid, group.st_gid), std::pair(56u, 78u));
  const struct stat flag = StatOf(moved + "/notify_on_release");
  EXPECT_EQ(std::pair(flag.st_atim.tv_sec, flag.st_mtim.tv_sec), std::pair(1000l, 2000l));
  EXPECT_EQ(flag.st_mtim.tv_nsec, 7);
}

TEST_P(Files, AttributesAreChangedByThoseWhoMay) {
  Spec("4.4");
  const std::string g = Group("g"), tasks = g + "/tasks";
  ASSERT_EQ(Code(::chown(tasks.c_str(), 1234, 1234)), 0);
  EXPECT_EQ(As(1234, 1234, [&] { return Code(::chmod(tasks.c_str(), 0600)); }), 0);
  EXPECT_EQ(As(1234, 1234, [&] { return Code(::chmod(g.c_str(), 0777)); }), EPERM);
  EXPECT_EQ(As(1234, 1234, [&] { return Code(::chown(tasks.c_str(), 0, 0)); }), EPERM);
  EXPECT_EQ(As(9999, 9999, [&] { return Code(::chmod(tasks.c_str(), 0666)); }), EPERM);
  EXPECT_EQ(Mode(tasks), 0600u);
}

TEST_P(Files, ContentsDoNotChangeTimestamps) {
  Spec("4.4");
  const std::string g = Group("g");
  const timespec times[] = {{1000, 0}, {2000, 0}};
  for (const char* name : {"/tasks", "/notify_on_release"}) {
    ASSERT_EQ(Code(::utimensat(AT_FDCWD, (g + name).c_str(), times, 0)), 0);
  }
  const struct stat before = StatOf(g + "/tasks");
  End(SleeperIn(g));
  ASSERT_EQ(Write(g + "/notify_on_release", "1"), 0);
  EXPECT_EQ(Read(g + "/notify_on_release"), "1\n");
  EXPECT_EQ(Read(g + "/tasks"), "");
  for (const char* name : {"/tasks", "/notify_on_release"}) {
    const struct stat now = StatOf(g + name);
    EXPECT_EQ(std::pair(now.st_atim.tv_sec, now.st_mtim.tv_sec), std::pair(1000l, 2000l)) << name;
  }
  EXPECT_EQ(StatOf(g + "/tasks").st_ctim.tv_nsec, before.st_ctim.tv_nsec);
}

// Leading zeros are a number in every dialect.
TEST_P(Files, TheLongestWriteIsTheDialects) {
  Spec("2.6 6.5");
  const long cpus = ::sysconf(_SC_NPROCESSORS_CONF);
  const std::size_t longest = v6() ? 100 + 6 * static_cast<std::size_t>(cpus) : 4096;
  const std::string flag = Group("g") + "/notify_on_release";
  EXPECT_EQ(Write(flag, std::string(longest - 1, '0') + "1"), 0);
  EXPECT_EQ(Read(flag), "1\n");
  EXPECT_EQ(Write(flag, std::string(longest + 1, '0')), E2BIG);
  EXPECT_EQ(Read(flag), "1\n");
  const std::string tasks = mnt() + "/g/tasks", task = std::to_string(Sleeper());
  // White space before a number is fine in every dialect.
  EXPECT_EQ(Write(tasks, std::string(longest + 1 - task.size(), ' ') + task), E2BIG);
  EXPECT_EQ(Read(tasks), "");
  EXPECT_EQ(Write(tasks, std::string(longest - task.size(), ' ') + task), 0);
  EXPECT_EQ(Read(tasks), task + "\n");
}

// Never read before the group is removed, and read in part.
TEST_P(Files, AFileOfARemovedGroupIsReadAsTheDialectHasIt) {
  Spec("2.8 5.6");
  const std::string g = Group("g");
  const pid_t task = SleeperIn(g);
  const std::string line = std::to_string(task) + "\n";
  const Fd unread = Open(g + "/tasks", O_RDONLY), begun = Open(g + "/tasks", O_RDONLY);
  const Fd flag = Open(g + "/notify_on_release", O_RDONLY);
  char first = 0;
  ASSERT_EQ(::pread(begun.get(), &first, 1, 0), 1);
  End(task);
  ASSERT_EQ(Rmdir(g), 0);
  EXPECT_EQ(first + ReadOn(begun.get(), 1), line);
  if (Is("linux")) {
    EXPECT_EQ(ReadError(unread.get()), ENODEV);
    EXPECT_EQ(ReadError(flag.get()), ENODEV);
  } else {
    EXPECT_EQ(ReadOn(unread.get(), 0), line);
    EXPECT_EQ(ReadOn(flag.get(), 0), "0\n");
  }
}

// ---- extension files

TEST_P(Files, EventsTellOfTheSubtreeAndWakePollers) {
  Spec("4.6");
  if (!Is("corral")) NOT_APPLICABLE("no such file");
  const std::string g = Group("g"), child = Group("g/child");
  const Fd events = Open(g + "/cgroup.events", O_RDONLY);
  EXPECT_EQ(ReadOn(events.get(), 0), "populated 0\nreleases 0\n");
  pollfd waiting = {.fd = events.get(), .events = POLLPRI, .revents = 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  const pid_t task = SleeperIn(child);
  ASSERT_EQ(::poll(&waiting, 1, 10'000), 1);
  EXPECT_EQ(waiting.revents & (POLLPRI | POLLERR), POLLPRI | POLLERR);
  EXPECT_EQ(ReadOn(events.get(), 0), "populated 1\nreleases 0\n");
  EXPECT_EQ(::poll(&waiting, 1, 0), 0) << "read, so nothing new";
  End(task);
  ASSERT_EQ(::poll(&waiting, 1, 10'000), 1);
  EXPECT_EQ(ReadOn(events.get(), 0), "populated 0\nreleases 0\n");
  EXPECT_EQ(Read(child + "/cgroup.events"), "populated 0\nreleases 1\n");
}

TEST_P(Files, KillEndsWholeProcessesOfTheSubtree) {
  Spec("4.6");
  if (!Is("corral")) NOT_APPLICABLE("no such file");
  const std::string g = Group("g"), child = Group("g/child");
  const pid_t one = SleeperIn(g), two = SleeperIn(child), outside = Sleeper();
  const pid_t forking = Child([&] {
    if (Write(child + "/tasks", "0") != 0) ::_exit(1);
    ::signal(SIGCHLD, SIG_IGN);
    for (;;) {
      if (::fork() == 0) ::pause();
      ::usleep(500);
    }
  });
  EXPECT_TRUE(Eventually([&] { return SplitLines(Read(child + "/tasks")).size() > 5; }));
  EXPECT_EQ(Write(g + "/cgroup.kill", "2"), EINVAL);
  EXPECT_EQ(Write(g + "/cgroup.kill", "1"), 0);
  for (const pid_t task : {one, two, forking}) End(task);
  EXPECT_TRUE(Eventually([&] { return Read(child + "/tasks").empty(); }));
  EXPECT_EQ(Code(::kill(outside, 0)), 0);
  EXPECT_TRUE(Lists(mnt() + "/tasks", outside));
}

}  // namespace
}  // namespace corral
