// What /proc hides from whom: our answer beside the kernel's, on a /proc of our own. Needs root.
#include "daemon/linux_machine.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "control/sight.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {
namespace {

TEST(HidingIn, ReadsTheMountOnTopOfProc) {
  const std::string other = "20 1 8:1 / /proc/sub rw - proc proc rw,hidepid=2\n";
  const auto line = [](const std::string& options) {
    return "24 29 0:22 / /proc rw,nosuid shared:12 - proc proc rw" + options + "\n";
  };
  EXPECT_EQ(HidingIn("").level, ProcHiding::kNothing);
  EXPECT_EQ(HidingIn(line("") + other).level, ProcHiding::kNothing);
  EXPECT_EQ(HidingIn(line(",hidepid=1")).level, ProcHiding::kContents);
  EXPECT_EQ(HidingIn(line(",hidepid=noaccess")).level, ProcHiding::kContents);
  EXPECT_EQ(HidingIn(line(",gid=7,hidepid=2")).level, ProcHiding::kProcesses);
  EXPECT_EQ(HidingIn(line(",gid=7,hidepid=2")).gid, 7u);
  EXPECT_EQ(HidingIn(line(",hidepid=invisible")).level, ProcHiding::kProcesses);
  EXPECT_EQ(HidingIn(line(",hidepid=4")).level, ProcHiding::kNotTraceable);
  EXPECT_EQ(HidingIn(line(",hidepid=ptraceable")).level, ProcHiding::kNotTraceable);
  EXPECT_EQ(HidingIn(line(",hidepid=later")).level, ProcHiding::kNotTraceable) << "unknown: all";
  EXPECT_EQ(HidingIn(line(",hidepid=2") + line("")).level, ProcHiding::kNothing)
      << "the last is on top";
}

constexpr uid_t kUser = 1234, kOther = 4321;
constexpr gid_t kGroup = 77;

// A process that waits, once `become` is done.
class Waiting {
 public:
  explicit Waiting(const std::function<bool()>& become) {
    int ready[2];
    EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      if (!become() || ::write(ready[1], "r", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char byte;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
  }
  ~Waiting() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  Tid tid() const { return Tid{static_cast<std::uint32_t>(pid_)}; }

 private:
  pid_t pid_;
};

bool Become(uid_t real, uid_t effective, uid_t saved, std::vector<gid_t> groups = {}) {
  return ::setgroups(groups.size(), groups.data()) == 0 &&
         ::setresgid(real, effective, saved) == 0 && ::setresuid(real, effective, saved) == 0;
}

struct Looker {
  const char* name;
  uid_t uid;
  std::vector<gid_t> groups;
};

Sight::What KernelsAnswer(const Looker& looker, Tid target) {
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string file = "/proc/" + std::to_string(target.value) + "/cgroup";
    if (!Become(looker.uid, looker.uid, looker.uid, looker.groups)) ::_exit(200);
    ::_exit(::open(file.c_str(), O_RDONLY) >= 0 ? 0 : errno);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const int error = WEXITSTATUS(status);
  EXPECT_TRUE(error == 0 || error == EPERM || error == ENOENT) << error;
  return error == 0 ? Sight::kAll : error == EPERM ? Sight::kName : Sight::kNothing;
}

void CompareAll(const std::string& options, int* hidden) {
  InprocTracker tracker({.tids = 64, .sets = 8, .machine_tasks = {}});
  Registry registry(tracker, [] {});
  const LinuxMachine machine;
  const Waiting roots([] { return true; });
  const Waiting users(
      [] { return Become(kUser, kUser, kUser) && ::prctl(PR_SET_DUMPABLE, 1) == 0; });
  const Waiting closed(
      [] { return Become(kUser, kUser, kUser) && ::prctl(PR_SET_DUMPABLE, 0) == 0; });
  const Waiting privileged([] { return Become(kUser, 0, 0); });  // a set-user-ID program
  const Looker lookers[] = {{"user", kUser, {}},
                            {"user in the group", kUser, {5, kGroup}},
                            {"other", kOther, {}},
                            {"root", 0, {}}};
  for (const Looker& looker : lookers) {
    const Waiting asks([&] { return Become(looker.uid, looker.uid, looker.uid, looker.groups); });
    const Sight sight(machine, registry, {.tid = asks.tid(), .uid = looker.uid, .gid = looker.uid});
    int target = 0;
    for (const Waiting* of : {&roots, &users, &closed, &privileged}) {
      auto theirs = KernelsAnswer(looker, of->tid());
      // There the kernel hides a process from who looks for it first; whoever comes later finds its
      // name, in the cache, and is refused.
      const bool cached = machine.HidingOfProc().level == ProcHiding::kNotTraceable;
      if (cached && theirs == Sight::kName) theirs = Sight::kNothing;
      EXPECT_EQ(sight.Of(of->tid()), theirs)
          << options << ": " << looker.name << " looks at process " << target;
      *hidden += theirs != Sight::kAll;
      ++target;
    }
  }
}

TEST(LinuxMachine, HidesWhatTheKernelsProcHides) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  for (const std::string options : {"hidepid=0", "hidepid=1", "hidepid=2", "hidepid=4",
                                    "hidepid=1,gid=77", "hidepid=2,gid=77", "hidepid=4,gid=77"}) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::unshare(CLONE_NEWNS) != 0 ||
          ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        ::_exit(77);
      }
      if (::mount("proc", "/proc", "proc", 0, options.c_str()) != 0) ::_exit(77);
      int hidden = 0;
      CompareAll(options, &hidden);
      EXPECT_EQ(hidden != 0, options != "hidepid=0") << options;
      ::_exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "/proc cannot be mounted here with " << options;
    EXPECT_EQ(status, 0) << options;
  }
}

TEST(LinuxMachine, KnowsWhoAsks) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const LinuxMachine machine;
  const Waiting user([] { return Become(kUser, kUser, kUser, {5, kGroup}); });
  const Credentials his = machine.CredentialsOf(user.tid(), kUser, kUser);
  EXPECT_EQ(his.groups, (std::vector<gid_t>{5, kGroup}));
  EXPECT_EQ(his.capabilities, 0u);
  EXPECT_TRUE(his.InGroup(kGroup));
  EXPECT_FALSE(his.InGroup(0));
  const Waiting root([] { return true; });
  EXPECT_TRUE(machine.CredentialsOf(root.tid(), 0, 0).Has(Credentials::kSysAdmin));
  // A thread that asks with another uid than it has does not lend that its capabilities.
  EXPECT_EQ(machine.CredentialsOf(root.tid(), kUser, kUser).capabilities, 0u);
  const Waiting inside([] { return ::unshare(CLONE_NEWUSER) == 0; });
  EXPECT_FALSE(machine.CredentialsOf(inside.tid(), 0, 0).Has(Credentials::kSysAdmin));
  EXPECT_FALSE(machine.IsSysAdmin(inside.tid()));
}

}  // namespace
}  // namespace corral
