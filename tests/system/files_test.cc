// The tree as files, with coreutils and system calls (spec 4 to 9).
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "system/instance.h"

namespace corral {
namespace {

class Files : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (!IsSkipped()) Mount("none,name=files");
  }
};

TEST_F(Files, EveryCgroupHasItsControlFilesAndTheTopTheAgent) {
  EXPECT_EQ(Sh("mkdir $MNT/a; ls $MNT/a | tr '\\n' ' '").out,
            "cgroup.events cgroup.kill cgroup.max.depth cgroup.max.descendants cgroup.procs "
            "notify_on_release releasable tasks ");
  EXPECT_EQ(Sh("ls $MNT | tr '\\n' ' '").out,
            "a cgroup.events cgroup.procs notify_on_release releasable release_agent tasks ");
  EXPECT_EQ(Sh("stat -c %a,%h $MNT/a/tasks $MNT/a/releasable $MNT").out, "644,1\n444,1\n755,3\n");
}

TEST_F(Files, AShellPutsItselfInAndItsChildrenFollow) {
  const Outcome session =
      Sh("mkdir $MNT/job\n"
         "echo $$ > $MNT/job/tasks\n"
         "sleep 60 & one=$!\n"
         "(sleep 60 & : > $WORK/two; wait) & two=$!\n"
         "until [ -e $WORK/two ]; do :; done\n"
         "wc -l < $MNT/job/tasks\n"  // shell, sleep, subshell, its sleep; the shell opens the list
         "grep -cx -e $$ -e $one -e $two $MNT/job/tasks\n"
         "echo 1 > $MNT/job/cgroup.kill");
  EXPECT_EQ(session.out, "4\n3\n");
  EXPECT_TRUE(Eventually([&] { return Sh("rmdir $MNT/job").status == 0; }));
}

