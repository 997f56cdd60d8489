// The built-in subsystems on real processes.
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "support/rounds.h"
#include "system/instance.h"

namespace corral {
namespace {

std::string CpusOf(const std::string& tid) {
  cpu_set_t set;
  if (::sched_getaffinity(std::stoi(tid), sizeof set, &set) != 0) return "gone";
  std::string cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    cpus += cpus.empty() ? "" : ",";
    cpus += std::to_string(cpu);
  }
  return cpus;
}

class Controllers : public InstanceTest {
 protected:
  void TearDown() override {
    Sh("for p in $(cat $WORK/pids 2>/dev/null); do kill -9 -$p 2>/dev/null; kill -CONT -$p "
       "2>/dev/null; done; true");
    InstanceTest::TearDown();
  }

  // A command in a session of its own, killed at the end; its number.
  std::string Start(const std::string& command) {
    // A file for each: the shell before may not have read its own yet.
    const std::string job = work() + "/job-" + std::to_string(++jobs_);
    std::ofstream(job) << command << "\n";
    const std::string pid =
        Sh("setsid sh " + job + " > /dev/null 2>&1 & echo $! | tee -a $WORK/pids").out;
    return pid.substr(0, pid.size() - 1);
  }
  std::vector<std::string> Lines(const std::string& path) {
    std::vector<std::string> lines;
    std::istringstream text(Read(path));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
  bool AllOn(const std::string& tasks, const std::string& cpus) {
    for (const std::string& tid : Lines(tasks)) {
      const std::string on = CpusOf(tid);
      if (on != cpus && on != "gone") return false;
    }
    return true;
  }

 private:
  int jobs_ = 0;
};

// ---- cpuset

class CpusetOnTasks : public Controllers {
 protected:
  void SetUp() override {
    Controllers::SetUp();
    if (IsSkipped()) return;
    if (CpusOf("0").find("0,1") != 0) GTEST_SKIP() << "needs CPUs 0 and 1";
    Mount("cpuset");
    ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  }
  const std::string all_ = CpusOf("0");
};

TEST_F(CpusetOnTasks, ABusyProcessAndItsChildrenRunWhereTheyMay) {
  const std::string busy = Start("while :; do :; done");
  ASSERT_EQ(Write(mnt() + "/a/cpuset.cpus", "0"), 0);
  ASSERT_EQ(Write(mnt() + "/a/tasks", busy), 0);
  EXPECT_EQ(CpusOf(busy), "0");
  ASSERT_EQ(Write(mnt() + "/a/cpuset.cpus", "1"), 0);
  EXPECT_EQ(CpusOf(busy), "1");
  EXPECT_TRUE(Eventually([&] {  // proc(5): the processor it ran on last
    return Sh("cut -d')' -f2- /proc/" + busy + "/stat | cut -d' ' -f38").out == "1\n";
  }));
  EXPECT_EQ(Sh("echo $$ > $MNT/a/tasks && grep Cpus_allowed_list /proc/self/status").out,
            "Cpus_allowed_list:\t1\n");
  ASSERT_EQ(Write(mnt() + "/tasks", busy), 0);
  EXPECT_EQ(CpusOf(busy), all_);
}

TEST_F(CpusetOnTasks, AWriteReachesEverybodyInAForkStorm) {
  const std::string storm = Start("while :; do (sleep 0.01 & sleep 0.01 & wait) & (:); done");
  ASSERT_EQ(Write(mnt() + "/a/cgroup.procs", storm), 0);
  for (int i = 0, rounds = Rounds(40); i < rounds; ++i) {
    const std::string cpus = i % 2 == 0 ? "0" : "1";
    ASSERT_EQ(Write(mnt() + "/a/cpuset.cpus", cpus), 0);
    // At once, but for a birth that was under way for longer than the write's two last passes:
    // that one is fetched like a task that strayed.
    EXPECT_TRUE(Eventually([&] { return AllOn(mnt() + "/a/tasks", cpus); })) << "round " << i;
  }
}

TEST_F(CpusetOnTasks, WhoLeavesItsCpusIsFetchedBack) {
  ASSERT_EQ(Write(mnt() + "/a/cpuset.cpus", "0"), 0);
  const std::string task = Start("exec sleep 100");
  ASSERT_EQ(Write(mnt() + "/a/tasks", task), 0);
  ASSERT_EQ(Sh("taskset -pc 1 " + task).status, 0);
  EXPECT_TRUE(Eventually([&] { return CpusOf(task) == "0"; }));
}

TEST_F(CpusetOnTasks, GivesItsErrors) {
  EXPECT_EQ(Write(mnt() + "/cpuset.cpus", "0"), EACCES);
  EXPECT_EQ(Write(mnt() + "/a/cpuset.cpus", "99999"), ERANGE);
  EXPECT_EQ(Write(mnt() + "/a/cpuset.cpus", "x"), EINVAL);
  const std::string task = Start("exec sleep 100");
  ASSERT_EQ(Write(mnt() + "/a/tasks", task), 0);
  EXPECT_EQ(Write(mnt() + "/a/cpuset.cpus", "\n"), ENOSPC);
  // The kernel's own: migration to the nodes there are.
  EXPECT_EQ(Write(mnt() + "/a/cpuset.memory_migrate", "1"), 0);
  EXPECT_EQ(Write(mnt() + "/a/cpuset.mems", "0"), 0);
}

TEST_F(CpusetOnTasks, TheEndOfTheInstanceFreesEverybody) {
  ASSERT_EQ(Write(mnt() + "/a/cpuset.cpus", "0"), 0);
  const std::string task = Start("exec sleep 100");
  ASSERT_EQ(Write(mnt() + "/a/tasks", task), 0);
  ASSERT_EQ(Sh("corral shutdown --force").status, 0);
  EXPECT_EQ(CpusOf(task), all_);
}

TEST_F(Controllers, InDialectLinuxACpusetIsSetBeforeItIsEntered) {
  Mount("cpuset,compat=linux");
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const std::string task = Start("exec sleep 100");
  EXPECT_EQ(Write(mnt() + "/a/tasks", task), ENOSPC);
  EXPECT_EQ(Write(mnt() + "/a/cpuset.cpus", "0"), 0);
  EXPECT_EQ(Write(mnt() + "/a/cpuset.mems", "0"), 0);
  EXPECT_EQ(Write(mnt() + "/a/tasks", task), 0);
}

// ---- freezer

class FreezerOnTasks : public Controllers {
 protected:
  void SetUp() override {
    Controllers::SetUp();
    if (IsSkipped()) return;
    Mount("freezer");
    ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  }
  bool Frozen() {
    return Eventually([&] { return Read(mnt() + "/a/freezer.state") == "FROZEN\n"; });
  }
  bool Stopped(const std::string& pid) {
    return Sh("grep State /proc/" + pid + "/status").out == "State:\tT (stopped)\n";
  }
};

TEST_F(FreezerOnTasks, AForkStormStandsStillAndGoesOnWithNobodyLost) {
  // Each process tells of itself; a counter goes up as long as anybody runs.
  const std::string storm = Start(
      "i=0; while :; do i=$((i+1)); (echo x >> $WORK/log; (echo y >> $WORK/log) &\n"
      "/bin/true; wait) & [ $((i % 8)) = 0 ] && wait; done");
  ASSERT_EQ(Write(mnt() + "/a/cgroup.procs", storm), 0);
  for (int i = 0, rounds = Rounds(15); i < rounds; ++i) {
    const auto size = [&] { return Sh("stat -c %s $WORK/log").out; };
    const std::string at_first = size();
    ASSERT_TRUE(Eventually([&] { return size() != at_first; })) << "round " << i;
    ASSERT_EQ(Write(mnt() + "/a/freezer.state", "FROZEN"), 0);
    ASSERT_TRUE(Frozen()) << "round " << i;
    const std::string members = Read(mnt() + "/a/tasks");
    const std::string before = size();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(size(), before) << "round " << i;
    EXPECT_EQ(Read(mnt() + "/a/tasks"), members);
    EXPECT_EQ(Read(mnt() + "/a/freezer.state"), "FROZEN\n");
    ASSERT_EQ(Write(mnt() + "/a/freezer.state", "THAWED"), 0);
    for (const std::string& tid : Lines(mnt() + "/a/tasks")) EXPECT_FALSE(Stopped(tid));
  }
}

TEST_F(FreezerOnTasks, WhoComesIsStoppedAndWhoGoesIsContinued) {
  ASSERT_EQ(Write(mnt() + "/a/freezer.state", "FROZEN"), 0);
  const std::string task = Start("exec sleep 100");
  ASSERT_EQ(Write(mnt() + "/a/cgroup.procs", task), 0);
  ASSERT_TRUE(Frozen());
  EXPECT_TRUE(Stopped(task));
  ASSERT_EQ(Write(mnt() + "/cgroup.procs", task), 0);
  EXPECT_TRUE(Eventually([&] { return !Stopped(task); }));
}

TEST_F(FreezerOnTasks, AVforkWhoseChildIsStoppedIsFrozen) {
  // The child stands still before its exec, and its parent cannot go on, nor stop.
  const pid_t parent = ::fork();
  if (parent == 0) {
    ::setsid();
    if (::vfork() == 0) {
      for (;;) ::pause();
    }
    ::_exit(0);
  }
  const std::string task = std::to_string(parent);
  std::ofstream(work() + "/pids", std::ios::app) << task << "\n";
  const std::string children = "/proc/" + task + "/task/" + task + "/children";
  ASSERT_TRUE(Eventually([&] { return !Read(children).empty(); }));
  ASSERT_EQ(Write(mnt() + "/a/tasks", task), 0);
  ASSERT_EQ(Write(mnt() + "/a/tasks", Read(children)), 0);
  ASSERT_EQ(Write(mnt() + "/a/freezer.state", "FROZEN"), 0);
  EXPECT_TRUE(Frozen());
}

TEST_F(FreezerOnTasks, AFrozenProcessCanBeKilled) {
  const std::string task = Start("exec sleep 100");
  ASSERT_EQ(Write(mnt() + "/a/tasks", task), 0);
  ASSERT_EQ(Write(mnt() + "/a/freezer.state", "FROZEN"), 0);
  ASSERT_TRUE(Frozen());
  ASSERT_EQ(Write(mnt() + "/a/cgroup.kill", "1"), 0);
  EXPECT_TRUE(Eventually([&] { return Read(mnt() + "/a/tasks").empty(); }));
}

TEST_F(FreezerOnTasks, AMemberMayFreezeItself) {
  const std::string task = Start(
      "echo $$ > $MNT/a/tasks; echo FROZEN > $MNT/a/freezer.state; "
      "touch $WORK/went-on; exec sleep 100");
  ASSERT_TRUE(Frozen());
  EXPECT_TRUE(Eventually([&] { return Stopped(task); }));
  EXPECT_NE(::access((work() + "/went-on").c_str(), F_OK), 0);
  ASSERT_EQ(Write(mnt() + "/a/freezer.state", "THAWED"), 0);
  EXPECT_TRUE(Eventually([&] { return ::access((work() + "/went-on").c_str(), F_OK) == 0; }));
}

TEST_F(FreezerOnTasks, TheEndOfTheInstanceThawsEverybody) {
  const std::string task = Start("exec sleep 100");
  ASSERT_EQ(Write(mnt() + "/a/tasks", task), 0);
  ASSERT_EQ(Write(mnt() + "/a/freezer.state", "FROZEN"), 0);
  ASSERT_TRUE(Frozen());
  ASSERT_TRUE(Stopped(task));
  ASSERT_EQ(Sh("corral shutdown --force").status, 0);
  EXPECT_FALSE(Stopped(task));
  EXPECT_EQ(::kill(std::atoi(task.c_str()), 0), 0) << "thawed, not ended";
}

// ---- beancounter

class BeancounterOnTasks : public Controllers {
 protected:
  void SetUp() override {
    Controllers::SetUp();
    if (IsSkipped()) return;
    Mount("beancounter");
    ASSERT_EQ(Sh("mkdir $MNT/a $MNT/a/b").status, 0);
  }
  std::string Held(const std::string& resource, const std::string& column = "2") {
    return Sh("awk '$1 == \"" + resource + "\" { print $" + column + " }' $MNT/a/beancounter.usage")
        .out;
  }
};

TEST_F(BeancounterOnTasks, CountsTheProcessesPagesAndFilesOfTheSubtree) {
  EXPECT_EQ(Held("numproc") + Held("physpages") + Held("numfile"), "0\n0\n0\n");
  const std::string a = Start("exec 7</dev/null 8</dev/null; exec sleep 100");
  const std::string b = Start("exec sleep 100");
  ASSERT_TRUE(Eventually(
      [&] { return Sh("cat /proc/" + a + "/comm /proc/" + b + "/comm").out == "sleep\nsleep\n"; }));
  ASSERT_EQ(Write(mnt() + "/a/tasks", a), 0);
  ASSERT_EQ(Write(mnt() + "/a/b/tasks", b), 0);
  EXPECT_EQ(Held("numproc"), "2\n");
  EXPECT_EQ(Held("numfile"), Sh("ls /proc/" + a + "/fd /proc/" + b + "/fd | grep -c '^[0-9]'").out);
  EXPECT_EQ(Held("physpages"), Sh("cat /proc/" + a + "/statm /proc/" + b +
                                  "/statm | awk '{ n += $2 } END { print n }'")
                                   .out);
  ASSERT_EQ(Write(mnt() + "/tasks", b), 0);
  EXPECT_EQ(Held("numproc") + Held("numproc", "3"), "1\n2\n");
}

TEST_F(BeancounterOnTasks, SamplesOverTheLimitAreCountedWithoutAReader) {
  ASSERT_EQ(Write(mnt() + "/a/beancounter.usage", "numproc 0 0\n"), 0);
  ASSERT_EQ(Write(mnt() + "/a/tasks", Start("exec sleep 100")), 0);
  EXPECT_TRUE(Eventually([&] { return std::stoi(Held("numproc", "6")) >= 2; }));
}

// ---- all of them

TEST_F(Controllers, ANamelessMountHasThemAll) {
  Mount("release_agent=/bin/true");
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  for (const char* file : {"cpuset.cpus", "freezer.state", "beancounter.usage"}) {
    EXPECT_FALSE(Read(mnt() + "/a/" + file).empty()) << file;
  }
  const std::string task = Start("exec sleep 100");
  EXPECT_EQ(Write(mnt() + "/a/tasks", task), 0);
  EXPECT_EQ(Write(mnt() + "/tasks", task), 0);
  ExpectCleanAudit();
}

}  // namespace
}  // namespace corral
