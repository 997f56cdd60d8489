// numtasks and cpuacct beside the kernel's own pids and cpuacct, on the same processes. Only where
// nobody uses the kernel's control groups: in the guest of scripts/test-on-kernel.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <ctime>
#include <fstream>
#include <thread>
#include <vector>

#include "system/instance.h"

namespace corral {
namespace {

class KernelsOwn : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    std::ifstream mounts("/proc/mounts");
    for (std::string source, dir, type; mounts >> source >> dir >> type;) {
      if (type == "cgroup" || type == "cgroup2") {
        GTEST_SKIP() << "the kernel's control groups are in use here (" << dir << ")";
      }
      std::getline(mounts, source);
    }
  }
  void TearDown() override {
    for (const std::string& dir : groups_) ::rmdir(dir.c_str());
    if (!kernel_.empty()) ::umount2(kernel_.c_str(), MNT_DETACH);
    if (!IsSkipped()) ExpectCleanAudit();
    InstanceTest::TearDown();
  }

  // The kernel's controller at kernel(), ours at mnt().
  void MountBoth(const std::string& theirs, const std::string& ours) {
    kernel_ = work() + "/kernel";
    ASSERT_EQ(::mkdir(kernel_.c_str(), 0755), 0);
    ASSERT_EQ(::mount("none", kernel_.c_str(), "cgroup", 0, theirs.c_str()), 0) << errno;
    Mount(ours);
  }
  void MkdirInBoth(const std::string& name) {
    for (const std::string& root : {mnt(), kernel_}) {
      groups_.insert(groups_.begin(), root + "/" + name);  // removed before what it is in
      ASSERT_EQ(::mkdir(groups_.front().c_str(), 0755), 0) << groups_.front();
    }
  }
  std::string kernel() const { return kernel_; }

  // What a process in both groups `name` does after it is there.
  template <typename Fn>
  void RunIn(const std::vector<std::string>& dirs, const Fn& fn) {
    int go[2];
    ASSERT_EQ(::pipe(go), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      char byte;
      (void)!::read(go[0], &byte, 1);
      fn();
      ::_exit(0);
    }
    for (const std::string& dir : dirs) {
      EXPECT_EQ(Write(dir + "/cgroup.procs", std::to_string(child)), 0) << dir;
    }
    (void)!::write(go[1], "!", 1);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    ::close(go[0]);
    ::close(go[1]);
  }

 private:
  std::string kernel_;
  std::vector<std::string> groups_;
};

// Children and threads until one is refused: "CHILDREN ERRNO, THREADS ERRNO" into `report`.
void Fill(const std::string& report) {
  constexpr int kMost = 40;
  std::string text;
  std::vector<pid_t> children;
  int error = 0;
  while (children.size() < kMost) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    error = child < 0 ? errno : 0;
    if (error) break;
    children.push_back(child);
  }
  text = std::to_string(children.size()) + " " + std::to_string(error);
  for (const pid_t child : children) ::kill(child, SIGKILL);
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);

  std::atomic<bool> end = false;
  std::vector<std::thread> threads;
  error = 0;
  try {
    while (threads.size() < kMost) {
      threads.emplace_back([&] {
        while (!end) ::usleep(1000);
      });
    }
  } catch (const std::system_error& refused) {
    error = refused.code().value();
  }
  text += ", " + std::to_string(threads.size()) + " " + std::to_string(error);
  end = true;
  for (std::thread& thread : threads) thread.join();
  std::ofstream(report) << text;
}

