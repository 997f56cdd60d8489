// CPU time as users see it: the bill of a run, cpuacct's files, stat and top.
#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "system/instance.h"

namespace corral {
namespace {

// So much of the CPU, counted by itself.
constexpr char kBurn[] = "python3 -c 'import time\nwhile time.process_time() < 0.5: pass'";

class Cpu : public InstanceTest {
 protected:
  static double Number(const std::string& text) { return std::strtod(text.c_str(), nullptr); }
};

TEST_F(Cpu, OfARunIsBilledInFull) {
  const Outcome run = Sh(std::string("corral run --json -- sh -c \"") + kBurn +
                         "\" 2> $WORK/said; "
                         "jq -e '.cpu.complete and .exit_status == 0' $WORK/said > $WORK/verdict; "
                         "jq .cpu.total_ns $WORK/said");
  EXPECT_EQ(Read(work() + "/verdict"), "true\n") << Read(work() + "/said");
  EXPECT_GE(Number(run.out), 0.5e9) << run.out;
}

TEST_F(Cpu, OfARunIsSaidWhenAskedFor) {
  const Outcome asked = Sh("corral run --bill -- sh -c '/bin/true; /bin/true; exit 3'");
  EXPECT_EQ(asked.status, 3);
  EXPECT_THAT(asked.out, testing::MatchesRegex("corral: job used [0-9]+\\.[0-9]+ s of CPU "
                                               "\\(user .* s, system .* s\\), 3 tasks\n"));
  EXPECT_NE(Sh("CORRAL_BILL=1 corral run -- true").out.find("job used"), std::string::npos);
  EXPECT_EQ(Sh("CORRAL_BILL=0 corral run -- true").out, "");
  EXPECT_EQ(Sh("corral run -- true").out, "");
  EXPECT_EQ(Sh("CORRAL_BILL=1 corral run --detach -- true | wc -l").out, "1\n");
  EXPECT_TRUE(Eventually([] {
    return Sh("corral tree corral:/ --json | jq '.trees[0].groups | length - 1'").out == "0\n";
  })) << "no group is left";
}

// What daemons and orphans use is the job's as well.
TEST_F(Cpu, OfWhatTheCommandLeftBehindIsOnTheBill) {
  const Outcome run = Sh(std::string("corral run --json -- sh -c \"setsid ") + kBurn +
                         " &\" 2> $WORK/said; jq .cpu.total_ns $WORK/said");
  EXPECT_GE(Number(run.out), 0.5e9) << run.out;
}

// Another program is billed, and the files are those of the group.
TEST_F(Cpu, IsInTheFilesOfCpuacct) {
  Mount("cpuacct,name=c");
  ASSERT_EQ(Sh("mkdir -p $MNT/a/b").status, 0);
  const Outcome burnt = Sh(std::string("echo 0 > $MNT/a/b/tasks && ") + kBurn);
  ASSERT_EQ(burnt.status, 0) << burnt.out;
  ASSERT_TRUE(Eventually([&] { return Sh("cat $MNT/a/b/tasks").out.empty(); }));
  const double usage = Number(Read(mnt() + "/a/b/cpuacct.usage"));
  EXPECT_GE(usage, 0.5e9);
  EXPECT_EQ(Read(mnt() + "/a/cpuacct.usage"), "0\n");
  EXPECT_GE(Number(Read(mnt() + "/a/cpuacct.usage_subtree")), usage);
  EXPECT_GE(Number(Sh("sed -n 's/user //p' $MNT/a/b/cpuacct.stat").out), 10);
  EXPECT_EQ(Write(mnt() + "/a/b/cpuacct.usage", "7"), EINVAL);
  EXPECT_EQ(Write(mnt() + "/a/b/cpuacct.stat", "0"), EINVAL);
  EXPECT_EQ(Write(mnt() + "/a/b/cpuacct.usage", "0\n"), 0);
  EXPECT_EQ(Read(mnt() + "/a/b/cpuacct.usage"), "0\n");
  // Removed: it is its parent's.
  ASSERT_EQ(Sh("rmdir $MNT/a/b").status, 0);
  EXPECT_GE(Number(Read(mnt() + "/a/cpuacct.usage_subtree")), usage);
}

TEST_F(Cpu, OfAThousandShortCommandsIsCounted) {
  Mount("cpuacct,name=c");
  const Outcome run =
      Sh("mkdir $MNT/a; sh -c 'echo 0 > $MNT/a/tasks; i=0; while [ $i -lt 1000 ]; do /bin/true; "
         "i=$((i+1)); done; times' | sed -n 2p");
  double minutes = 0;
  double seconds = 0;
  double system_minutes = 0;
  double system_seconds = 0;
  ASSERT_EQ(std::sscanf(run.out.c_str(), "%lfm%lfs %lfm%lfs", &minutes, &seconds, &system_minutes,
                        &system_seconds),
            4)
      << run.out;
  const double said = ((minutes + system_minutes) * 60 + seconds + system_seconds) * 1e9;
  ASSERT_TRUE(Eventually([&] { return Sh("cat $MNT/a/tasks").out.empty(); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  // The shell's own share is above what it says of its children.
  const double usage = Number(Read(mnt() + "/a/cpuacct.usage"));
  EXPECT_GE(usage, said * 0.99);
  EXPECT_LE(usage, said * 2);
}

TEST_F(Cpu, LoadIsThatOfTheLastSeconds) {
  Mount("cpuacct,name=c");
  ASSERT_EQ(Sh("mkdir $MNT/a; sh -c 'echo 0 > $MNT/a/tasks; exec timeout 60 sh -c \"while :; do "
               ":; done\"' > /dev/null 2>&1 & ")
                .status,
            0);
  EXPECT_TRUE(Eventually([&] { return Number(Read(mnt() + "/a/cpuacct.load")) >= 5; }));
  EXPECT_EQ(Sh("echo 1 > $MNT/a/cgroup.kill").status, 0);
}

TEST_F(Cpu, StatShowsAGroup) {
  Mount("cpuacct,name=c");
  ASSERT_EQ(Sh("mkdir -p $MNT/a/b; sleep 60 > /dev/null 2>&1 & echo $! > $MNT/a/tasks").status, 0);
  EXPECT_EQ(Sh("corral stat c:/a --json | jq -c '[.path, .tasks, .processes, .groups, "
               ".subtree.tasks, (.cpu.total_ns | type), [.files[].name] == [\"cpuacct.usage\", "
               "\"cpuacct.usage_user\", \"cpuacct.usage_sys\", \"cpuacct.usage_subtree\", "
               "\"cpuacct.stat\", \"cpuacct.load\"]]'")
                .out,
            "[\"c:/a\",1,1,1,1,\"number\",true]\n");
  const std::string text = Sh("corral stat $MNT/a").out;
  EXPECT_NE(text.find("1 task in 1 process"), std::string::npos) << text;
  EXPECT_NE(text.find("cpuacct.stat"), std::string::npos) << text;
  EXPECT_EQ(Sh("corral stat c:/none 2>/dev/null").status, 1);
  EXPECT_EQ(Sh("echo 1 > $MNT/a/cgroup.kill").status, 0);
}

TEST_F(Cpu, StatSaysWhenNothingIsMetered) {
  ASSERT_EQ(Sh("corral run -- true; corral mkdir corral:/g").status, 0);
  EXPECT_EQ(Sh("corral stat corral:/g --json | jq .cpu").out, "null\n");
  EXPECT_NE(Sh("corral stat corral:/g").out.find("not metered"), std::string::npos);
}

TEST_F(Cpu, TopShowsWhoRuns) {
  ASSERT_EQ(Sh("corral run -- true; corral mkdir corral:/idle; corral run --detach -g corral:/busy "
               "-- timeout 60 sh -c 'while :; do :; done'")
                .status,
            0);
  const std::string frame = "corral top --once --json --interval 2 --sort cpu corral:/ | ";
  EXPECT_TRUE(Eventually([&] {
    return Sh(frame +
              "jq -e '[.groups[] | select(.path == \"corral:/busy\")][0] | "
              ".cpu_percent > 5 and .tasks == 2' > /dev/null")
               .status == 0;
  }));
  EXPECT_EQ(Sh(frame + "jq '[.groups[] | select(.path == \"corral:/idle\").cpu_percent][0]'").out,
            "0\n");
  const std::string text = Sh("corral top --once").out;
  EXPECT_NE(text.find("corral:/busy"), std::string::npos) << text;
  EXPECT_EQ(Sh("corral top --once --sort size 2>/dev/null").status, 2);
  EXPECT_EQ(Sh("corral kill corral:/busy > /dev/null").status, 0);
}

// On a terminal: another screen while it runs, and the old one afterwards.
TEST_F(Cpu, TopLeavesTheTerminalAsItWas) {
  ASSERT_EQ(Sh("corral run -- true").status, 0);
  if (Sh("command -v script").status != 0) GTEST_SKIP() << "no script(1) here";
  const Outcome key =
      Sh("(sleep 2; printf q) | timeout 30 script -qec 'corral top --interval 0.5' "
         "/dev/null");
  EXPECT_EQ(key.status, 0) << key.out;
  EXPECT_NE(key.out.find("\x1b[?1049h"), std::string::npos);
  EXPECT_NE(key.out.find("GROUP"), std::string::npos);
  EXPECT_NE(key.out.find("\x1b[?1049l"), std::string::npos);
  // Not a terminal: frame after frame, until it is interrupted.
  const Outcome plain = Sh("timeout -s INT 3 corral top --interval 0.5 | grep -c GROUP");
  EXPECT_GE(std::atoi(plain.out.c_str()), 2) << plain.out;
}

}  // namespace
}  // namespace corral
