// The release agent's start and end (spec 10.4 to 10.6, 10.11), with real processes.
#include "agent/agent_starter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

namespace corral {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Polls until `done` holds; false after 30 seconds.
bool Eventually(const std::function<bool()>& done) {
  for (int i = 0; i < 30000; ++i) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

// A private directory for agents and what they write.
class Agents : public ::testing::Test {
 protected:
  Agents() {
    char name[] = "/tmp/corral-agent-XXXXXX";
    dir_ = ::mkdtemp(name);
    ::chmod(dir_.c_str(), 0755);
    auto made = AgentStarter::Create();
    starter_ = std::move(made).value();
  }
  ~Agents() override {
    starter_.reset();
    fs::remove_all(dir_);
  }

  std::string Script(const std::string& name, const std::string& text, mode_t mode = 0755) {
    const std::string path = dir_ + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
    ::chmod(path.c_str(), mode);
    return path;
  }
  std::string Probe(mode_t mode = 0755) {
    const std::string path = dir_ + "/probe";
    fs::copy_file(CORRAL_AGENT_PROBE, path, fs::copy_options::overwrite_existing);
    ::chmod(path.c_str(), mode);
    return path;
  }
  void Start(const std::string& agent, const std::string& path = "/a",
             const std::string& user = "") {
    starter_->Start({.agent = agent, .path = path, .hierarchy = "test", .user = user});
  }
  // What the probe told of itself; empty when it never did.
  std::map<std::string, std::string> Told(const std::string& probe) {
    const std::string out = probe + ".out";
    if (!Eventually([&] { return fs::exists(out); })) return {};
    std::ifstream file(out, std::ios::binary);
    std::map<std::string, std::string> told;
    for (std::string line; std::getline(file, line, '\0');) {
      const std::size_t equals = line.find('=');
      told[line.substr(0, equals)] = line.substr(equals + 1);
    }
    return told;
  }
  // Waits until `count` jobs have come to an end, whichever.
  AgentCounts AfterEnds(std::uint64_t count) {
    EXPECT_TRUE(Eventually([&] { return Ends(starter_->counts()) >= count; }));
    return starter_->counts();
  }
  static std::uint64_t Ends(const AgentCounts& counts) {
    return counts.refused + counts.not_started + counts.succeeded + counts.failed;
  }

  std::string dir_;
  std::unique_ptr<AgentStarter> starter_;
};

TEST_F(Agents, SeeExactlyTheDocumentedSurroundings) {
  ::setenv("CORRAL_TEST_LEAK", "1", 1);
  ::umask(077);
  const std::string agent = Probe();
  Start(agent);
  auto told = Told(agent);
  EXPECT_EQ(told["env"], "HOME=/\nPATH=/sbin:/bin:/usr/sbin:/usr/bin\n");
  EXPECT_EQ(told["cwd"], "/");
  EXPECT_EQ(told["umask"], "18");  // 022
  EXPECT_EQ(told["fds"], "0:/dev/null 1:/dev/null 2:/dev/null ");
  EXPECT_EQ(told["session"], "own");
  EXPECT_EQ(told["unusual_signals"], "0");
  EXPECT_EQ(told["no_new_privs"], "1");
  ::umask(022);
}

TEST_F(Agents, MayGainPrivilegesWhereTheDialectSaysSo) {
  const std::string agent = Probe();
  starter_->Start(
      {.agent = agent, .path = "/a", .hierarchy = "test", .user = "", .no_new_privs = false});
  EXPECT_EQ(Told(agent)["no_new_privs"], "0");
}

TEST_F(Agents, GetTheirOwnNameAndThePathByteForByte) {
  const std::string agent = Probe();
  const std::string path = "/a b/\xff\x80\n\t'\"$(x)/\xc3\xa4=";
  Start(agent, path);
  auto told = Told(agent);
  EXPECT_EQ(told["arg0"], agent);
  EXPECT_EQ(told["arg1"], path);
  EXPECT_EQ(told.count("arg2"), 0u);
}

TEST_F(Agents, GetAPathAsLongAsAnArgumentMayBe) {
  const std::string agent = Probe();
  const std::string path = "/" + std::string(128 * 1024 - 2, 'x');
  Start(agent, path);
  EXPECT_TRUE(Told(agent)["arg1"] == path);
}

TEST_F(Agents, AreNotStartedWithAPathThatIsTooLongAndThatIsCounted) {
  Start(Probe(), "/" + std::string(128 * 1024, 'x'));
  EXPECT_EQ(AfterEnds(1).not_started, 1u);
}

TEST_F(Agents, ThatAreMissingAreCountedAsNotStarted) {
  Start(dir_ + "/missing");
  const AgentCounts counts = AfterEnds(1);
  EXPECT_EQ(counts.not_started, 1u);
  EXPECT_EQ(counts.started, 0u);
}

TEST_F(Agents, ThatAreNotExecutableAreCountedAsNotStarted) {
  Start(Script("plain", "exit 0", 0644));
  fs::create_directory(dir_ + "/directory");
  Start(dir_ + "/directory");
  EXPECT_EQ(AfterEnds(2).not_started, 2u);
}

TEST_F(Agents, ThatFailAreCounted) {
  Start(Script("three", "exit 3"));
  Start(Script("killed", "kill -SEGV $$"));
  Start(Script("well", "exit 0"));
  const AgentCounts counts = AfterEnds(3);
  EXPECT_EQ(counts.started, 3u);
  EXPECT_EQ(counts.failed, 2u);
  EXPECT_EQ(counts.succeeded, 1u);
}

TEST_F(Agents, ThatOthersMayWriteAreRefused) {
  Start(Script("group", "touch " + dir_ + "/ran", 0775));
  Start(Script("world", "touch " + dir_ + "/ran", 0757));
  const AgentCounts counts = AfterEnds(2);
  EXPECT_EQ(counts.refused, 2u);
  EXPECT_EQ(counts.started, 0u);
  EXPECT_FALSE(fs::exists(dir_ + "/ran"));
  Start(Script("owner", "touch " + dir_ + "/ran", 0755));
  EXPECT_EQ(AfterEnds(3).succeeded, 1u);
  EXPECT_TRUE(fs::exists(dir_ + "/ran")) << "the same that only its owner may write does run";
}

TEST_F(Agents, InADirectoryThatOthersMayWriteAreRefused) {
  const std::string agent = Script("well", "exit 0");
  ::chmod(dir_.c_str(), 0775);
  Start(agent);
  EXPECT_EQ(AfterEnds(1).refused, 1u);
}

TEST_F(Agents, ReachedThroughALinkAreJudgedWhereTheyAre) {
  const std::string open_dir = dir_ + "/open";
  fs::create_directory(open_dir);
  fs::copy_file("/bin/true", open_dir + "/agent");
  ::chmod(open_dir.c_str(), 0777);
  fs::create_symlink(open_dir + "/agent", dir_ + "/link");
  auto check = CheckAgentFile(dir_ + "/link");
  ASSERT_FALSE(check);
  EXPECT_EQ(check.error().code, EPERM);
}

TEST_F(Agents, AreCheckedWithAnErrorThatNamesTheRemedy) {
  auto check = CheckAgentFile(Script("group", "exit 0", 0775));
  ASSERT_FALSE(check);
  EXPECT_EQ(check.error().code, EPERM);
  EXPECT_THAT(check.error().message, HasSubstr("chmod go-w"));
  EXPECT_EQ(CheckAgentFile(dir_ + "/missing").error().code, ENOENT);
  EXPECT_EQ(CheckAgentFile("").error().code, ENOENT);
  EXPECT_TRUE(CheckAgentFile(Probe()));
}

TEST_F(Agents, RunAsTheUserThatWasNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  const passwd* nobody = ::getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  const std::string agent = Probe();
  ASSERT_EQ(::chown(dir_.c_str(), nobody->pw_uid, nobody->pw_gid), 0);
  Start(agent, "/a", "nobody");
  const std::string uid = std::to_string(nobody->pw_uid);
  EXPECT_THAT(Told(agent)["ids"], ::testing::StartsWith(uid + ":" + uid + ":"));
}

TEST_F(Agents, AreNotStartedForAUserThatDoesNotExist) {
  Start(Probe(), "/a", "corral-no-such-user");
  EXPECT_EQ(AfterEnds(1).not_started, 1u);
}

TEST_F(Agents, InGreatNumbersAreAllCounted) {
  for (int i = 0; i < 2000; ++i) Start("/bin/true", "/" + std::to_string(i));
  const AgentCounts counts = AfterEnds(2000);
  EXPECT_EQ(counts.started, 2000u);
  EXPECT_EQ(counts.succeeded, 2000u);
}

TEST_F(Agents, ThatCannotStartInGreatNumbersWithLongPathsAreAllCounted) {
  const std::string path = "/" + std::string(50000, 'p');
  for (int i = 0; i < 1000; ++i) Start(dir_ + "/missing", path);
  EXPECT_EQ(AfterEnds(1000).not_started, 1000u);
}

TEST_F(Agents, AreStartedWithoutWaitingForThoseBefore) {
  std::ofstream(dir_ + "/hold").flush();  // gone with the directory, too
  const std::string slow = Script("slow", "while [ -e " + dir_ + "/hold ]; do sleep 0.1; done");
  for (int i = 0; i < 100; ++i) Start(slow);
  const std::string agent = Probe();
  Start(agent);
  EXPECT_EQ(Told(agent)["arg0"], agent);
  EXPECT_LE(Ends(starter_->counts()), 1u) << "all those before it run still";
  fs::remove(dir_ + "/hold");
  EXPECT_EQ(AfterEnds(101).succeeded, 101u);
}

TEST_F(Agents, ThatWereQueuedAreStillStartedAtTheEnd) {
  const std::string mark = Script("mark", "echo x >> " + dir_ + "/marks");
  for (int i = 0; i < 50; ++i) Start(mark);
  starter_.reset();
  EXPECT_TRUE(Eventually([&] {
    std::error_code none;
    return fs::file_size(dir_ + "/marks", none) == 100;
  }));
}

TEST_F(Agents, AreCountedAsNotStartedOnceTheSpawnerDied) {
  Start("/bin/true");
  AfterEnds(1);
  ::kill(static_cast<pid_t>(starter_->spawner().value), SIGKILL);
  for (int i = 0; i < 20; ++i) Start("/bin/true");
  const AgentCounts counts = AfterEnds(21);
  EXPECT_EQ(counts.not_started + counts.succeeded, 21u);
}

}  // namespace
}  // namespace corral