TEST_F(Files, MkdirRmdirAndRenameAnswerAsTheSpecificationSays) {
  const std::string a = mnt() + "/a", b = mnt() + "/b";
  ASSERT_EQ(::mkdir(a.c_str(), 0755), 0);
  EXPECT_EQ(::mkdir(a.c_str(), 0755), -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(::mkdir((mnt() + "/" + std::string(256, 'n')).c_str(), 0755), -1);
  EXPECT_EQ(errno, ENAMETOOLONG);
  EXPECT_EQ(::mkdir((mnt() + "/new\nline").c_str(), 0755), -1);
  EXPECT_EQ(errno, EINVAL);
  ASSERT_EQ(::mkdir((a + "/child").c_str(), 0755), 0);
  EXPECT_EQ(::rmdir(a.c_str()), -1);
  EXPECT_EQ(errno, EBUSY);
  EXPECT_EQ(::rmdir((a + "/tasks").c_str()), -1);
  EXPECT_EQ(errno, ENOTDIR);
  EXPECT_EQ(::unlink((a + "/tasks").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::unlink(a.c_str()), -1);
  EXPECT_EQ(errno, EISDIR);
  struct stat before, after;
  ASSERT_EQ(::stat(a.c_str(), &before), 0);
  ASSERT_EQ(::rename(a.c_str(), b.c_str()), 0);
  ASSERT_EQ(::stat(b.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(::rename((b + "/child").c_str(), (mnt() + "/child").c_str()), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(::rename((b + "/tasks").c_str(), (b + "/other").c_str()), -1);
  EXPECT_EQ(errno, ENOTDIR);
  EXPECT_EQ(::symlink("x", (b + "/link").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST_F(Files, WritesToTasksHaveTheExactErrno) {
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const std::string tasks = mnt() + "/a/tasks";
  const struct {
    const char* bytes;
    int error;
  } kCases[] = {{"", 0},       {" ", EIO},          {"x", EIO},
                {"-5", ESRCH}, {"99999999", ESRCH}, {"4294967297", ESRCH},
                {"\n\n", EIO}};
  for (const auto& c : kCases) EXPECT_EQ(Write(tasks, c.bytes), c.error) << c.bytes;
  EXPECT_EQ(Write(tasks, std::string(5000, ' ')), E2BIG);
  EXPECT_EQ(Sh("wc -c < $MNT/a/tasks").out, "0\n");

  const pid_t zombie = ::fork();
  if (zombie == 0) ::_exit(0);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, zombie, &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(Write(tasks, std::to_string(zombie)), ESRCH);
  ::waitpid(zombie, nullptr, 0);
}

TEST_F(Files, AHeldDescriptorOutlivesItsCgroup) {
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const int fd = ::open((mnt() + "/a/tasks").c_str(), O_RDWR | O_CLOEXEC);
  const int dir = ::open((mnt() + "/a").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat old_one, new_one;
  ASSERT_EQ(::fstat(dir, &old_one), 0);
  ASSERT_EQ(Sh("rmdir $MNT/a").status, 0);
  EXPECT_EQ(::write(fd, "0", 1), -1);
  EXPECT_EQ(errno, ENODEV);
  EXPECT_EQ(::mkdirat(dir, "x", 0755), -1);
  EXPECT_EQ(errno, ENOENT);
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  ASSERT_EQ(::stat((mnt() + "/a").c_str(), &new_one), 0);
  EXPECT_NE(old_one.st_ino, new_one.st_ino);
  ::close(fd);
  ::close(dir);
}

TEST_F(Files, TheListIsTheOneOfTheOpen) {
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const std::string tasks = mnt() + "/a/tasks";
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  ASSERT_EQ(Write(tasks, std::to_string(child)), 0);
  const int fd = ::open(tasks.c_str(), O_RDONLY | O_CLOEXEC);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(Read(tasks), "") << "gone after waitpid (spec 10.10)";
  char first[2] = {};
  ASSERT_EQ(::read(fd, first, 1), 1);
  char rest[32] = {};
  ASSERT_GT(::read(fd, rest, sizeof rest), 0);
  EXPECT_EQ(std::string(first) + rest, std::to_string(child) + "\n");
  ::close(fd);
  EXPECT_EQ(Sh("rmdir $MNT/a").status, 0);
}

TEST_F(Files, TheTopListsEveryTaskOfTheMachine) {
  // Tasks come and go between the two looks: only those that /proc shows before and after.
  EXPECT_EQ(Sh("all() { ps -eLo tid=,stat= | awk '$2 !~ /Z|X/ { print $1 }' | sort; }\n"
               "all > $WORK/before; sort $MNT/tasks > $WORK/listed; all > $WORK/after\n"
               "comm -12 $WORK/before $WORK/after | comm -23 - $WORK/listed")
                .out,
            "");
}

TEST_F(Files, CopiesAreWhole) {
  const Outcome copy =
      Sh("cat $MNT/tasks > $WORK/cat; cp $MNT/tasks $WORK/cp\n"
         "python3 -c 'import shutil,sys; shutil.copyfile(sys.argv[1], sys.argv[2])' "
         "$MNT/tasks $WORK/py\n"
         "for f in cat cp py; do grep -cx 1 $WORK/$f; tail -c1 $WORK/$f | od -An -c; done");
  EXPECT_EQ(copy.out, "1\n  \\n\n1\n  \\n\n1\n  \\n\n");
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const int in = ::open((mnt() + "/a/notify_on_release").c_str(), O_RDONLY | O_CLOEXEC);
  const int out = ::open((work() + "/sent").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  EXPECT_EQ(::sendfile(out, in, nullptr, 4096), 2);
  EXPECT_EQ(Read(work() + "/sent"), "0\n");
  ::close(in);
  ::close(out);
}

TEST_F(Files, PollersOfEventsAreWoken) {
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const std::string path = mnt() + "/a/cgroup.events";
  EXPECT_EQ(Read(path), "populated 0\nreleases 0\n");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char text[64] = {};
  ASSERT_GT(::pread(fd, text, sizeof text, 0), 0);
  pollfd waiting = {.fd = fd, .events = POLLPRI, .revents = 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  ASSERT_EQ(Write(mnt() + "/a/tasks", std::to_string(child)), 0);
  ASSERT_EQ(::poll(&waiting, 1, 60'000), 1);
  EXPECT_EQ(waiting.revents & (POLLPRI | POLLERR), POLLPRI | POLLERR);
  ASSERT_GT(::pread(fd, text, sizeof text, 0), 0);
  EXPECT_STREQ(text, "populated 1\nreleases 0\n");
  std::thread killer([&] {
    ::usleep(50'000);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  });
  ASSERT_EQ(::poll(&waiting, 1, 60'000), 1);
  killer.join();
  EXPECT_TRUE(Eventually([&] { return Read(path) == "populated 0\nreleases 1\n"; }));
  ::close(fd);
}

TEST_F(Files, KillEndsTheSubtree) {
  EXPECT_EQ(Sh("mkdir -p $MNT/a/b\n"
               "sh -c 'echo 0 > $MNT/a/tasks; sleep 60 & sleep 60 & wait' &\n"
               "sh -c 'echo 0 > $MNT/a/b/tasks; setsid sleep 60 & wait' &\n"
               "left() { cat $MNT/a/tasks $MNT/a/b/tasks | wc -l; }\n"
               "until [ $(left) = 5 ]; do sleep 0.05; done\n"
               "echo 1 > $MNT/a/cgroup.kill; wait\n"
               "for i in $(seq 100); do [ $(left) = 0 ] && break; sleep 0.05; done; left")
                .out,
            "0\n");
  EXPECT_EQ(Write(mnt() + "/a/cgroup.kill", "2"), EINVAL);
}

TEST_F(Files, DelegationByChownLetsAUserManageItsOwnTasksOnly) {
  ASSERT_EQ(Sh("mkdir $MNT/d && chown -R 65534 $MNT/d").status, 0);
  const Outcome user =
      Sh("cat > $WORK/user.sh <<'E'\n"
         "mkdir $MNT/d/sub && echo 0 > $MNT/d/sub/tasks && wc -l < $MNT/d/sub/tasks\n"
         "/bin/echo 2 > $MNT/d/tasks\n"  // kthreadd: not its own
         "mkdir $MNT/e\n"
         "E\n"
         "setpriv --reuid 65534 --clear-groups sh $WORK/user.sh");
  EXPECT_NE(user.out.find("1\n"), std::string::npos) << user.out;
  EXPECT_NE(user.out.find("write error: Permission denied"), std::string::npos) << user.out;
  EXPECT_NE(user.out.find("cannot create directory"), std::string::npos) << user.out;
}

TEST_F(Files, AttributesStay) {
  EXPECT_EQ(Sh("mkdir $MNT/a; chmod 600 $MNT/a/tasks; chown 7:8 $MNT/a; "
               "touch -d @1000 $MNT/a/releasable; mv $MNT/a $MNT/b; "
               "echo 2 > /proc/sys/vm/drop_caches; "
               "stat -c '%a %u:%g %Y' $MNT/b/tasks $MNT/b $MNT/b/releasable | "
               "sed '1,2s/ [0-9]*$//'")
                .out,
            "600 0:0\n755 7:8\n444 0:0 1000\n");
}

TEST_F(Files, AWholeProcessMovesWithItsThreads) {
  ASSERT_EQ(Sh("mkdir $MNT/p").status, 0);
  std::atomic<bool> go = false;
  std::thread other([&] { go.wait(false); });
  EXPECT_EQ(Write(mnt() + "/p/cgroup.procs", "0"), 0);
  EXPECT_EQ(Read(mnt() + "/p/cgroup.procs"), std::to_string(::getpid()) + "\n");
  EXPECT_EQ(Sh("wc -l < $MNT/p/tasks").out, "3\n") << "two threads and the shell";
  EXPECT_EQ(Write(mnt() + "/cgroup.procs", "0"), 0);
  EXPECT_EQ(Read(mnt() + "/p/tasks"), "");
  go = true;
  go.notify_all();
  other.join();
}

class Listing : public Files {
 protected:
  static std::size_t ResidentKilobytes(const std::string& pid) {
    return std::strtoul(Sh("awk '/^VmRSS/{print $2}' /proc/" + pid + "/status").out.c_str(),
                        nullptr, 10);
  }
  static std::string Daemon() {
    return std::to_string(std::atoi(Sh("corral status --json | jq .daemon_pid").out.c_str()));
  }
  void MakeMany(int from, int to) const {
    for (int i = from; i < to; ++i) {
      ASSERT_EQ(::mkdir((mnt() + "/g" + std::to_string(i)).c_str(), 0755), 0) << i;
    }
  }
  using Directory = std::unique_ptr<DIR, decltype([](DIR* dir) { ::closedir(dir); })>;
  Directory OpenTop() const { return Directory(::opendir(mnt().c_str())); }
};

TEST_F(Listing, MeetsEachOnceWhileOthersComeAndGo) {
  constexpr int kGroups = 2000;
  MakeMany(0, kGroups);
  const Directory top = OpenTop();
  std::map<std::string, int> met;
  int step = 0;
  while (const dirent* entry = ::readdir(top.get())) {
    ++met[entry->d_name];
    // Every seventh goes, one comes, one is renamed: before this place and behind it.
    if (++step % 20 != 0) continue;
    const std::string n = std::to_string(7 * (step / 20));
    ASSERT_EQ(::rmdir((mnt() + "/g" + n).c_str()), 0);
    ASSERT_EQ(::mkdir((mnt() + "/new" + n).c_str(), 0755), 0);
  }
  for (int i = 0; i < kGroups; ++i) {
    const int times = met["g" + std::to_string(i)];
    EXPECT_TRUE(times == 1 || (times == 0 && i % 7 == 0)) << i << ": " << times;
  }
}

TEST_F(Listing, CanBeTakenUpAnywhere) {
  MakeMany(0, 300);
  const Directory top = OpenTop();
  std::vector<std::pair<long, std::string>> places;
  for (;;) {
    const long place = ::telldir(top.get());
    const dirent* entry = ::readdir(top.get());
    if (!entry) break;
    places.emplace_back(place, entry->d_name);
  }
  ASSERT_GT(places.size(), 300u);
  for (const std::size_t at :
       {std::size_t{250}, std::size_t{3}, places.size() - 1, std::size_t{0}}) {
    ::seekdir(top.get(), places[at].first);
    EXPECT_EQ(::readdir(top.get())->d_name, places[at].second);
  }
  MakeMany(300, 301);
  ::rewinddir(top.get());
  std::set<std::string> names;
  while (const dirent* entry = ::readdir(top.get())) names.insert(entry->d_name);
  EXPECT_TRUE(names.contains("g300"));
  EXPECT_EQ(names.size(), places.size() + 1);
}

TEST_F(Listing, ManyOpenDirectoriesCostNothing) {
  MakeMany(0, 4000);
  const std::string daemon = Daemon();
  std::vector<Directory> open;
  const auto open_one = [&] {
    open.push_back(OpenTop());
    std::size_t entries = 0;
    while (::readdir(open.back().get())) ++entries;
    EXPECT_GT(entries, 4000u);
  };
  open_one();
  const std::size_t before = ResidentKilobytes(daemon);
  ASSERT_GT(before, 0u);
  for (int i = 0; i < 60; ++i) open_one();  // a listing is 200 kB at least
  EXPECT_LT(ResidentKilobytes(daemon), before + 5000);
}

// A descriptor of the view is none of the daemon's.
TEST_F(Listing, FilesOfTheProcViewHoldNoDescriptorOfTheDaemons) {
  const std::string daemon = Daemon();
  const auto held = [&] { return std::atoi(Sh("ls /proc/" + daemon + "/fd | wc -l").out.c_str()); };
  const std::string file =
      "/run/corral/" + std::string(std::getenv("CORRAL_INSTANCE")) + "/proc/self/cgroup";
  const int before = held();
  std::vector<Fd> open;
  for (int i = 0; i < 300; ++i) {
    open.emplace_back(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(open.back());
  }
  EXPECT_LT(held(), before + 20);
}

// 32 MB: a user with a process that opens a long list until it may not.
TEST_F(Listing, AUsersOpenFilesAreBounded) {
  std::atomic<bool> ended = false;
  std::vector<std::jthread> tasks;
  for (int i = 0; i < 2000; ++i) tasks.emplace_back([&] { ended.wait(false); });
  const pid_t child = ::fork();
  if (child == 0) {
    rlimit files = {};
    (void)::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &files) != 0 || ::setuid(1234) != 0) ::_exit(200);
    const std::string list = mnt() + "/tasks";
    int open = 0;
    while (open < 10'000 && ::open(list.c_str(), O_RDONLY | O_CLOEXEC) >= 0) ++open;
    const int error = errno;
    // Not for want of descriptors.
    ::_exit(error == EMFILE && open > 100 && open < 10'000 && ::dup(0) >= 0 ? 0 : 201);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ended = true;
  ended.notify_all();
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Sh("head -c 1 $MNT/tasks | wc -c").out, "1\n") << "root goes on";
  EXPECT_EQ(Sh("setpriv --reuid 1235 --clear-groups head -c 1 $MNT/tasks | wc -c").out, "1\n");
}

class Depth : public Files {};

// Also by who may write what he has been given: only who may write the top raises it.
TEST_F(Depth, AGroupBelowTheTopHas512LevelsUnlessThatIsRaised) {
  int at = ::open(mnt().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  int levels = 0;
  while (::mkdirat(at, "d", 0755) == 0) {
    const int below = ::openat(at, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ::close(at);
    at = below;
    ASSERT_LE(++levels, 600);
  }
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(levels, 1 + 512);
  ASSERT_EQ(Sh("echo 600 > $MNT/d/cgroup.max.depth").status, 0);
  EXPECT_EQ(::mkdirat(at, "d", 0755), 0);
  ::close(at);
  EXPECT_EQ(Sh("corral tree files:/ | wc -l").out.substr(0, 1), "5");
  EXPECT_EQ(Sh("corral rm -r files:/d").status, 0);
}

// By whatever way a group is made.
TEST_F(Depth, AQuotaIsToldWithASentence) {
  ASSERT_EQ(Sh("mkdir $MNT/a; echo 1 > $MNT/a/cgroup.max.descendants").status, 0);
  EXPECT_EQ(Sh("corral mkdir files:/a/b").status, 0);
  const Outcome mkdir = Sh("corral mkdir files:/a/c");
  EXPECT_NE(mkdir.status, 0);
  EXPECT_NE(mkdir.out.find("/a may have 1 groups below it, and has 1"), std::string::npos)
      << mkdir.out;
  ASSERT_EQ(
      Sh("echo 0 > $MNT/a/b/cgroup.max.depth; echo max > $MNT/a/cgroup.max.descendants").status, 0);
  const Outcome run = Sh("corral run -g $MNT/a/b/c -- true");
  EXPECT_NE(run.status, 0);
  EXPECT_NE(run.out.find("/a/b may have 0 levels of groups below it"), std::string::npos)
      << run.out;
}

}  // namespace
}  // namespace corral
