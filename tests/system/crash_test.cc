// SIGKILL for the daemon: what survives it (spec 10.9), and what a successor does with what it
// finds.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/rounds.h"
#include "system/instance.h"

namespace corral {
namespace {

class Crash : public InstanceTest {
 protected:
  void TearDown() override {
    for (const pid_t child : std::set(children_)) End(child);
    InstanceTest::TearDown();
  }
  pid_t Sleeper() {
    const pid_t child = ::fork();
    if (child == 0) {
      for (;;) ::pause();
    }
    children_.insert(child);
    return child;
  }
  void End(pid_t child) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    children_.erase(child);
  }
  std::string Group(const std::string& name) {
    const std::string path = mnt() + "/" + name;
    EXPECT_EQ(::mkdir(path.c_str(), 0755), 0) << path;
    return path;
  }
  pid_t SleeperIn(const std::string& group) {
    const pid_t child = Sleeper();
    EXPECT_EQ(Write(group + "/tasks", std::to_string(child)), 0);
    return child;
  }
  std::string Options() {
    return "none,name=x,release_agent=" + WriteAgent("echo $1 >> " + work() + "/log");
  }
  std::multiset<std::string> Told() {
    std::istringstream log(Read(work() + "/log"));
    std::multiset<std::string> told;
    for (std::string line; std::getline(log, line);) told.insert(line);
    return told;
  }
  void Storm(int signal, std::size_t most_told);
  static ino_t InodeOf(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
    return st.st_ino;
  }
  static std::string Pins() { return "/sys/fs/bpf/corral/" + Instance(); }
  static std::string Runtime() { return "/run/corral/" + Instance(); }
  static std::string Instance() { return std::getenv("CORRAL_INSTANCE"); }

