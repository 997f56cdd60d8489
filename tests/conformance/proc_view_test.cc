// Spec 12: the proc view.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "conformance/conformance.h"
#include "support/puppets.h"

namespace corral {
namespace {

class Proc : public Conformance {
 protected:
  static std::string View() {
    return "/run/corral/" + std::string(std::getenv("CORRAL_INSTANCE")) + "/proc";
  }
  static std::string Of(pid_t task, const char* file) {
    return View() + "/" + std::to_string(task) + "/" + file;
  }
  static std::string Link(const std::string& name) {
    char target[64] = {};
    EXPECT_GT(::readlink((View() + name).c_str(), target, sizeof target - 1), 0) << name;
    return target;
  }
};
CORRAL_IN_EVERY_DIALECT(Proc);

TEST_P(Proc, ContainerIsThePathInTheV6HierarchyIfThatIsInUse) {
  Spec("12.1");
  Mount(v6() ? "" : "compat=" + GetParam(), "mnt-anonymous");
  Mount("name=corral", "mnt-built-in");
  const std::string here = Group("here");
  const pid_t task = SleeperIn(here);
  for (const std::string mount : {"/mnt-anonymous", "/mnt-built-in"}) {
    const std::string group = work() + mount + mount;
    ASSERT_EQ(Mkdir(group), 0);
    if (Is("linux") && mount == "/mnt-anonymous") {  // it has cpuset, and a new group no CPUs
      ASSERT_EQ(Write(group + "/cpuset.cpus", "0"), 0);
      ASSERT_EQ(Write(group + "/cpuset.mems", "0"), 0);
    }
    ASSERT_EQ(Write(group + "/tasks", std::to_string(task)), 0);
  }
  EXPECT_EQ(Read(Of(task, "container")), v6() ? "/here\n" : "/mnt-anonymous\n");
  EXPECT_EQ(
      Read(View() + "/" + std::to_string(task) + "/task/" + std::to_string(task) + "/container"),
      v6() ? "/here\n" : "/mnt-anonymous\n");
  if (v6()) return;
  // Without the anonymous hierarchy it is the built-in one.
  ASSERT_EQ(Write(work() + "/mnt-anonymous/tasks", std::to_string(task)), 0);
  ASSERT_EQ(Rmdir(work() + "/mnt-anonymous/mnt-anonymous"), 0);
  ASSERT_EQ(Sh("umount $WORK/mnt-anonymous").status, 0);
  EXPECT_TRUE(Eventually([&] { return Read(Of(task, "container")) == "/mnt-built-in\n"; }))
      << Read(Of(task, "container"));
}

// Where a name may have one: whoever chose it shall not write lines of the view.
TEST_P(Proc, ANewlineInANameBeginsNoLine) {
  Spec("12.2");
  if (!v6() && !Is("v11")) NOT_APPLICABLE("no newlines in names");
  const std::string group = mnt() + "/x\n1:name=corral:";
  ASSERT_EQ(Mkdir(group), 0);
  const pid_t task = SleeperIn(group);
  const std::string lines = Read(Of(task, "cgroup"));
  EXPECT_NE(lines.find("/x\\0121:name=corral:\n"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("\n1:name=corral:\n"), std::string::npos) << lines;
}

TEST_P(Proc, FilesAreReadOnlyForAll) {
  Spec("12.1 12.2");
  const pid_t task = Sleeper();
  for (const char* file : {"container", "cgroup"}) {
    EXPECT_EQ(StatOf(Of(task, file)).st_mode, S_IFREG | 0444u) << file;
    EXPECT_EQ(As(1234, 1234, [&] { return OpenError(Of(task, file), O_RDONLY); }), 0) << file;
  }
}

// Their names are hidden from him where he could look for them, too. Of his own tasks he is told
// all.
TEST_P(Proc, PathsBelowADirectoryThatOneMayNotEnterAreNotShown) {
  Spec("12.1 12.2");
  Mount("name=corral", "mnt-built-in");  // where `container` is, in dialects but v6
  const std::string open = v6() ? Group("open") : work() + "/mnt-built-in/open";
  if (!v6()) {
    ASSERT_EQ(Mkdir(open), 0);
  }
  const std::string secret = open + "/secret";
  ASSERT_EQ(Mkdir(secret), 0);
  const auto read = [&](uid_t uid, pid_t task, const char* file, const char* word) {
    return As(uid, uid, [&] {
      const int fd = ::open(Of(task, file).c_str(), O_RDONLY);
      char text[4096] = {};
      if (fd < 0 || ::read(fd, text, sizeof text - 1) < 0) return errno;
      return std::strstr(text, word) ? 0 : 250;
    });
  };
  const pid_t roots = SleeperIn(secret);
  const pid_t his = Child([] {
    if (::setresgid(1234, 1234, 1234) != 0 || ::setresuid(1234, 1234, 1234) != 0) ::_exit(1);
    for (;;) ::pause();
  });
  ASSERT_EQ(Write(secret + "/tasks", std::to_string(his)), 0);
  ASSERT_TRUE(Eventually([&] { return StatOf("/proc/" + std::to_string(his)).st_uid == 1234; }));
  EXPECT_EQ(read(1234, roots, "container", "/open/secret"), 0);
  EXPECT_EQ(read(1234, roots, "cgroup", "/open/secret"), 0);
  ASSERT_EQ(Code(::chmod(open.c_str(), 0700)), 0);
  EXPECT_EQ(read(1234, roots, "container", "/open/secret"), EACCES);
  EXPECT_EQ(read(1234, roots, "cgroup", "/open/secret"), 250) << "no such line";
  EXPECT_EQ(read(0, roots, "cgroup", "/open/secret"), 0);
  for (const char* file : {"container", "cgroup"}) {
    EXPECT_EQ(read(1234, his, file, "/open/secret"), 0) << "his own " << file;
  }
  ASSERT_EQ(Write(open + "/tasks", std::to_string(roots)), 0);
  EXPECT_EQ(read(1234, roots, "container", "/open"), 0) << "a name in a directory he may enter";
}

TEST_P(Proc, AnOpenFileWhoseTaskIsGoneReadsEsrch) {
  Spec("12.1");
  const pid_t task = Sleeper();
  const Fd container = Open(Of(task, "container"), O_RDONLY),
           cgroup = Open(Of(task, "cgroup"), O_RDONLY);
  End(task);
  EXPECT_EQ(ReadError(container.get()), ESRCH);
  EXPECT_EQ(ReadError(cgroup.get()), ESRCH);
}

TEST_P(Proc, CgroupHasALineForEachHierarchyTheNewestFirst) {
  Spec("12.2");
  Mount("none,name=newer", "mnt-newer");
  ASSERT_EQ(Mkdir(work() + "/mnt-newer/a b"), 0);
  const std::string g = Group("g\\n");
  const pid_t task = SleeperIn(g);
  ASSERT_EQ(Write(work() + "/mnt-newer/a b/tasks", std::to_string(task)), 0);
  const Lines lines = SplitLines(Read(Of(task, "cgroup")));
  ASSERT_GE(lines.size(), 3u) << "and the built-in one";
  EXPECT_TRUE(lines[0].ends_with(":name=newer:/a b")) << lines[0];
  int id = 1 << 30;
  bool seen = false;
  for (const std::string& line : lines) {
    EXPECT_LT(std::atoi(line.c_str()), id) << "the newest first";
    id = std::atoi(line.c_str());
    seen = seen || line.ends_with("name=" + Name() + ":/g\\n");
  }
  EXPECT_TRUE(seen) << Read(Of(task, "cgroup"));
  EXPECT_TRUE(lines.back().ends_with(":name=corral:/"));
}

TEST_P(Proc, EachThreadHasItsOwnPlace) {
  Spec("12.1 12.2");
  Puppets puppets;
  const Tid leader = puppets.Start(), thread = puppets.Thread(leader);
  const std::string g = Group("g");
  ASSERT_EQ(Write(g + "/tasks", std::to_string(thread.value)), 0);
  const std::string process = View() + "/" + std::to_string(leader.value);
  const std::string place = "name=" + Name() + ":/g\n";
  EXPECT_NE(Read(process + "/task/" + std::to_string(thread.value) + "/cgroup").find(place),
            std::string::npos);
  EXPECT_EQ(Read(process + "/cgroup").find(place), std::string::npos);
}

TEST_P(Proc, SelfAndThreadSelfAreTheReader) {
  Spec("12.3");
  EXPECT_EQ(Link("/self"), std::to_string(::getpid()));
  std::string link, tid;
  std::thread([&] {
    tid = std::to_string(::syscall(SYS_gettid));
    link = Link("/thread-self");
  }).join();
  EXPECT_EQ(link, std::to_string(::getpid()) + "/task/" + tid);
  const std::string g = Group("g");
  EXPECT_EQ(As(0, 0,
               [&] {
                 if (Write(g + "/tasks", "0") != 0) return 200;
                 return Read(View() + "/self/cgroup").find(":/g\n") == std::string::npos ? 1 : 0;
               }),
            0);
}

TEST_P(Proc, ATaskThatDoesNotExistIsNotThereAndAZombieIsInTheTop) {
  Spec("12.3");
  const pid_t task = SleeperIn(Group("g"));
  ::kill(task, SIGKILL);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(task), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(Read(Of(task, "container")), "/\n");
  EXPECT_NE(Read(Of(task, "cgroup")).find("name=" + Name() + ":/\n"), std::string::npos);
  End(task);
  EXPECT_EQ(OpenError(Of(task, "container"), O_RDONLY), ENOENT);
  EXPECT_EQ(OpenError(View() + "/99999999/cgroup", O_RDONLY), ENOENT);
  EXPECT_EQ(OpenError(View() + "/nothing", O_RDONLY), ENOENT);
}

TEST_P(Proc, CgroupsIsATableOfSubsystems) {
  Spec("12.4");
  const std::vector<std::string> lines = SplitLines(Read(View() + "/cgroups"));
  ASSERT_GE(lines.size(), 2u);
  EXPECT_EQ(lines[0], "#subsys_name\thierarchy\tnum_cgroups\tenabled");
  for (std::size_t i = 1; i < lines.size(); ++i) {  // none is bound
    EXPECT_EQ(lines[i].substr(lines[i].find('\t')), "\t0\t1\t1") << lines[i];
  }
}

TEST_P(Proc, ThereIsNoLineOfVersionTwo) {
  Spec("14.12");
  const std::string lines = Read(Of(::getpid(), "cgroup"));
  EXPECT_NE(lines, "");
  EXPECT_EQ(("\n" + lines).find("\n0:"), std::string::npos) << lines;
}

}  // namespace
}  // namespace corral