TEST_F(KernelsOwn, PidsRefusesWhatNumtasksRefuses) {
  MountBoth("pids", "numtasks");
  MkdirInBoth("a");
  MkdirInBoth("a/b");
  struct Files {
    std::string root, max, current;
  };
  const Files both[] = {{mnt(), "/numtasks.max", "/numtasks.current"},
                        {kernel(), "/pids.max", "/pids.current"}};
  struct Case {
    const char* a;
    const char* b;
  };
  for (const Case& limits : {Case{"max", "1"}, Case{"max", "4"}, Case{"3", "max"}, Case{"5", "9"},
                             Case{"9", "5"}, Case{"0", "0"}, Case{"max", "max"}}) {
    SCOPED_TRACE(std::string(limits.a) + " " + limits.b);
    std::vector<std::string> said;
    for (const Files& one : both) {
      EXPECT_EQ(Write(one.root + "/a" + one.max, limits.a), 0);
      EXPECT_EQ(Write(one.root + "/a/b" + one.max, limits.b), 0);
      // Moved in one after the other: also beyond the limit.
      RunIn({one.root + "/a/b"}, [&] { Fill(work() + "/report"); });
      said.push_back(Read(work() + "/report") + "; " + Read(one.root + "/a/b" + one.max) +
                     Read(one.root + "/a" + one.current));
    }
    EXPECT_EQ(said[0], said[1]);
  }
  EXPECT_EQ(Sh("corral status --json | jq -r .births_beyond_limits.are").out, "refused\n");
}

TEST_F(KernelsOwn, PidsTakesWhatNumtasksTakesForALimit) {
  MountBoth("pids", "numtasks");
  MkdirInBoth("a");
  for (const char* text : {"7",
                           "7\n",
                           " 7",
                           "7 ",
                           "\t7\n\n",
                           "0",
                           "max",
                           "max\n",
                           " max ",
                           "Max",
                           "maximum",
                           "",
                           "\n",
                           "-1",
                           "+3",
                           "0x10",
                           "010",
                           "1.5",
                           "7 8",
                           "few",
                           "4194304",
                           "4194305",
                           "2147483648",
                           "9223372036854775807",
                           "9223372036854775808",
                           "18446744073709551616",
                           "-9223372036854775809",
                           "5\r\n",
                           "5\v",
                           "\xa0"
                           "5",
                           "max\r",
                           "-0x0",
                           "9223372036854775808x",
                           "-0777777777777777777777",
                           "0x",
                           "0X1f",
                           "0xg",
                           "08",
                           "-0",
                           "++3",
                           "+-3",
                           "-+3",
                           "0x-3",
                           "0x99999999999999999"}) {
    EXPECT_EQ(Write(mnt() + "/a/numtasks.max", text), Write(kernel() + "/a/pids.max", text))
        << '"' << text << '"';
    EXPECT_EQ(Read(mnt() + "/a/numtasks.max"), Read(kernel() + "/a/pids.max"))
        << '"' << text << '"';
  }
}

TEST_F(KernelsOwn, CpuacctChargesWhatOursCharges) {
  MountBoth("cpuacct", "cpuacct");
  const auto burn = [](long ms) {
    const clock_t until = std::clock() + ms * CLOCKS_PER_SEC / 1000;
    while (std::clock() < until) {
    }
  };
  const auto fork_away = [] {
    for (int i = 0; i < 300; ++i) {
      const pid_t child = ::fork();
      if (child == 0) ::_exit(0);
      ::waitpid(child, nullptr, 0);
    }
  };
  MkdirInBoth("bound");
  MkdirInBoth("forks");
  RunIn({mnt() + "/bound", kernel() + "/bound"}, [&] { burn(1000); });
  RunIn({mnt() + "/forks", kernel() + "/forks"}, fork_away);
  for (const std::string group : {"/bound", "/forks"}) {
    const double ours = std::stod(Read(mnt() + group + "/cpuacct.usage"));
    const double theirs = std::stod(Read(kernel() + group + "/cpuacct.usage"));
    EXPECT_LE(std::abs(ours - theirs), 0.01 * theirs) << group << ": " << ours << ", " << theirs;
    std::printf("FIGURES cpuacct %s: %.0f ns, the kernel's %.0f ns\n", group.c_str(), ours, theirs);
  }
}

}  // namespace
}  // namespace corral
