// Spec 7: reading tasks. Spec 2.13.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "conformance/conformance.h"
#include "support/puppets.h"

namespace corral {
namespace {

class TaskLists : public Conformance {
 protected:
  void Prepare() override {
    group_ = Group("g");
    tasks_ = group_ + "/tasks";
  }
  static std::string Line(pid_t task) { return std::to_string(task) + "\n"; }
  static std::vector<int> Numbers(const std::string& text) {
    std::vector<int> numbers;
    for (const std::string& line : SplitLines(text)) numbers.push_back(std::atoi(line.c_str()));
    return numbers;
  }
  std::string group_, tasks_;
};
CORRAL_IN_EVERY_DIALECT(TaskLists);

TEST_P(TaskLists, OneNumberALineAscendingAndOnce) {
  Spec("7.1");
  EXPECT_EQ(Read(tasks_), "");
  std::set<int> expected;
  for (int i = 0; i < 40; ++i) expected.insert(Sleeper());
  for (auto task = expected.rbegin(); task != expected.rend(); ++task) {
    ASSERT_EQ(Write(tasks_, std::to_string(*task)), 0);
    ASSERT_EQ(Write(tasks_, std::to_string(*task)), 0);
  }
  std::string text;
  for (const int task : expected) text += Line(task);
  EXPECT_EQ(Read(tasks_), text);
}

TEST_P(TaskLists, ProcsListsEachProcessOnce) {
  Spec("7.1");
  if (!Is("corral") && !Is("linux")) NOT_APPLICABLE("no cgroup.procs");
  Puppets puppets;
  std::set<unsigned> leaders;
  for (int i = 0; i < 3; ++i) {
    const Tid leader = puppets.Start();
    leaders.insert(leader.value);
    for (int thread = 0; thread < 3; ++thread) {
      ASSERT_EQ(Write(tasks_, std::to_string(puppets.Thread(leader).value)), 0);
    }
  }
  std::string expected;
  for (const unsigned leader : leaders) expected += std::to_string(leader) + "\n";
  EXPECT_EQ(Read(group_ + "/cgroup.procs"), expected);
  EXPECT_EQ(SplitLines(Read(tasks_)).size(), 9u);
}

TEST_P(TaskLists, AreOfOneGroupNotOfItsChildren) {
  Spec("7.2");
  const std::string child = Group("g/child");
  const pid_t above = SleeperIn(group_), below = SleeperIn(child), nowhere = Sleeper();
  EXPECT_EQ(Read(tasks_), Line(above));
  EXPECT_EQ(Read(child + "/tasks"), Line(below));
  const std::vector<int> top = Numbers(Read(mnt() + "/tasks"));
  const auto has = [&](int task) { return std::binary_search(top.begin(), top.end(), task); };
  EXPECT_TRUE(std::is_sorted(top.begin(), top.end()));
  EXPECT_TRUE(has(nowhere));
  EXPECT_TRUE(has(1));
  EXPECT_TRUE(has(KernelThread("kthreadd")));
  EXPECT_FALSE(has(above));
  EXPECT_FALSE(has(below));
}

TEST_P(TaskLists, TheSnapshotIsMadeWhenTheDialectSays) {
  Spec("2.13 7.3");
  const pid_t first = SleeperIn(group_);
  const Fd opened = Open(tasks_, O_RDWR);
  const pid_t second = SleeperIn(group_);
  const std::string old = Line(first), both = Line(first) + Line(second);
  EXPECT_EQ(ReadOn(opened.get(), 0), Is("linux") ? both : old);
  const Fd fresh = Open(tasks_, O_RDONLY);
  EXPECT_EQ(ReadOn(fresh.get(), 0), both) << "a fresh open is current";
  if (!Is("linux")) {
    EXPECT_EQ(ReadOn(opened.get(), 0), old) << "each descriptor has its own";
  }
}

// In linux descriptors share a list: who reads first after a change renews it for all.
TEST_P(TaskLists, LinuxSharesOneListAmongDescriptors) {
  Spec("2.13");
  if (!Is("linux")) NOT_APPLICABLE("each descriptor has a list of its own");
  std::set<int> tasks;
  for (int i = 0; i < 3; ++i) tasks.insert(SleeperIn(group_));
  const std::string first = Line(*tasks.begin());
  const Fd begun = Open(tasks_, O_RDONLY);
  std::string piece(first.size(), '\0');
  ASSERT_EQ(::read(begun.get(), piece.data(), piece.size()), static_cast<ssize_t>(piece.size()));
  EXPECT_EQ(piece, first);
  End(*tasks.rbegin());
  EXPECT_EQ(SplitLines(Read(tasks_)).size(), 2u) << "a fresh reader renews it";
}

TEST_P(TaskLists, PiecesAndSeeksServeOneSnapshot) {
  Spec("7.3");
  std::set<int> tasks;
  for (int i = 0; i < 60; ++i) tasks.insert(SleeperIn(group_));
  std::string whole;
  for (const int task : tasks) whole += Line(task);
  const Fd fd = Open(tasks_, O_RDONLY);
  EXPECT_EQ(ReadOn(fd.get(), 0, 7), whole);
  EXPECT_EQ(ReadOn(fd.get(), 11, 1), whole.substr(11));
  EXPECT_EQ(::lseek(fd.get(), 20, SEEK_SET), 20);
  char bytes[10];
  ASSERT_EQ(::read(fd.get(), bytes, sizeof bytes), 10);
  EXPECT_EQ(std::string(bytes, 10), whole.substr(20, 10));
}

TEST_P(TaskLists, ALongListArrivesWhole) {
  Spec("7.3");
  Puppets puppets;
  const Tid leader = puppets.Start();
  ASSERT_EQ(Write(tasks_, std::to_string(leader.value)), 0);
  std::set<unsigned> tasks{leader.value};
  for (int i = 0; i < 1400; ++i) tasks.insert(puppets.Thread(leader).value);
  std::string whole;
  for (const unsigned task : tasks) whole += std::to_string(task) + "\n";
  EXPECT_GT(whole.size(), 4096u);
  EXPECT_EQ(Read(tasks_), whole);
  const Fd fd = Open(tasks_, O_RDONLY);
  EXPECT_EQ(ReadOn(fd.get(), 0, 1000), whole);
}

TEST_P(TaskLists, ZombiesAreNeitherListedNorCounted) {
  Spec("7.4");
  const pid_t zombie = SleeperIn(group_);
  ASSERT_TRUE(Lists(tasks_, zombie));
  ::kill(zombie, SIGKILL);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(Read(tasks_), "");
  EXPECT_FALSE(Lists(mnt() + "/tasks", zombie));
  EXPECT_EQ(Rmdir(group_), 0);
}

TEST_P(TaskLists, TheThreadsOfADeadLeaderAreListed) {
  Spec("7.4");
  Puppets puppets;
  const Tid leader = puppets.Start(), thread = puppets.Thread(leader);
  ASSERT_EQ(Write(tasks_, std::to_string(leader.value)), 0);
  ASSERT_EQ(Write(tasks_, std::to_string(thread.value)), 0);
  puppets.ExitThread(leader);
  EXPECT_EQ(Read(tasks_), std::to_string(thread.value) + "\n");
  EXPECT_EQ(Rmdir(group_), EBUSY);
  if (Is("corral") || Is("linux")) {
    EXPECT_EQ(Read(group_ + "/cgroup.procs"), std::to_string(leader.value) + "\n");
  }
}

TEST_P(TaskLists, NumbersAreThoseOfTheReadersAndWritersPidNamespace) {
  Spec("7.5");
  const Outcome inside =
      Sh("exec 9< $MNT/g/tasks\n"
         "unshare -fp sh -c 'sleep 60 & echo $! > $MNT/g/tasks\n"
         "echo $! $(cat $MNT/g/tasks)\n"
         "until [ -e $WORK/looked ]; do sleep 0.02; done; kill $!' > $WORK/inside &\n"
         "until [ -s $WORK/inside ]; do sleep 0.02; done\n"
         "cat $WORK/inside; cat $MNT/g/tasks; touch $WORK/looked; wait");
  const Lines lines = SplitLines(inside.out);
  ASSERT_EQ(lines.size(), 2u) << inside.out;
  const std::string& pair = lines[0];
  EXPECT_EQ(pair.substr(0, pair.find(' ')), pair.substr(pair.find(' ') + 1));
  EXPECT_LT(std::atoi(pair.c_str()), 20) << "the namespace is new";
  EXPECT_GT(std::atoi(lines[1].c_str()), 20) << "the host's number";
}

}  // namespace
}  // namespace corral
