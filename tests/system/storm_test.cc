// A fork storm at full speed in 50 groups with notify set: every task in its group, every
// group's agent called once when it is empty, no difference in the books. 5 seconds, or
// CORRAL_STORM_SECONDS.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "system/instance.h"

namespace corral {
namespace {

constexpr int kGroups = 50;

class Storm : public InstanceTest {
 protected:
  std::string Group(int i) const { return mnt() + "/g" + std::to_string(i); }

  // In a child: enters group `i`, then forks and reaps grandchildren, some of which daemonise,
  // until the time is over. Exits 1 when a task is not in its group.
  [[noreturn]] void Forker(int i, std::chrono::steady_clock::time_point end) const {
    if (Write(Group(i) + "/tasks", "0") != 0) ::_exit(2);
    for (unsigned n = 0; std::chrono::steady_clock::now() < end; ++n) {
      const pid_t child = ::fork();
      if (child == 0) {
        if (n % 16 == 0 && ::fork() == 0) {
          ::setsid();
          ::usleep(2000);  // outlives its parent
        }
        ::_exit(0);
      }
      if (n % 512 == 0 && !Listed(i, ::getpid())) ::_exit(1);
      ::waitpid(child, nullptr, 0);
    }
    ::_exit(0);
  }

  bool Listed(int i, pid_t pid) const {
    std::istringstream tasks(Read(Group(i) + "/tasks"));
    for (pid_t listed; tasks >> listed;) {
      if (listed == pid) return true;
    }
    return false;
  }
};

TEST_F(Storm, EveryTaskIsInItsGroupAndEveryGroupIsReportedOnce) {
  const char* wanted = std::getenv("CORRAL_STORM_SECONDS");
  const int seconds = wanted ? std::atoi(wanted) : 5;
  Mount("none,name=storm,release_agent=" + WriteAgent("echo $1 >> " + work() + "/log"));
  for (int i = 0; i < kGroups; ++i) {
    ASSERT_EQ(Sh("mkdir " + Group(i) + "; echo 1 > " + Group(i) + "/notify_on_release").status, 0);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::vector<pid_t> forkers;
  for (int i = 0; i < kGroups; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) Forker(i, end);
    forkers.push_back(pid);
  }
  for (const pid_t pid : forkers) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0) << "2: could not enter; 1: not listed in its own group";
  }
  EXPECT_TRUE(Eventually([&] {
    return Sh("wc -l < $WORK/log").out == std::to_string(kGroups) + "\n";
  })) << Read(work() + "/log");
  ::usleep(300'000);  // one too many would come now
  std::map<std::string, int> calls;
  std::istringstream log(Read(work() + "/log"));
  for (std::string path; log >> path;) ++calls[path];
  EXPECT_EQ(calls.size(), static_cast<std::size_t>(kGroups));
  for (const auto& [path, times] : calls) EXPECT_EQ(times, 1) << path;
  for (int i = 0; i < kGroups; ++i) {
    EXPECT_EQ(Read(Group(i) + "/cgroup.events"), "populated 0\nreleases 1\n");
    EXPECT_EQ(Sh("rmdir " + Group(i)).status, 0);
  }
  ExpectCleanAudit();
  EXPECT_EQ(Sh("corral status --json | jq -c '.misses | [.out_of_table, .unknown_deaths, .adopted, "
               ".displaced, .retries, .recursion]'")
                .out,
            "[0,0,0,0,0,0]\n");
}

}  // namespace
}  // namespace corral
