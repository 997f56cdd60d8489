// Spec 10.1 to 10.3, 10.6, 10.8, 10.9: what is told, and how often.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "conformance/conformance.h"

namespace corral {
namespace {

class Release : public Conformance {
 protected:
  void Prepare() override { SetLoggingAgent(); }
  std::string Notifying(const std::string& name) {
    const std::string group = Group(name);
    EXPECT_EQ(Write(group + "/notify_on_release", "1"), 0);
    return group;
  }
  void MoveOut(pid_t task) { ASSERT_EQ(Write(mnt() + "/tasks", std::to_string(task)), 0); }
  static std::string Agents(const std::string& field) {
    return Sh("corral status --json | jq .agents." + field).out;
  }
  static long AgentCount(const std::string& field) { return std::atol(Agents(field).c_str()); }
};
CORRAL_IN_EVERY_DIALECT(Release);

TEST_P(Release, IsToldWhenTheLastTaskExits) {
  Spec("10.1 10.2");
  EmptyByExit(Notifying("g"));
  EXPECT_EQ(Told(1), Lines{"/g"});
}

TEST_P(Release, IsToldWhenTheLastTaskIsMovedOut) {
  Spec("10.1 10.2");
  MoveOut(SleeperIn(Notifying("g")));
  EXPECT_EQ(Told(1), Lines{"/g"});
}

TEST_P(Release, IsToldWhenTheLastChildIsRemoved) {
  Spec("10.1 10.2");
  Notifying("g");
  const std::string child = Group("g/child");
  ASSERT_EQ(Write(child + "/notify_on_release", "0"), 0);
  ASSERT_EQ(Rmdir(child), 0);
  EXPECT_EQ(Told(1), Lines{"/g"}) << "though it never had tasks";
}

TEST_P(Release, EachEmptyingIsToldOnce) {
  Spec("10.2 10.7");
  const std::string g = Notifying("g");
  for (std::size_t round = 1; round <= 3; ++round) {
    EmptyByExit(g);
    ASSERT_TRUE(Eventually([&] { return SplitLines(Read(work() + "/log")).size() == round; }));
  }
  EXPECT_EQ(Told(3), (Lines{"/g", "/g", "/g"}));
}

TEST_P(Release, WantsNotifySet) {
  Spec("10.2");
  EmptyByExit(Group("exit"));
  MoveOut(SleeperIn(Group("move")));
  Group("parent");
  ASSERT_EQ(Rmdir(Group("parent/child")), 0);
  EXPECT_TRUE(Told(0).empty());
}

TEST_P(Release, IsNotToldOfAGroupNeverUsedNorOfFlagsAndRemovals) {
  Spec("10.3");
  Notifying("unused");
  const std::string flag = Group("flag");
  EmptyByExit(flag);
  Notify(flag);
  ASSERT_EQ(Rmdir(Notifying("removed")), 0);
  EXPECT_TRUE(Told(0).empty());
}

TEST_P(Release, IsNotToldWhenOneOfSeveralLeaves) {
  Spec("10.1 10.3");
  const std::string tasks = Notifying("busy");
  SleeperIn(tasks);
  End(SleeperIn(tasks));
  MoveOut(SleeperIn(tasks));
  Notifying("children");
  Group("children/stays");
  ASSERT_EQ(Rmdir(Group("children/goes")), 0);
  const std::string both = Notifying("both");
  const std::string child = Group("both/child");
  const pid_t task = SleeperIn(both);
  ASSERT_EQ(Rmdir(child), 0);
  Group("both/child");
  End(task);
  EXPECT_TRUE(Told(0).empty());
  // The other of the two leaves: now it is idle.
  ASSERT_EQ(Rmdir(child), 0);
  EXPECT_EQ(Told(1), Lines{"/both"});
}

TEST_P(Release, IsToldAtTheExitNotWhenTheZombieIsReaped) {
  Spec("10.3");
  const pid_t zombie = SleeperIn(Notifying("g"));
  ::kill(zombie, SIGKILL);
  EXPECT_EQ(Told(1), Lines{"/g"});
  End(zombie);
  EXPECT_EQ(Told(1), Lines{"/g"});
}

// ---- the worker

TEST_P(Release, TheNextAgentDoesNotWaitForTheEndOfThis) {
  Spec("10.6");
  SetAgent(WriteAgent("echo $1 >> " + work() + "/log\n[ $1 != /slow ] || until [ -e " + work() +
                      "/go ]; do sleep 0.02; done\necho end $1 >> " + work() + "/log"));
  EmptyByExit(Notifying("slow"));
  ASSERT_TRUE(Eventually([&] { return Read(work() + "/log") == "/slow\n"; }));
  EmptyByExit(Notifying("quick"));
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/log") == "/slow\n/quick\nend /quick\n"; }));
  EXPECT_EQ(Mkdir(mnt() + "/other"), 0) << "nor does anybody else";
  std::ofstream(work() + "/go");
  EXPECT_TRUE(Eventually([&] { return SplitLines(Read(work() + "/log")).size() == 4; }));
}

TEST_P(Release, AFailingAgentIsLoggedAndCounted) {
  Spec("10.6");
  const std::string log =
      "/run/corral/" + std::string(std::getenv("CORRAL_INSTANCE")) + "/corrald.log";
  const auto fails = [&](const std::string& agent, const std::string& field) {
    SCOPED_TRACE(agent);
    const long before = AgentCount(field);
    SetAgent(agent);
    const std::string g = Notifying("g");
    EmptyByExit(g);
    EXPECT_TRUE(Eventually([&] { return AgentCount(field) == before + 1; })) << Agents(field);
    EXPECT_TRUE(Eventually([&] { return Read(log).find(agent) != std::string::npos; }));
    ASSERT_EQ(Rmdir(g), 0);
  };
  const auto script = [&](const std::string& name, const std::string& body, mode_t mode) {
    const std::string path = work() + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    EXPECT_EQ(Code(::chmod(path.c_str(), mode)), 0);
    return path;
  };
  fails(script("exits-3", "exit 3", 0755), "failed");
  fails(script("is-killed", "kill -9 $$", 0755), "failed");
  fails(script("not-executable", "exit 0", 0644), "not_started");
  fails(work() + "/missing", "not_started");
}

TEST_P(Release, AGroupInUseAgainLivesOnAndIsToldAgain) {
  Spec("10.8");
  SetAgent(WriteAgent("until [ -e " + work() + "/go ]; do sleep 0.02; done\nrmdir " + mnt() +
                      "$1 2>> " + work() + "/log\necho $? $1 >> " + work() + "/log"));
  const std::string g = Notifying("g");
  EmptyByExit(g);
  const pid_t task = SleeperIn(g);
  std::ofstream(work() + "/go");
  ASSERT_TRUE(Eventually([&] { return Read(work() + "/log").ends_with("1 /g\n"); }));
  EXPECT_NE(Read(work() + "/log").find("busy"), std::string::npos) << Read(work() + "/log");
  EXPECT_EQ(Read(g + "/tasks"), std::to_string(task) + "\n");
  End(task);
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/log").ends_with("0 /g\n"); }));
  EXPECT_EQ(Code(::access(g.c_str(), F_OK)), ENOENT);
}

TEST_P(Release, OfManyGroupsAtOnceEachIsToldOnce) {
  Spec("10.9");
  Lines expected;
  const pid_t task = Sleeper();
  for (int i = 100; i < 200; ++i) {
    expected.push_back("/g" + std::to_string(i));
    const std::string g = Notifying("g" + std::to_string(i));
    ASSERT_EQ(Write(g + "/tasks", std::to_string(task)), 0);
  }
  MoveOut(task);
  EXPECT_EQ(Told(100), expected);
}

TEST_P(Release, ClearingNotifyDoesNotRecallWhatWaits) {
  Spec("10.9");
  const std::string g = Notifying("g");
  const pid_t task = SleeperIn(g);
  MoveOut(task);  // decided before the write returns
  ASSERT_EQ(Write(g + "/notify_on_release", "0"), 0);
  EXPECT_EQ(Told(1), Lines{"/g"});
}

TEST_P(Release, AnAgentSetLaterDoesNotReviveWhatNobodyWanted) {
  Spec("10.9");
  if (v6()) NOT_APPLICABLE("it always has an agent");
  ASSERT_EQ(Write(mnt() + "/release_agent", "\n"), 0);
  EmptyByExit(Notifying("g"));
  ASSERT_TRUE(Eventually(
      [&] { return Sh("corral status --json | jq .pending_notifications").out == "0\n"; }));
  ::usleep(50'000);
  SetLoggingAgent();
  EXPECT_TRUE(Told(0).empty());
}

TEST_P(Release, AWaitingOneOutlivesTheDaemonsDeath) {
  Spec("10.9");
  const std::string g = Notifying("g");
  const std::string other = Notifying("other");
  const pid_t stays = SleeperIn(other);
  const pid_t task = SleeperIn(g);
  KillDaemon();
  End(task);     // while nobody looks
  KillDaemon();  // it had just begun: perhaps in the one window in which a notification is told
                 // again
  MountAgain(Options());
  const Lines told = Told(1);
  EXPECT_TRUE(told == Lines{"/g"} || told == (Lines{"/g", "/g"})) << testing::PrintToString(told);
  EXPECT_EQ(Read(other + "/tasks"), std::to_string(stays) + "\n");
  EXPECT_EQ(Read(g + "/notify_on_release"), "1\n");
}

}  // namespace
}  // namespace corral
