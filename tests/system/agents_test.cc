// Release agents beside accidents and strangers: many at once, a spawner that dies, a daemon that
// dies, files that somebody else could change (spec 10.6, 10.7, 10.9, 10.11).
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "system/instance.h"

namespace corral {
namespace {

class AgentsInADaemon : public InstanceTest {
 protected:
  // Writes its path when it begins, and ends when $WORK/go is there.
  std::string Patient() {
    return WriteAgent("echo $1 >> " + work() + "/log; while [ ! -e " + work() +
                      "/go ]; do sleep 0.02; done");
  }
  // Makes groups FROM to TO and empties each, so that an agent is due.
  void Empty(int from, int to, const std::string& at = "$MNT") {
    const Outcome done =
        Sh("for i in $(seq " + std::to_string(from) + " " + std::to_string(to) + "); do mkdir " +
           at + "/$i && echo 1 > " + at + "/$i/notify_on_release && sh -c \"echo 0 > " + at +
           "/$i/tasks\" || exit 1; done");
    ASSERT_EQ(done.status, 0) << done.out;
  }
  std::multiset<std::string> Told() const {
    std::istringstream log(Read(work() + "/log"));
    std::multiset<std::string> told;
    for (std::string line; std::getline(log, line);) told.insert(line);
    return told;
  }
  static long Count(const std::string& what) {
    return std::atol(Sh("corral status --json | jq .agents." + what).out.c_str());
  }
  static pid_t Spawner() {
    return std::atoi(
        Sh("pgrep -P $(corral status --json | jq .daemon_pid) -x corral-spawner").out.c_str());
  }
  static std::multiset<std::string> Paths(int from, int to) {
    std::multiset<std::string> paths;
    for (int i = from; i <= to; ++i) paths.insert("/" + std::to_string(i));
    return paths;
  }
};

TEST_F(AgentsInADaemon, RunAtMostSoManyAtOnceAndWhatIsRemovedMeanwhileIsDropped) {
  ASSERT_EQ(Sh("corral start --max-agents 2").status, 0);
  Mount("none,name=x,release_agent=" + Patient());
  Empty(1, 6);
  ASSERT_TRUE(Eventually([&] { return Told().size() == 2 && Count("waiting") == 4; }));
  EXPECT_EQ(Count("running"), 2);
  EXPECT_EQ(Count("limit"), 2);
  // Emptied again while it waits: one notification (10.7). Removed while it waits: none (spec 2).
  const auto first = Told();
  std::string again, removed;
  for (int i = 1; i <= 6; ++i) {
    if (first.contains("/" + std::to_string(i))) continue;
    (again.empty() ? again : removed) = std::to_string(i);
  }
  ASSERT_EQ(Sh("sh -c 'echo 0 > $MNT/" + again + "/tasks'; rmdir $MNT/" + removed).status, 0);
  ASSERT_TRUE(Eventually([&] { return Count("waiting") == 4; }));
  std::ofstream(work() + "/go");
  ASSERT_TRUE(Eventually([&] { return Count("succeeded") == 5 && Count("waiting") == 0; }));
  auto expected = Paths(1, 6);
  expected.erase("/" + removed);
  EXPECT_EQ(Told(), expected);
}

// Where nobody is to be told nothing has to wait for room: it ends there (10.9).
TEST_F(AgentsInADaemon, ThatHangDoNotHoldUpAHierarchyWithoutAnAgent) {
  ASSERT_EQ(Sh("corral start --max-agents 1").status, 0);
  Mount("none,name=x,release_agent=" + Patient());
  Mount("none,name=y", "other");
  Empty(1, 3);
  ASSERT_TRUE(Eventually([&] { return Count("running") == 1 && Count("waiting") == 2; }));
  Empty(1, 3, "$WORK/other");
  EXPECT_TRUE(Eventually([&] { return Count("waiting") == 2; }));
  const std::string late = work() + "/late";
  std::ofstream(late) << "#!/bin/sh\necho $1 >> " << work() << "/late.log\n";
  ::chmod(late.c_str(), 0755);
  ASSERT_EQ(Write(work() + "/other/release_agent", late), 0);  // does not revive them
  std::ofstream(work() + "/go");
  ASSERT_TRUE(Eventually([&] { return Count("succeeded") == 3; }));
  EXPECT_EQ(Told(), Paths(1, 3));
  EXPECT_EQ(Read(late + ".log"), "");
}

TEST_F(AgentsInADaemon, KeepTheirLimitAcrossACrash) {
  ASSERT_EQ(Sh("corral start --max-agents 3").status, 0);
  Mount("none,name=x");
  EXPECT_EQ(Count("limit"), 3);
  KillDaemon();
  EXPECT_EQ(Count("limit"), 3);
  EXPECT_NE(Sh("corral start --max-agents 4").status, 0);  // one runs already
  for (const char* bad : {"0", "-1", "x", "10001"}) {
    EXPECT_NE(Sh(std::string("corral start --max-agents ") + bad).status, 0) << bad;
  }
}

TEST_F(AgentsInADaemon, AreToldOnceEachThoughTheirSpawnerDies) {
  Mount("none,name=x,release_agent=" + WriteAgent("echo $1 >> " + work() + "/log"));
  const pid_t first = Spawner();
  ASSERT_GT(first, 1);
  // Given to it and not started: it is stopped before it can take them.
  ASSERT_EQ(::kill(first, SIGSTOP), 0);
  Empty(1, 20);
  ASSERT_TRUE(Eventually([&] { return Count("running") == 20; }));
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_TRUE(Eventually([&] { return Count("succeeded") == 20; }));
  EXPECT_EQ(Told(), Paths(1, 20));
  EXPECT_EQ(Count("spawner_deaths"), 1);
  EXPECT_NE(Spawner(), first);
  // And while others come and it dies over and over.
  for (int i = 0; i < 4; ++i) {
    if (const pid_t spawner = Spawner(); spawner > 1) ::kill(spawner, SIGKILL);
    Empty(21 + 10 * i, 30 + 10 * i);
  }
  ASSERT_TRUE(Eventually([&] { return Told().size() == 60; }));
  EXPECT_EQ(Told(), Paths(1, 60));
}

TEST_F(AgentsInADaemon, ThatAStoppedSpawnerDoesNotStartAreToldOf) {
  Mount("none,name=x,release_agent=" + WriteAgent("echo $1 >> " + work() + "/log"));
  const auto health = [] { return Sh("corral status --json | jq -c '[.health[].name]'").out; };
  EXPECT_EQ(health(), "[]\n");
  const pid_t spawner = Spawner();
  ASSERT_EQ(::kill(spawner, SIGSTOP), 0);
  Empty(1, 1);
  EXPECT_TRUE(Eventually([&] { return health() == "[\"spawner_down\"]\n"; })) << health();
  ASSERT_EQ(::kill(spawner, SIGCONT), 0);
  EXPECT_TRUE(Eventually([&] { return health() == "[]\n"; })) << health();
  EXPECT_EQ(Told(), Paths(1, 1));
}

TEST_F(AgentsInADaemon, OfANewSpawnerRunInEveryRoot) {
  Mount("none,name=x,release_agent=" +
        WriteAgent("grep -c . $(dirname $0)/mnt/in/tasks > $(dirname $0)/log.new; cat "
                   "/run/corral/$(cat $(dirname $0)/instance)/proc/self/container >> "
                   "$(dirname $0)/log.new; mv $(dirname $0)/log.new $(dirname $0)/log"));
  Sh("echo $CORRAL_INSTANCE > $WORK/instance; mkdir $MNT/in");
  const pid_t first = Spawner();
  // Where somebody may move it: it comes back. Where nobody may, it is there.
  (void)Write(mnt() + "/in/tasks", std::to_string(first));
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  Empty(1, 1);
  ASSERT_TRUE(Eventually([&] { return !Read(work() + "/log").empty(); }));
  EXPECT_EQ(Read(work() + "/log").substr(0, 2), "0\n");
  EXPECT_EQ(Sh("grep -c /in $WORK/log").out, "0\n");
}

// Both die between the handing over and the start: the journal has them still.
TEST_F(AgentsInADaemon, AreNotLostWhenDaemonAndSpawnerDieTogether) {
  Mount("none,name=x,release_agent=" + WriteAgent("echo $1 >> " + work() + "/log"));
  const pid_t spawner = Spawner();
  ASSERT_EQ(::kill(spawner, SIGSTOP), 0);
  Empty(1, 10);
  ASSERT_TRUE(Eventually([&] { return Count("running") == 10; }));
  KillDaemon();
  ::kill(spawner, SIGKILL);
  EXPECT_EQ(Told(), Paths(1, 0));
  ASSERT_EQ(Sh("corral status").status, 0);  // starts the next one
  ASSERT_TRUE(Eventually([&] { return Told().size() >= 10; }));
  ::usleep(200'000);  // time for one told twice
  EXPECT_EQ(Told(), Paths(1, 10));
}

// The spawner outlives its daemon, and has jobs: they are the next daemon's, which tells them once.
TEST_F(AgentsInADaemon, AreNotStartedForADaemonThatDied) {
  Mount("none,name=x,release_agent=" + WriteAgent("echo $1 >> " + work() + "/log"));
  const pid_t spawner = Spawner();
  ASSERT_EQ(::kill(spawner, SIGSTOP), 0);
  Empty(1, 10);
  ASSERT_TRUE(Eventually([&] { return Count("running") == 10; }));
  KillDaemon();
  ASSERT_EQ(::kill(spawner, SIGCONT), 0);
  ASSERT_TRUE(Eventually([&] { return ::kill(spawner, 0) != 0; }));
  EXPECT_EQ(Told(), Paths(1, 0));
  ASSERT_EQ(Sh("corral status").status, 0);
  ASSERT_TRUE(Eventually([&] { return Told().size() >= 10; }));
  ::usleep(200'000);
  EXPECT_EQ(Told(), Paths(1, 10));
}

TEST_F(AgentsInADaemon, MayBelongToTheirUserAndAreLookedAtWhenTheUserChanges) {
  const std::string agent = WriteAgent("true");
  ASSERT_EQ(::chown(agent.c_str(), 65534, 65534), 0);
  EXPECT_NE(Sh("corral mount -o none,name=x,release_agent=" + agent + " none $MNT").status, 0);
  Mount("none,name=x,agent_user=nobody,release_agent=" + agent);
  EXPECT_EQ(Write(mnt() + "/release_agent", agent), 0);
  const auto remount = [](const std::string& user) {
    return Sh("corral mount -o remount,none,name=x,agent_user=" + user + " none $MNT");
  };
  EXPECT_EQ(remount("nobody").status, 0);
  const Outcome root = remount("root");
  EXPECT_NE(root.status, 0);
  EXPECT_NE(root.out.find("belongs to uid 65534"), std::string::npos) << root.out;
  EXPECT_EQ(
      Sh("corral status --json | jq -r '.hierarchies[] | select(.name == \"x\") | .options' | "
         "grep -c agent_user=nobody")
          .out,
      "1\n");
}

// The list of a daemon that died is what root loads next.
TEST_F(AgentsInADaemon, NoListThatAnybodyMayWriteIsLoaded) {
  Mount("none,name=x");
  const std::string list = Sh("echo -n /run/corral/$CORRAL_INSTANCE/plugins").out;
  KillDaemon();
  std::ofstream(list) << work() << "/stranger.so" << '\0';
  ASSERT_EQ(::chmod(list.c_str(), 0666), 0);
  const Outcome refused = Sh("corral status");
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.out.find(list), std::string::npos) << refused.out;
  ASSERT_EQ(::unlink(list.c_str()), 0);
  EXPECT_EQ(Sh("corral status").status, 0);
}

}  // namespace
}  // namespace corral
