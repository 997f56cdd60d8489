// A daemon that is started by `corral run` from a nasty shell takes nothing of it over, and what
// ends that shell's processes does not end it. What a machine does not let it leave (raising a hard
// limit needs CAP_SYS_RESOURCE, which not every root has) it says.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "system/instance.h"

namespace corral {
namespace {

class Surroundings : public InstanceTest {
 protected:
  void TearDown() override {
    if (!on_end_.empty()) Sh(on_end_);
    InstanceTest::TearDown();
  }
  // Starts it from a shell that did `nasty` before.
  void StartFrom(const std::string& nasty, const std::string& how = "corral run true") {
    const Outcome started = Sh("(" + nasty + "; " + how + ")");
    ASSERT_EQ(started.status, 0) << started.out;
    said_ = started.out;
    daemon_ = std::atoi(Sh("corral status --json | jq .daemon_pid").out.c_str());
    ASSERT_GT(daemon_, 1);
  }
  std::string OfDaemon(const std::string& file) const {
    return Read("/proc/" + std::to_string(daemon_) + "/" + file);
  }
  std::string Link(const std::string& path) const {
    char target[4096] = {};
    return ::readlink(path.c_str(), target, sizeof target - 1) > 0 ? target : "";
  }
  std::string StatusLine(const std::string& key) const {
    std::istringstream status(OfDaemon("status"));
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(key + ":")) return line.substr(key.size() + 2);
    }
    return "";
  }
  // The soft limit that /proc/PID/limits shows.
  std::string SoftLimit(const std::string& name) const {
    std::istringstream limits(OfDaemon("limits"));
    for (std::string line; std::getline(limits, line);) {
      if (!line.starts_with(name)) continue;
      std::istringstream rest(line.substr(name.size()));
      std::string soft;
      rest >> soft;
      return soft;
    }
    return "";
  }
  int Nice() const {
    std::istringstream stat(OfDaemon("stat"));
    std::string word;
    for (int i = 0; i < 19; ++i) stat >> word;
    return std::atoi(word.c_str());
  }
  // Whether the daemon says of itself that it could not leave this.
  static bool Says(const std::string& name) {
    return Sh("corral status --json | jq -e '.surroundings[] | select(.name == \"" + name + "\")'")
               .status == 0;
  }
  bool Lives() const { return OfDaemon("status").find("corrald") != std::string::npos; }
  static std::string Instance() { return std::getenv("CORRAL_INSTANCE"); }

  pid_t daemon_ = 0;
  std::string said_;    // by the command that started it
  std::string on_end_;  // a shell command, also after a failure
};

constexpr const char* kLimitNames[] = {"Max cpu time",     "Max file size",     "Max data size",
                                       "Max resident set", "Max address space", "Max file locks"};

TEST_F(Surroundings, SoftLimitsAreNotTakenOver) {
  StartFrom(
      "for l in t=5 f=10 d=1000000 v=4000000 m=1000 s=1024 n=64 p=200; do ulimit -S -${l%=*} "
      "${l#*=}; done");
  for (const char* name : kLimitNames) EXPECT_EQ(SoftLimit(name), "unlimited") << name;
  EXPECT_EQ(SoftLimit("Max stack size"), "8388608");
  EXPECT_GT(std::atol(SoftLimit("Max open files").c_str()), 64);
  EXPECT_NE(SoftLimit("Max processes"), "200");
  EXPECT_EQ(said_, "") << "nothing that a user has to know";
}

TEST_F(Surroundings, HardLimitsAreLeftOrNamedWhereverSomebodyLooks) {
  StartFrom("ulimit -t 100; ulimit -f 100000");
  if (SoftLimit("Max cpu time") == "unlimited") {
    EXPECT_FALSE(Says("limits"));
    EXPECT_EQ(said_, "");
    return;
  }
  EXPECT_NE(said_.find("CPU time"), std::string::npos) << said_;
  EXPECT_NE(said_.find("file size"), std::string::npos) << said_;
  const Outcome status = Sh("corral status");
  EXPECT_EQ(status.status, 1);
  EXPECT_NE(status.out.find("surroundings: the limit of CPU time stays at 100"), std::string::npos)
      << status.out;
  EXPECT_NE(Sh("corral doctor").out.find("the limit of CPU time stays at 100"), std::string::npos);
  EXPECT_NE(Read("/run/corral/" + Instance() + "/corrald.log").find("CPU time"), std::string::npos);
}

// Where it cannot be raised the store does not fit: that is said, nobody dies of SIGXFSZ, and no
// groups are missed that never were.
TEST_F(Surroundings, ALimitOfFileSizeNeverEndsItWithoutAWord) {
  const Outcome run = Sh("ulimit -f 10; corral run true");
  EXPECT_TRUE(run.status == 0 ||
              run.out.find("did not start: cannot open the store") != std::string::npos)
      << run.out;
  EXPECT_EQ(Sh("corral run true 2>&1").out, "");
}

