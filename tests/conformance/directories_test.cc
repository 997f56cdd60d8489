// Spec 5, with the dialects' names, set-group-ID directories and renames (2.22 to 2.25).
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "conformance/conformance.h"
#include "support/rounds.h"

namespace corral {
namespace {

class Directories : public Conformance {
 protected:
  // Names in a directory, by a descriptor that is held.
  static std::set<std::string> NamesIn(int directory) {
    std::set<std::string> names;
    DIR* const list = ::fdopendir(::dup(directory));
    if (!list) return {"fdopendir failed"};
    ::rewinddir(list);
    while (const dirent* entry = ::readdir(list)) names.insert(entry->d_name);
    ::closedir(list);
    names.erase(".");
    names.erase("..");
    return names;
  }
};
CORRAL_IN_EVERY_DIALECT(Directories);

TEST_P(Directories, MkdirMakesAGroupOfAnyNameButAnExistingOne) {
  Spec("5.1");
  const std::string g = Group("g");
  EXPECT_EQ(Code(::access((g + "/tasks").c_str(), F_OK)), 0);
  EXPECT_EQ(Mkdir(g), EEXIST);
  EXPECT_EQ(Mkdir(g + "/tasks"), EEXIST);
  for (const std::string name : {" ", "a b", "-", "...", "\x01\xff\xfe", "\\", "x:y,z=w"}) {
    EXPECT_EQ(Mkdir(mnt() + "/" + name), 0) << name;
    EXPECT_EQ(Rmdir(mnt() + "/" + name), 0) << name;
  }
}

TEST_P(Directories, ANewlineInANameIsTheDialectsMatter) {
  Spec("2.22 5.1");
  const std::string name = mnt() + "/new\nline", g = Group("g");
  const int expected = ByDialect(0, 0, EINVAL, EINVAL);
  EXPECT_EQ(Mkdir(name), expected);
  EXPECT_EQ(Rename(g, mnt() + "/g\n"), expected);
}

TEST_P(Directories, ANameOfMoreThan255BytesIsTheDialectsMatter) {
  Spec("2.23 5.1 14.6");
  EXPECT_EQ(Mkdir(mnt() + "/" + std::string(255, 'n')), 0);
  const std::string longer = mnt() + "/" + std::string(256, 'n');
  EXPECT_EQ(Mkdir(longer), Is("linux") ? 0 : ENAMETOOLONG);
  const std::string longest = mnt() + "/" + std::string(1024, 'n');
  EXPECT_EQ(Mkdir(longest), Is("linux") ? 0 : ENAMETOOLONG);
  EXPECT_EQ(Mkdir(longest + "n"), ENAMETOOLONG);
}

TEST_P(Directories, AChildInheritsFlagsWhenItIsMadeAndNeverLater) {
  Spec("5.2");
  std::vector<std::string> flags{"/notify_on_release"};
  if (Is("linux")) flags.push_back("/cgroup.clone_children");
  const std::string g = Group("g"), before = Group("g/before");
  for (const std::string& flag : flags) {
    ASSERT_EQ(Write(g + flag, "1"), 0);
    EXPECT_EQ(Read(before + flag), "0\n") << flag;
  }
  const std::string after = Group("g/after");
  for (const std::string& flag : flags) {
    EXPECT_EQ(Read(after + flag), "1\n") << flag;
    ASSERT_EQ(Write(g + flag, "0"), 0);
    EXPECT_EQ(Read(after + flag), "1\n") << flag;
  }
}

TEST_P(Directories, RmdirWantsNoTasksAndNoChildren) {
  Spec("5.3");
  const std::string g = Group("g"), child = Group("g/child");
  EXPECT_EQ(Rmdir(g), EBUSY);
  const pid_t task = SleeperIn(child);
  EXPECT_EQ(Rmdir(child), EBUSY);
  End(task);
  EXPECT_EQ(Rmdir(child), 0);
  EXPECT_EQ(Rmdir(g), 0);
  EXPECT_EQ(Code(::access((g + "/tasks").c_str(), F_OK)), ENOENT);
}

TEST_P(Directories, ZombiesOpenFilesAndWorkingDirectoriesDoNotHoldAGroup) {
  Spec("5.3");
  const std::string g = Group("g");
  const pid_t zombie = SleeperIn(g);
  ::kill(zombie, SIGKILL);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT), 0);
  const Fd file = Open(g + "/tasks", O_RDWR), directory = Open(g, O_RDONLY | O_DIRECTORY);
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  Child([&] {
    if (::chdir(g.c_str()) != 0 || ::write(ready[1], "r", 1) != 1) ::_exit(1);
    ::pause();
  });
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(Rmdir(g), 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_P(Directories, ControlFilesAreNotRemovedOneByOne) {
  Spec("5.3");
  const std::string g = Group("g");
  EXPECT_EQ(Code(::unlink((g + "/tasks").c_str())), EPERM);
  EXPECT_EQ(Code(::unlink((g + "/notify_on_release").c_str())), EPERM);
}

TEST_P(Directories, AttachAndRmdirExcludeEachOther) {
  Spec("5.3");
  const std::string task = std::to_string(Sleeper());
  int attached = 0;
  for (int round = 0; round < Rounds(100); ++round) {
    const std::string g = Group("g");
    const Fd tasks = Open(g + "/tasks", O_WRONLY);
    std::atomic<bool> go = false;
    int write_error = -1;
    std::thread writer([&] {
      while (!go) {
      }
      write_error = Code(::write(tasks.get(), task.data(), task.size()));
    });
    go = true;
    const int rmdir_error = Rmdir(g);
    writer.join();
    if (write_error == 0) {
      ASSERT_EQ(rmdir_error, EBUSY) << round;
      ASSERT_EQ(Read(g + "/tasks"), task + "\n");
      ASSERT_EQ(Write(mnt() + "/tasks", task), 0);
      ASSERT_EQ(Rmdir(g), 0);
      ++attached;
    } else {
      ASSERT_EQ(write_error, ENODEV) << round;
      ASSERT_EQ(rmdir_error, 0) << round;
    }
  }
  RecordProperty("attached", attached);
}

TEST_P(Directories, NothingButGroupsIsMade) {
  Spec("5.4");
  const std::string g = Group("g"), x = g + "/x";
  const auto denied = [](int error) { return error == EACCES || error == EPERM; };
  EXPECT_PRED1(denied, OpenError(x, O_CREAT | O_WRONLY));
  EXPECT_PRED1(denied, Code(::mknod(x.c_str(), S_IFREG | 0644, 0)));
  EXPECT_EQ(Code(::mkfifo(x.c_str(), 0644)), EPERM);
  EXPECT_EQ(Code(::symlink("tasks", x.c_str())), EPERM);
  EXPECT_EQ(Code(::link((g + "/tasks").c_str(), x.c_str())), EPERM);
  EXPECT_EQ(Rmdir(g + "/tasks"), ENOTDIR);
  EXPECT_EQ(Code(::unlink(g.c_str())), EISDIR);
  EXPECT_EQ(Code(::access(x.c_str(), F_OK)), ENOENT);
}

TEST_P(Directories, RenameChecksInOrder) {
  Spec("5.5");
  const std::string a = Group("a"), b = Group("b");
  Group("b/taken");
  EXPECT_EQ(Rename(a + "/tasks", a + "/other"), ENOTDIR);
  EXPECT_EQ(Rename(a + "/tasks", b + "/notify_on_release"), ENOTDIR) << "before EEXIST and EIO";
  EXPECT_EQ(Rename(a, b), EEXIST);
  EXPECT_EQ(Rename(a, b + "/free"), EIO);
  EXPECT_EQ(Code(::access(a.c_str(), F_OK)), 0);
}

TEST_P(Directories, RenameOntoATakenNameElsewhereIsTheDialectsMatter) {
  Spec("2.25 5.5");
  const std::string a = Group("a"), b = Group("b");
  Group("b/taken");
  EXPECT_EQ(Rename(a, b + "/taken"), ByDialect(EEXIST, EEXIST, EEXIST, EIO));
}

TEST_P(Directories, APopulatedGroupKeepsAllWhenItIsRenamed) {
  Spec("5.5");
  SetLoggingAgent();
  const std::string a = Group("a"), child = Group("a/child");
  Notify(a);
  Notify(child);
  const auto inode = StatOf(a).st_ino;
  const pid_t one = SleeperIn(a), two = SleeperIn(child);
  ASSERT_EQ(Rename(a, mnt() + "/b"), 0);
  EXPECT_EQ(StatOf(mnt() + "/b").st_ino, inode);
  EXPECT_EQ(Read(mnt() + "/b/tasks"), std::to_string(one) + "\n");
  EXPECT_EQ(Read(mnt() + "/b/notify_on_release"), "1\n");
  EXPECT_EQ(Code(::access(a.c_str(), F_OK)), ENOENT);
  End(two);
  EXPECT_EQ(Told(1), Lines{"/b/child"}) << "the path follows";
}

TEST_P(Directories, DescriptorsOutliveTheGroupButReachNothing) {
  Spec("5.6");
  const std::string g = Group("g");
  const auto inode = StatOf(g).st_ino;
  const Fd tasks = Open(g + "/tasks", O_RDWR), flag = Open(g + "/notify_on_release", O_RDWR);
  const Fd directory = Open(g, O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(Rmdir(g), 0);
  EXPECT_EQ(Code(::write(tasks.get(), "0", 1)), ENODEV);
  EXPECT_EQ(Code(::write(flag.get(), "1", 1)), ENODEV);
  EXPECT_TRUE(NamesIn(directory.get()).empty());
  EXPECT_EQ(Code(::mkdirat(directory.get(), "x", 0755)), ENOENT);
  EXPECT_EQ(Code(::openat(directory.get(), "tasks", O_RDONLY)), ENOENT);
  const std::string again = Group("g");
  EXPECT_NE(StatOf(again).st_ino, inode);
  EXPECT_EQ(Read(again + "/tasks"), "");
  EXPECT_EQ(Code(::write(tasks.get(), "0", 1)), ENODEV) << "the new one is another";
}

TEST_P(Directories, TwoHundredLevelsWork) {
  Spec("5.7");
  std::string path;
  for (int level = 0; level < 200; ++level) path += level == 0 ? "d" : "/d";
  ASSERT_EQ(Sh("mkdir -p $MNT/" + path).status, 0);
  const pid_t task = SleeperIn(mnt() + "/" + path);
  EXPECT_TRUE(Lists(mnt() + "/" + path + "/tasks", task));
  End(task);
  EXPECT_EQ(Sh("cd $MNT && rmdir -p " + path + "; ls -d d 2>/dev/null").out, "");
}

TEST_P(Directories, ASetGroupIdDirectoryIsTheDialectsMatter) {
  Spec("2.24");
  const std::string g = Group("g");
  ASSERT_EQ(Code(::chown(g.c_str(), 0, 4321)), 0);
  ASSERT_EQ(Code(::chmod(g.c_str(), 02775)), 0);
  const std::string child = Group("g/child");
  const bool inherits = Is("linux");
  EXPECT_EQ(StatOf(child).st_gid, inherits ? 4321u : 0u);
  EXPECT_EQ(StatOf(child).st_mode & 07777, inherits ? 02755u : 0755u);
  EXPECT_EQ(StatOf(child + "/tasks").st_gid, inherits ? 4321u : 0u);
  EXPECT_EQ(StatOf(child + "/tasks").st_mode & 07777, 0644u);
}

}  // namespace
}  // namespace corral