  std::set<pid_t> children_;
};

TEST_F(Crash, GroupsFlagsOwnersTasksAndInodesAreWhereTheyWere) {
  Mount(Options());
  const std::string a = Group("a");
  const std::string b = Group("a/b");
  ASSERT_EQ(Write(a + "/notify_on_release", "1"), 0);
  ASSERT_EQ(::chmod(b.c_str(), 0700), 0);
  ASSERT_EQ(::chown((b + "/tasks").c_str(), 12, 34), 0);
  ASSERT_EQ(::rename(b.c_str(), (a + "/c").c_str()), 0);
  const std::string c = a + "/c";
  const pid_t task = SleeperIn(c);
  const std::string look = "cd $MNT && find . -printf '%p %i %m %U %G %C@ %T@\\n' | sort";
  const std::string before = Sh(look).out;

  KillDaemon();
  EXPECT_EQ(Sh("ls $MNT").status, 2) << "its mounts are dead";
  MountAgain("name=x");
  EXPECT_EQ(Sh(look).out, before);
  EXPECT_EQ(Read(c + "/tasks"), std::to_string(task) + "\n");
  EXPECT_EQ(Read(a + "/notify_on_release"), "1\n");
  EXPECT_EQ(Read(c + "/notify_on_release"), "0\n");
  EXPECT_EQ(Read(mnt() + "/release_agent"), work() + "/agent\n");
  EXPECT_GT(InodeOf(Group("new")), InodeOf(c));
  ExpectCleanAudit();
}

TEST_F(Crash, AHierarchyWithoutGroupsIsThereUntilItWasMountedAgain) {
  Mount(Options());
  KillDaemon();
  EXPECT_EQ(Sh("corral status 2>&1 1>&2").status, 0);
  MountAgain("name=x");
  EXPECT_EQ(Read(mnt() + "/release_agent"), work() + "/agent\n");
  ASSERT_EQ(Sh("umount $MNT && corral mount -o name=x none $MNT").status, 1) << "gone by now";
}

TEST_F(Crash, HooksCountOnWhileNoDaemonRuns) {
  Mount(Options());
  const std::string emptied = Group("emptied");
  const std::string used = Group("used");
  Group("unused");
  for (const char* name : {"emptied", "used", "unused"}) {
    ASSERT_EQ(Write(mnt() + "/" + name + "/notify_on_release", "1"), 0);
  }
  const pid_t ends = SleeperIn(emptied);
  // Its shell waits for the end of the daemon, then forks and goes on without the child.
  const pid_t parent = ::fork();
  if (parent == 0) {
    if (Write(used + "/tasks", "0") != 0) ::_exit(1);
    while (::access((work() + "/dead").c_str(), F_OK) != 0) ::usleep(1000);
    if (::fork() == 0) {
      for (;;) ::pause();
    }
    std::ofstream(work() + "/born");
    for (;;) ::pause();
  }
  children_.insert(parent);
  ASSERT_TRUE(Eventually([&] { return !Read(used + "/tasks").empty(); }));
  KillDaemon();
  std::ofstream(work() + "/dead");
  ASSERT_TRUE(Eventually([&] { return ::access((work() + "/born").c_str(), F_OK) == 0; }));
  End(ends);
  End(parent);
  MountAgain("name=x");
  ASSERT_TRUE(Eventually([&] { return !Told().empty(); }));
  ::usleep(100'000);
  EXPECT_EQ(Told(), (std::multiset<std::string>{"/emptied"}));
  EXPECT_EQ(Sh("wc -l < $MNT/used/tasks").out, "1\n");
  EXPECT_EQ(Read(emptied + "/cgroup.events"), "populated 0\nreleases 1\n");
  EXPECT_EQ(Read(used + "/cgroup.events"), "populated 1\nreleases 0\n");
  ExpectCleanAudit();
  Sh("kill -9 $(cat $MNT/used/tasks)");
  EXPECT_TRUE(Eventually([&] { return Told().contains("/used"); }));
}

TEST_F(Crash, TheSpawnerEndsWithItsDaemon) {
  Mount(Options());
  const std::string spawner =
      Sh("pgrep -P $(corral status --json | jq .daemon_pid) -x corral-spawner").out;
  ASSERT_FALSE(spawner.empty());
  KillDaemon();
  EXPECT_TRUE(Eventually([&] {
    return Sh("grep -L 'State:.Z' /proc/" + std::to_string(std::atoi(spawner.c_str())) +
              "/status 2>/dev/null")
        .out.empty();
  }));
}

TEST_F(Crash, ADaemonStartedInAGroupLeavesItAndSoDoAgents) {
  Mount(Options());
  const std::string a = Group("a");
  KillDaemon();
  const pid_t keeps = Sleeper();  // so that it never was empty
  MountAgain("name=x");
  ASSERT_EQ(Write(a + "/tasks", std::to_string(keeps)), 0);
  // The second daemon dies in there, too: whoever starts the third is in the group.
  const Outcome third =
      Sh("echo $$ > $MNT/a/tasks; "
         "kill -9 $(corral status --json | jq .daemon_pid); corral status");
  EXPECT_EQ(third.status, 0) << third.out;
  MountAgain("name=x");
  EXPECT_TRUE(Eventually([&] { return Read(a + "/tasks") == std::to_string(keeps) + "\n"; }))
      << Read(a + "/tasks");
}

TEST_F(Crash, AnOrderlyEndLeavesNothingPinned) {
  Mount(Options());
  EXPECT_TRUE(std::filesystem::exists(Pins()));
  EXPECT_TRUE(std::filesystem::exists(Runtime() + "/store"));
  ASSERT_EQ(Sh("umount $MNT; corral shutdown").status, 0);
  EXPECT_FALSE(std::filesystem::exists(Pins()));
  EXPECT_FALSE(std::filesystem::exists(Runtime()));
}

TEST_F(Crash, ADamagedStoreIsNamedAndNothingIsForgottenUnasked) {
  Mount(Options());
  const pid_t task = SleeperIn(Group("a"));
  KillDaemon();
  ASSERT_EQ(::truncate((Runtime() + "/store/data.mdb").c_str(), 100), 0);
  const Outcome refused = Sh("corral status || corral ls; corral mount -o name=x none $WORK");
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.out.find(Runtime() + "/store"), std::string::npos) << refused.out;
  EXPECT_TRUE(std::filesystem::exists(Pins())) << "it goes on counting";
  std::filesystem::remove_all(Runtime() + "/store");
  MountAgain("none,name=x");
  EXPECT_EQ(Sh("ls -d $MNT/*/").status, 2) << "all groups are forgotten";
  EXPECT_NE(("\n" + Read(mnt() + "/tasks")).find("\n" + std::to_string(task) + "\n"),
            std::string::npos);
  ExpectCleanAudit();
}

TEST_F(Crash, ADaemonWhoseRuntimeDirectoryIsGoneKeepsItsTables) {
  Mount(Options());
  const pid_t daemon = std::atoi(Sh("corral status --json | jq .daemon_pid").out.c_str());
  ASSERT_EQ(::rename(Runtime().c_str(), (Runtime() + "-away").c_str()), 0);
  const Outcome second = Sh("corral mount -o none,name=y none $WORK");
  EXPECT_NE(second.status, 0);
  EXPECT_NE(second.out.find("kill " + std::to_string(daemon)), std::string::npos) << second.out;
  Sh("rm -rf " + Runtime());
  ASSERT_EQ(::rename((Runtime() + "-away").c_str(), Runtime().c_str()), 0);
  EXPECT_EQ(std::atoi(Sh("corral status --json | jq .daemon_pid").out.c_str()), daemon);
}

TEST_F(Crash, TwoSuccessorsAtOnceAreOne) {
  Mount(Options());
  const pid_t task = SleeperIn(Group("a"));
  for (int round = 0; round < 5; ++round) {
    KillDaemon();
    const Outcome both = Sh(
        "for i in 1 2 3; do corral run true & done; wait; corral status --json | jq .daemon_pid");
    EXPECT_EQ(both.status, 0) << both.out;
  }
  MountAgain("name=x");
  EXPECT_EQ(Read(mnt() + "/a/tasks"), std::to_string(task) + "\n");
  ExpectCleanAudit();
}

// Groups are made, filled, emptied and removed while the daemon dies again and again. What the
// books of this test say must be so: who is in which group, and who was told.
void Crash::Storm(int signal, std::size_t most_told) {
  Mount(Options());
  std::mt19937 random(std::random_device{}());
  const std::string stays = Group("stays");
  ASSERT_EQ(Write(stays + "/notify_on_release", "1"), 0);
  const pid_t sitter = SleeperIn(stays);
  std::set<std::string> emptied;
  for (int round = 0, n = 0; round < Rounds(12); ++round) {
    // The storm is a process of its own: its calls fail when the daemon dies. It writes down a
    // group before it may be emptied ("?") and after a task was surely in it ("+").
    const std::string book = work() + "/book" + std::to_string(round);
    const pid_t storm = ::fork();
    if (storm == 0) {
      std::ofstream out(book);
      for (int i = 0;; ++i) {
        const std::string name = "/r" + std::to_string(round) + "-" + std::to_string(i);
        if (::mkdir((mnt() + name).c_str(), 0755) != 0) ::_exit(0);
        if (Write(mnt() + name + "/notify_on_release", "1") != 0) ::_exit(0);
        out << "? " << name << std::endl;
        const pid_t task = ::fork();
        if (task == 0) ::_exit(Write(mnt() + name + "/tasks", "0") == 0 ? 0 : 1);
        int status = 1;
        ::waitpid(task, &status, 0);
        if (status != 0) ::_exit(0);
        out << "+ " << name << std::endl;
      }
    }
    ::usleep(20'000 + random() % 150'000);
    KillDaemon(signal);
    ::waitpid(storm, nullptr, 0);
    MountAgain("name=x");
    std::ifstream lines(book);
    std::map<std::string, bool> groups;  // whether a task was surely in it
    for (std::string sure, name; lines >> sure >> name;) groups[name] = sure == "+";
    n += static_cast<int>(groups.size());
    for (const auto& [name, sure] : groups) {
      const auto told = [&, group = name] { return Told().count(group); };
      EXPECT_TRUE(std::filesystem::exists(mnt() + name)) << name;
      EXPECT_EQ(Read(mnt() + name + "/notify_on_release"), "1\n") << name;
      const bool was = Read(mnt() + name + "/cgroup.events") == "populated 0\nreleases 1\n";
      if (sure) {
        EXPECT_TRUE(was) << name << " " << Read(mnt() + name + "/cgroup.events");
      }
      if (was) {
        EXPECT_TRUE(Eventually([&] { return told() != 0; })) << name;
      }
      if (!was) {
        EXPECT_EQ(told(), 0u) << name;
      }
      EXPECT_LE(told(), most_told) << name;
      if (was) emptied.insert(name);
    }
    EXPECT_EQ(Read(stays + "/tasks"), std::to_string(sitter) + "\n");
    ExpectCleanAudit();
    if (HasFailure()) return;
    RecordProperty("groups", n);
  }
  for (const std::string& name : Told()) EXPECT_TRUE(emptied.contains(name)) << name;
}

TEST_F(Crash, InTheMiddleOfAStormLosesAndInventsNothing) { Storm(SIGKILL, 2); }

// An end in order, at any moment: nothing is told twice either.
TEST_F(Crash, ASigtermInTheMiddleOfAStormLosesAndInventsNothing) { Storm(SIGTERM, 1); }

}  // namespace
}  // namespace corral