TEST_F(Surroundings, ADescriptorThatIsNotOpenIsNoPlaceToWriteTo) {
  const Outcome start = Sh("exec 9>&-; corrald --ready-fd 9");
  EXPECT_EQ(start.status, 2);
  EXPECT_NE(start.out.find("no such descriptor"), std::string::npos) << start.out;
}

TEST_F(Surroundings, PriorityProcessorsAndUmaskAreItsOwn) {
  StartFrom("umask 0777", "nice -n 10 taskset 1 chrt -b 0 corral run true");
  EXPECT_EQ(Nice(), 0);
  EXPECT_EQ(StatusLine("Umask"), "0022");
  EXPECT_EQ(StatusLine("Cpus_allowed_list") + "\n", Read("/sys/devices/system/cpu/online"));
  EXPECT_EQ(Link("/proc/" + std::to_string(daemon_) + "/cwd"), "/");
  const int score = std::atoi(OfDaemon("oom_score_adj").c_str());
  EXPECT_LE(score, 0);
  if (score != -900) {
    EXPECT_TRUE(Says("oom_score"));
  }
}

TEST_F(Surroundings, AnOomScoreThatSomebodyRaisedIsTakenBack) {
  StartFrom("sh -c 'echo 500 > /proc/$PPID/oom_score_adj'");
  EXPECT_LE(std::atoi(OfDaemon("oom_score_adj").c_str()), 0);
}

// As CI systems do: whatever has the cookie of a job in its environment is ended.
TEST_F(Surroundings, WhoEndsAllWithACookieDoesNotEndIt) {
  const std::string cookie = "JOB_COOKIE=" + Instance();
  for (const char* how : {"corral run true", "corrald; until corral status >/dev/null; do :; done",
                          "corral start", "corral mount -o none,name=x none $MNT; umount $MNT"}) {
    StartFrom("export " + cookie + "; exec 9</etc/passwd", how);
    EXPECT_EQ(OfDaemon("environ").find("COOKIE"), std::string::npos) << how;
    Sh("kill -9 $(grep -lsz '^" + cookie + "$' /proc/[0-9]*/environ | cut -d/ -f3)");
    EXPECT_TRUE(Lives()) << how;
    EXPECT_EQ(Sh("pgrep -P " + std::to_string(daemon_) + " | wc -l").out, "1\n") << "its spawner";
    for (const auto& fd :
         std::filesystem::directory_iterator("/proc/" + std::to_string(daemon_) + "/fd")) {
      EXPECT_NE(Link(fd.path()), "/etc/passwd");
    }
    EXPECT_EQ(Link("/proc/" + std::to_string(daemon_) + "/fd/0"), "/dev/null");
    EXPECT_EQ(Sh("corral shutdown").status, 0);
  }
}

TEST_F(Surroundings, ItIsInTheNamespacesOfInit) {
  const auto init = [this](const std::string& name) {
    const std::string of_1 = Link("/proc/1/ns/" + name);
    return of_1.empty() ? Link("/proc/2/ns/" + name) : of_1;
  };
  if (Link("/proc/self/ns/mnt") != init("mnt")) GTEST_SKIP() << "not in init's mount namespace";
  StartFrom(":", "unshare -m -n -u -i -C corral run true");
  for (const char* name : {"mnt", "net", "uts", "ipc", "cgroup"}) {
    EXPECT_EQ(Link("/proc/" + std::to_string(daemon_) + "/ns/" + name), init(name)) << name;
  }
}

TEST_F(Surroundings, WhereAnotherRunIsMountedItSaysWhereTheDaemonIs) {
  const Outcome other =
      Sh("unshare -m sh -c 'mount -t tmpfs none /run && corral run true' 2>&1; corral status");
  EXPECT_NE(other.out.find("another /run"), std::string::npos) << other.out;
  EXPECT_NE(other.out.find("daemon                pid"), std::string::npos)
      << "it runs: " << other.out;
}

TEST_F(Surroundings, AChrootIsLeft) {
  StartFrom(":",
            "unshare -m sh -c 'mkdir $WORK/root && mount --rbind / $WORK/root && "
            "chroot $WORK/root corral run true'");
  EXPECT_EQ(Link("/proc/" + std::to_string(daemon_) + "/root"), "/");
}

