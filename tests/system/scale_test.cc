// Some thousands of tasks and groups on a real mount: nothing is lost, doubled or forgotten. What
// it costs is measured by scripts/scale and written in docs/scale.md; no test looks at a clock.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "support/rounds.h"
#include "system/instance.h"

namespace corral {
namespace {

constexpr int kThreads = 20;  // of the one process in each, the leader included

class Scale : public InstanceTest {
 protected:
  std::string Group(int i) const { return mnt() + "/g" + std::to_string(i); }

  std::vector<long> Numbers(const std::string& path) const {
    std::istringstream text(Read(path));
    std::vector<long> numbers;
    for (long number; text >> number;) numbers.push_back(number);
    return numbers;
  }

  // A process with threads in group `i`; returns when all of them run.
  pid_t Fill(int i) const {
    int ready[2];
    if (::pipe(ready) != 0) return -1;
    const pid_t pid = ::fork();
    if (pid == 0) {
      if (Write(Group(i) + "/tasks", "0") != 0) ::_exit(1);
      for (int n = 1; n < kThreads; ++n) std::thread([] { ::pause(); }).detach();
      (void)!::write(ready[1], "y", 1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char done = 'n';
    (void)!::read(ready[0], &done, 1);
    ::close(ready[0]);
    EXPECT_EQ(done, 'y');
    return pid;
  }
};

TEST_F(Scale, ThousandsOfTasksAreEachListedOnceAndEachGroupIsToldOnceWhenAllEmpty) {
  const int groups = Rounds(150);
  Mount("none,name=many,release_agent=" + WriteAgent("echo $1 >> " + work() + "/log"));
  std::vector<pid_t> processes;
  for (int i = 0; i < groups; ++i) {
    ASSERT_EQ(::mkdir(Group(i).c_str(), 0755), 0);
    ASSERT_EQ(Write(Group(i) + "/notify_on_release", "1"), 0);
    processes.push_back(Fill(i));
  }
  std::set<long> all;
  for (int i = 0; i < groups; ++i) {
    const auto own = Numbers(Group(i) + "/tasks");
    EXPECT_EQ(own.size(), static_cast<std::size_t>(kThreads));
    EXPECT_TRUE(std::is_sorted(own.begin(), own.end()));
    all.insert(own.begin(), own.end());
  }
  EXPECT_EQ(all.size(), static_cast<std::size_t>(groups * kThreads));
  const auto elsewhere = Numbers(mnt() + "/tasks");
  EXPECT_FALSE(elsewhere.empty());
  for (const long tid : elsewhere) EXPECT_FALSE(all.contains(tid)) << tid;
  EXPECT_EQ(Sh("corral ps -r --json $MNT | jq '[.tasks[] | select(.path != \"/\")] | length'").out,
            std::to_string(groups * kThreads) + "\n");
  EXPECT_EQ(Sh("corral tree --json $MNT | jq '[.trees[0].groups[1:][].tasks] | unique | .[]'").out,
            std::to_string(kThreads) + "\n");
  ExpectCleanAudit();

  for (const pid_t process : processes) ::kill(process, SIGKILL);
  for (const pid_t process : processes) ::waitpid(process, nullptr, 0);
  for (int i = 0; i < groups; ++i) {
    EXPECT_EQ(Read(Group(i) + "/cgroup.events"), "populated 0\nreleases 1\n");
  }
  EXPECT_TRUE(Eventually([&] {
    return Sh("wc -l < $WORK/log").out == std::to_string(groups) + "\n";
  })) << Read(work() + "/log");
  ::usleep(300'000);  // one too many would come now
  std::map<std::string, int> told;
  std::istringstream log(Read(work() + "/log"));
  for (std::string path; log >> path;) ++told[path];
  EXPECT_EQ(told.size(), static_cast<std::size_t>(groups));
  for (const auto& [path, times] : told) EXPECT_EQ(times, 1) << path;
  for (int i = 0; i < groups; ++i) EXPECT_EQ(::rmdir(Group(i).c_str()), 0);
  ExpectCleanAudit();
}

TEST_F(Scale, ThousandsOfSiblingsAndADeepChainComeAndGo) {
  const int siblings = Rounds(3000);
  const int depth = Rounds(200);
  Mount("none,name=wide");
  for (int i = 0; i < siblings; ++i) ASSERT_EQ(::mkdir(Group(i).c_str(), 0755), 0);
  std::set<std::string> names;
  int listed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(mnt())) {
    if (!entry.is_directory()) continue;
    names.insert(entry.path().filename());
    ++listed;
  }
  EXPECT_EQ(listed, siblings);
  EXPECT_EQ(names.size(), static_cast<std::size_t>(siblings));

  std::string path = Group(0);
  for (int i = 0; i < depth; ++i) ASSERT_EQ(::mkdir((path += "/d").c_str(), 0755), 0);
  ASSERT_EQ(Write(path + "/tasks", std::to_string(::getpid())), 0);
  EXPECT_EQ(Read(path + "/tasks"), std::to_string(::getpid()) + "\n");
  EXPECT_TRUE(Read(Group(0) + "/cgroup.events").starts_with("populated 1"));
  EXPECT_EQ(Sh("corral tree --json $MNT | grep -c '\"path\":'").out,
            std::to_string(1 + siblings + depth) + "\n");
  ASSERT_EQ(Write(mnt() + "/tasks", std::to_string(::getpid())), 0);
  EXPECT_TRUE(Read(Group(0) + "/cgroup.events").starts_with("populated 0"));
  for (int i = 0; i < depth; ++i, path.resize(path.size() - 2)) {
    EXPECT_EQ(::rmdir(path.c_str()), 0);
  }
  for (int i = 0; i < siblings; ++i) EXPECT_EQ(::rmdir(Group(i).c_str()), 0);
  ExpectCleanAudit();
}

}  // namespace
}  // namespace corral