TEST_F(Surroundings, AJobsKernelCgroupIsLeftAndMayBeKilled) {
  on_end_ = "rmdir $WORK/v1/job; umount $WORK/v1; rmdir $WORK/v1";
  if (Sh("mkdir $WORK/v1 && mount -t cgroup -o none,name=" + Instance() +
         " none $WORK/v1 && "
         "mkdir $WORK/v1/job")
          .status != 0) {
    GTEST_SKIP() << "no cgroup v1 here";
  }
  StartFrom(
      "sleep 60 >/dev/null 2>&1 & echo $! > $WORK/v1/job/cgroup.procs; "
      "sh -c 'echo $PPID' > $WORK/v1/job/cgroup.procs");
  EXPECT_NE(Read(work() + "/v1/job/cgroup.procs"), "") << "the job is there";
  EXPECT_NE(OfDaemon("cgroup").find(":name=" + Instance() + ":/\n"), std::string::npos)
      << OfDaemon("cgroup");
  Sh("kill -9 $(cat $WORK/v1/job/cgroup.procs)");
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/v1/job/cgroup.procs").empty(); }));
  EXPECT_TRUE(Lives());
}

TEST_F(Surroundings, AJobsCgroupOfVersion2IsLeftAndMayBeKilled) {
  const std::string job = work() + "/v2/corral-" + Instance();
  on_end_ = "echo 1 > " + job + "/cgroup.kill; sleep 0.1; rmdir " + job + "; umount $WORK/v2";
  if (Sh("mkdir $WORK/v2 && mount -t cgroup2 none $WORK/v2 && mkdir " + job).status != 0) {
    GTEST_SKIP() << "no cgroup v2 to make a group in";
  }
  StartFrom("sleep 60 >/dev/null 2>&1 & echo $! > " + job + "/cgroup.procs; sh -c 'echo $PPID' > " +
            job + "/cgroup.procs");
  EXPECT_NE(Read(job + "/cgroup.procs"), "") << "the job is there";
  EXPECT_NE(OfDaemon("cgroup").find("0::/\n"), std::string::npos) << OfDaemon("cgroup");
  Sh("echo 1 > " + job + "/cgroup.kill");
  EXPECT_TRUE(Eventually([&] { return Read(job + "/cgroup.procs").empty(); }));
  EXPECT_TRUE(Lives());
}

// A set-user-ID starter leaves its user's uid as the real one; that user may then send signals.
TEST_F(Surroundings, TheUserWhoseSetUidProgramStartedItCannotEndIt) {
  StartFrom(":", "setpriv --ruid 1000 --rgid 1000 --clear-groups corral run true");
  EXPECT_EQ(StatusLine("Uid"), "0\t0\t0\t0");
  EXPECT_EQ(StatusLine("Gid"), "0\t0\t0\t0");
  EXPECT_NE(Sh("setpriv --reuid 1000 --clear-groups kill -9 " + std::to_string(daemon_)).status, 0);
  EXPECT_TRUE(Lives());
}

TEST_F(Surroundings, WhatCannotBeLeftIsToldByDoctor) {
  StartFrom(":", "setpriv --no-new-privs corral run true");
  EXPECT_NE(Sh("corral doctor").out.find("no_new_privs is set"), std::string::npos);
}

// A supervisor's limits are meant; its environment, descriptors and umask are nobody's.
TEST_F(Surroundings, InTheForegroundWhatASupervisorSetStays) {
  on_end_ = "corral shutdown --force";
  StartFrom("umask 077; export COOKIE=1",
            "(ulimit -S -f 100000; nice -n 5 corrald --foreground >/dev/null 2>&1 9</etc/passwd) & "
            "until corral status >/dev/null 2>&1; do sleep 0.05; done");
  EXPECT_EQ(Nice(), 5);
  EXPECT_EQ(SoftLimit("Max file size"), "51200000");
  EXPECT_EQ(StatusLine("Umask"), "0022");
  EXPECT_EQ(OfDaemon("environ").find("COOKIE"), std::string::npos);
  EXPECT_EQ(Sh("ls -l /proc/" + std::to_string(daemon_) + "/fd | grep -c passwd").out, "0\n");
}

// ---- what corral makes, whatever the umask, and what it does not use

class OwnFiles : public Surroundings {
 protected:
  static std::string Runtime() { return "/run/corral/" + Instance(); }
  static std::string Pins() { return "/sys/fs/bpf/corral/" + Instance(); }
  static std::string Mode(const std::string& path) {
    struct stat st = {};
    if (::lstat(path.c_str(), &st) != 0) return "missing";
    return fmt::format("{:o} {}:{}", st.st_mode & 07777, st.st_uid, st.st_gid);
  }
  // That the daemon does not start, and says why.
  void ExpectRefused(const std::string& named, const std::string& why) {
    const Outcome refused = Sh("corral run true");
    EXPECT_NE(refused.status, 0);
    EXPECT_NE(refused.out.find(named + " " + why), std::string::npos) << refused.out;
    EXPECT_NE(refused.out.find("remove it"), std::string::npos) << refused.out;
  }
};

TEST_F(OwnFiles, HaveTheirModesWhateverTheUmask) {
  for (const char* umask : {"0", "022", "077", "0777"}) {
    StartFrom(std::string("umask ") + umask);
    EXPECT_EQ(Mode("/run/corral"), "755 0:0") << umask;
    EXPECT_EQ(Mode(Runtime()), "755 0:0") << umask;
    for (const char* file : {"lock", "socket", "corrald.log", "store/data.mdb"}) {
      EXPECT_EQ(Mode(Runtime() + "/" + file), "600 0:0") << file << " with umask " << umask;
    }
    EXPECT_EQ(Mode(Runtime() + "/store"), "700 0:0") << umask;
    EXPECT_EQ(Mode("/sys/fs/bpf/corral"), "700 0:0") << umask;
    EXPECT_EQ(Mode(Pins()), "700 0:0") << umask;
    EXPECT_EQ(
        Sh("setpriv --reuid 1000 --clear-groups cat " + Runtime() + "/proc/self/container").out,
        "/\n")
        << umask;
    KillDaemon();  // the next one finds all of it
    EXPECT_EQ(
        Sh("umask " + std::string(umask) + "; corral status >/dev/null; corral shutdown").status,
        0);
  }
}

TEST_F(OwnFiles, ABpfFileSystemThatItMountsIsClosedToOthers) {
  const Outcome mode =
      Sh("unshare -m sh -c 'umount -l /sys/fs/bpf; corrald --foreground >/dev/null 2>&1 & "
         "until corral status >/dev/null 2>&1; do sleep 0.05; done; stat -c %a /sys/fs/bpf; "
         "corral shutdown'");
  EXPECT_TRUE(mode.out.ends_with("700\n")) << mode.out;  // and sticky, the kernel adds
}

TEST_F(OwnFiles, OfAnotherUserAreRefusedByName) {
  std::filesystem::create_directories(Runtime());
  ASSERT_EQ(::chown(Runtime().c_str(), 1000, 1000), 0);
  ExpectRefused(Runtime(), "belongs to uid 1000");
  ASSERT_EQ(::chown(Runtime().c_str(), 0, 0), 0);
  ASSERT_EQ(::chmod(Runtime().c_str(), 0777), 0);
  ExpectRefused(Runtime(), "may be written by others");
  ASSERT_EQ(::chmod(Runtime().c_str(), 0755), 0);
  for (const char* name : {"/lock", "/corrald.log", "/plugins"}) {
    const std::string file = Runtime() + name;
    std::filesystem::create_symlink("/etc/passwd", file);
    ExpectRefused(file, "is a symbolic link");
    std::filesystem::remove(file);
    std::ofstream(file) << "";
    ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
    ExpectRefused(file, "may be written by others");
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    ASSERT_EQ(::chown(file.c_str(), 1000, 0), 0);
    ExpectRefused(file, "belongs to uid 1000");
    std::filesystem::remove(file);
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    ExpectRefused(file, "is no regular file");
    std::filesystem::remove(file);
  }
  EXPECT_EQ(Sh("corral run true").status, 0) << "and then it starts";
}

TEST_F(OwnFiles, ADirectoryOfAnotherUserInTheBpfFileSystemIsRefusedByName) {
  ASSERT_EQ(Sh("corral run true && corral shutdown").status, 0);  // /sys/fs/bpf/corral is there
  std::filesystem::create_directories(Pins());
  ASSERT_EQ(::chown(Pins().c_str(), 1000, 1000), 0);
  ExpectRefused(Pins(), "belongs to uid 1000");
  ASSERT_EQ(::chown(Pins().c_str(), 0, 0), 0);
  std::filesystem::remove(Pins());
  std::filesystem::create_symlink("/tmp", Pins());
  ExpectRefused(Pins(), "is a symbolic link");
  std::filesystem::remove(Pins());
  EXPECT_EQ(Sh("corral run true").status, 0) << "and then it starts";
}

TEST_F(OwnFiles, AStoreThatOthersCouldHaveWrittenIsNotBelieved) {
  Mount("none,name=x");
  KillDaemon();
  ASSERT_EQ(::chmod((Runtime() + "/store/data.mdb").c_str(), 0666), 0);
  ExpectRefused(Runtime() + "/store/data.mdb", "may be written by others");
  ASSERT_EQ(::chmod((Runtime() + "/store/data.mdb").c_str(), 0600), 0);
  EXPECT_EQ(Sh("corral status").status, 0);
}

}  // namespace
}  // namespace corral
