// The release agent's start and end (spec 10.4 to 10.6, 10.11), with real processes.
#include "agent/agent_starter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "agent/spawner.h"
#include "base/log.h"

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
    MakeStarter(kDefaultMaxAgents);
  }
  ~Agents() override {
    starter_.reset();
    fs::remove_all(dir_);
  }

  void MakeStarter(unsigned limit) {
    starter_.reset();
    auto made = AgentStarter::Create(limit);
    starter_ = std::move(made).value();
    EXPECT_TRUE(starter_->Serve(
        {.settled = [this](const AgentJob&) { ++settled_; }, .room = [this] { ++rooms_; }}));
  }
  pid_t SpawnerPid() const { return static_cast<pid_t>(starter_->spawner().value); }
  void KillSpawner() {
    const std::uint64_t deaths = starter_->counts().spawner_deaths;
    ::kill(SpawnerPid(), SIGKILL);
    EXPECT_TRUE(Eventually([&] { return starter_->counts().spawner_deaths > deaths; }));
  }
  std::size_t LinesOf(const std::string& name) const {
    std::ifstream file(dir_ + "/" + name);
    std::size_t lines = 0;
    for (std::string line; std::getline(file, line);) ++lines;
    return lines;
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
    return counts.refused + counts.not_started + counts.succeeded + counts.failed + counts.unseen;
  }

  std::string dir_;
  std::atomic<std::uint64_t> settled_ = 0;
  std::atomic<std::uint64_t> rooms_ = 0;
  std::unique_ptr<AgentStarter> starter_;
};

TEST_F(Agents, SeeExactlyTheDocumentedSurroundings) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: a raised limit, a lowered score";
  // As the daemon is when it starts a spawner, the first or another.
  ::setenv("CORRAL_TEST_LEAK", "1", 1);
  ::umask(077);
  ::setpriority(PRIO_PROCESS, 0, -5);
  std::ofstream("/proc/self/oom_score_adj") << -500;
  rlimit raised{};
  ::getrlimit(RLIMIT_NOFILE, &raised);
  raised.rlim_cur = raised.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &raised);
  ::signal(SIGPIPE, SIG_IGN);
  const int leak = ::open("/", O_RDONLY);
  MakeStarter(kDefaultMaxAgents);
  ::close(leak);
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
  EXPECT_EQ(told["nice"], "0");
  EXPECT_EQ(told["oom_score_adj"], "0");
  EXPECT_EQ(told["soft_nofile"], "1024");
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
  auto check = CheckAgentFile(dir_ + "/link", "");
  ASSERT_FALSE(check);
  EXPECT_EQ(check.error().code, EPERM);
}

TEST_F(Agents, AreCheckedWithAnErrorThatNamesTheRemedy) {
  auto check = CheckAgentFile(Script("group", "exit 0", 0775), "");
  ASSERT_FALSE(check);
  EXPECT_EQ(check.error().code, EPERM);
  EXPECT_THAT(check.error().message, HasSubstr("chmod go-w"));
  EXPECT_EQ(CheckAgentFile(dir_ + "/missing", "").error().code, ENOENT);
  EXPECT_EQ(CheckAgentFile("", "").error().code, ENOENT);
  EXPECT_TRUE(CheckAgentFile(Probe(), ""));
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
  MakeStarter(200);
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

TEST_F(Agents, InAGroupOfFilesThatOthersCouldChangeAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to make files of others";
  const std::string agent = Script("theirs", "touch " + dir_ + "/ran");
  ASSERT_EQ(::chown(agent.c_str(), 1000, 1000), 0);
  Start(agent);
  fs::create_directories(dir_ + "/u/d/e");
  ASSERT_EQ(::chown((dir_ + "/u").c_str(), 1000, 1000), 0);
  fs::copy_file("/bin/true", dir_ + "/u/d/e/agent");
  Start(dir_ + "/u/d/e/agent");
  EXPECT_EQ(AfterEnds(2).refused, 2u);
  EXPECT_FALSE(fs::exists(dir_ + "/ran"));
}

TEST_F(Agents, MayBelongToTheUserTheyRunAs) {
  const passwd* nobody = ::getpwnam("nobody");
  if (::geteuid() != 0 || nobody == nullptr) GTEST_SKIP() << "needs root";
  const std::string agent = Script("theirs", "exit 0");
  ASSERT_EQ(::chown(agent.c_str(), nobody->pw_uid, nobody->pw_gid), 0);
  EXPECT_EQ(CheckAgentFile(agent, "").error().code, EPERM);
  EXPECT_TRUE(CheckAgentFile(agent, "nobody"));
  Start(agent, "/a", "nobody");
  Start(agent, "/a");
  const AgentCounts counts = AfterEnds(2);
  EXPECT_EQ(counts.succeeded, 1u);
  EXPECT_EQ(counts.refused, 1u);
}

// Whoever can change the interpreter changes what runs.
TEST_F(Agents, AreCheckedWithTheirInterpreters) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to make files of others";
  const auto script = [&](const std::string& name, const std::string& first_line) {
    std::ofstream(dir_ + "/" + name) << first_line << "\n";
    ::chmod((dir_ + "/" + name).c_str(), 0755);
    return dir_ + "/" + name;
  };
  const auto code = [](const std::string& agent) {
    const auto checked = CheckAgentFile(agent, "");
    return checked ? 0 : checked.error().code;
  };
  fs::create_directory(dir_ + "/u");
  fs::copy_file("/bin/true", dir_ + "/u/interp");
  ASSERT_EQ(::chown((dir_ + "/u").c_str(), 1000, 1000), 0);
  EXPECT_EQ(code(script("their", "#!" + dir_ + "/u/interp")), EPERM);
  EXPECT_EQ(code(script("blank", "#! \t " + dir_ + "/u/interp -x")), EPERM);
  EXPECT_EQ(code(script("env", "#!/usr/bin/env " + dir_ + "/u/interp")), EPERM);
  EXPECT_EQ(code(script("split", "#!/usr/bin/env -S A=b " + dir_ + "/u/interp -x")), EPERM);
  EXPECT_EQ(code(script("name", "#!/usr/bin/env sh")), 0);
  EXPECT_EQ(code(script("no-name", "#!/usr/bin/env corral-no-such")), ENOENT);
  EXPECT_EQ(code(script("again", "#!" + dir_ + "/their")), EPERM);
  EXPECT_EQ(code(script("missing", "#!/nowhere/sh")), ENOENT);
  EXPECT_EQ(code(script("itself", "#!" + dir_ + "/itself")), ELOOP);
  EXPECT_EQ(code(script("well", "#!/bin/sh -e")), 0);
  Start(dir_ + "/their");
  EXPECT_EQ(AfterEnds(1).refused, 1u);
}

TEST_F(Agents, AreCheckedWithTheLoaderTheyName) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to make files of others";
  std::ifstream in("/bin/true", std::ios::binary);
  std::string binary{std::istreambuf_iterator<char>(in), {}};
  const std::string loader = "/lib64/ld-linux-x86-64.so.2";
  const std::size_t at = binary.find(loader);
  if (at == std::string::npos) GTEST_SKIP() << "another machine's loader";
  char other[] = "/tmp/corral-ld-XXXXXX";
  ::close(::mkstemp(other));
  ASSERT_EQ(::chown(other, 1000, 1000), 0);
  std::string theirs = other;
  theirs.resize(loader.size(), '\0');
  binary.replace(at, loader.size(), theirs);
  std::ofstream(dir_ + "/agent", std::ios::binary) << binary;
  ::chmod((dir_ + "/agent").c_str(), 0755);
  const auto checked = CheckAgentFile(dir_ + "/agent", "");
  ::unlink(other);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, EPERM);
}

TEST_F(Agents, RunAtMostSoManyAtOnceAndTheRestWaits) {
  MakeStarter(3);
  const std::string agent = Script(
      "slow", "echo >> " + dir_ + "/began; while [ ! -e " + dir_ + "/go ]; do sleep 0.01; done");
  EXPECT_TRUE(starter_->HasRoom());
  for (int i = 0; i < 10; ++i) Start(agent);
  ASSERT_TRUE(Eventually([&] { return LinesOf("began") == 3; }));
  EXPECT_FALSE(starter_->HasRoom());
  EXPECT_EQ(starter_->counts().running, 3u);
  EXPECT_EQ(starter_->counts().limit, 3u);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // time for a fourth
  EXPECT_EQ(LinesOf("began"), 3u);
  EXPECT_EQ(rooms_, 0u);
  std::ofstream(dir_ + "/go");
  EXPECT_EQ(AfterEnds(10).succeeded, 10u);
  EXPECT_EQ(LinesOf("began"), 10u);
  EXPECT_TRUE(Eventually([&] { return rooms_ != 0; }));
  EXPECT_TRUE(starter_->HasRoom());
  EXPECT_EQ(settled_, 10u);
}

TEST_F(Agents, AreStartedByAnotherSpawnerWhenTheirsDied) {
  Start("/bin/true");
  AfterEnds(1);
  const pid_t before = SpawnerPid();
  KillSpawner();
  Start("/bin/true");
  const AgentCounts counts = AfterEnds(2);
  EXPECT_EQ(counts.succeeded, 2u);
  EXPECT_EQ(counts.spawner_deaths, 1u);
  EXPECT_NE(SpawnerPid(), before);
  EXPECT_EQ(starter_->trouble(), "");
}

// What it had been given and had not started: it is stopped before it can take a job.
TEST_F(Agents, ThatADeadSpawnerWasGivenAreToldAgainOnce) {
  const std::string mark = Script("mark", "echo $1 >> " + dir_ + "/marks");
  ::kill(SpawnerPid(), SIGSTOP);
  for (int i = 0; i < 20; ++i) Start(mark, "/" + std::to_string(i));
  EXPECT_EQ(settled_, 0u);
  KillSpawner();
  EXPECT_EQ(AfterEnds(20).succeeded, 20u);
  EXPECT_EQ(LinesOf("marks"), 20u);
  EXPECT_EQ(settled_, 20u);
}

// Killed at any instant, over and over: each agent runs once.
TEST_F(Agents, RunOnceEachWhateverSpawnersDie) {
  const std::string mark = Script("mark", "echo $1 >> " + dir_ + "/marks");
  constexpr int kJobs = 300;
  std::thread killer([&] {
    for (int i = 0; i < 12; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(7 + 13 * i));
      if (const pid_t pid = SpawnerPid(); pid != 0) ::kill(pid, SIGKILL);
    }
  });
  for (int i = 0; i < kJobs; ++i) Start(mark, "/" + std::to_string(i));
  killer.join();
  const AgentCounts counts = AfterEnds(kJobs);
  EXPECT_EQ(counts.started, static_cast<std::uint64_t>(kJobs));
  EXPECT_EQ(settled_, static_cast<std::uint64_t>(kJobs));
  EXPECT_GT(counts.spawner_deaths, 0u);
  ASSERT_TRUE(Eventually([&] { return LinesOf("marks") >= kJobs; }));
  std::map<std::string, int> told;
  std::ifstream marks(dir_ + "/marks");
  for (std::string line; std::getline(marks, line);) ++told[line];
  for (const auto& [path, times] : told) EXPECT_EQ(times, 1) << path;
  EXPECT_EQ(told.size(), static_cast<std::size_t>(kJobs));
}

// The limit holds across the death: their ends are seen from themselves.
TEST_F(Agents, OfADeadSpawnerCountAsRunningUntilTheyEnd) {
  MakeStarter(2);
  const std::string agent = Script(
      "slow", "echo >> " + dir_ + "/began; while [ ! -e " + dir_ + "/go ]; do sleep 0.01; done");
  Start(agent);
  Start(agent);
  ASSERT_TRUE(Eventually([&] { return LinesOf("began") == 2; }));
  KillSpawner();
  Start(agent);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // time for a third
  EXPECT_EQ(LinesOf("began"), 2u);
  EXPECT_EQ(starter_->counts().running, 2u);
  std::ofstream(dir_ + "/go");
  const AgentCounts counts = AfterEnds(3);
  EXPECT_EQ(counts.unseen, 2u);
  EXPECT_EQ(counts.succeeded, 1u);
}

TEST_F(Agents, WaitAndSaySoWhileSpawnersDieAgainAndAgain) {
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(Eventually([&] { return SpawnerPid() != 0; }));
    KillSpawner();
  }
  EXPECT_THAT(starter_->trouble(), HasSubstr("spawner died 4 times"));
  Start("/bin/true");
  EXPECT_EQ(AfterEnds(1).succeeded, 1u);
}

TEST_F(Agents, ThatCannotBeLetGoForWantOfDescriptorsAreStartedLater) {
  const std::string mark = Script("mark", "echo $1 >> " + dir_ + "/marks");
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{3, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  for (int i = 0; i < 5; ++i) Start(mark, "/" + std::to_string(i));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const AgentCounts meanwhile = starter_->counts();
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(meanwhile.started, 0u);
  EXPECT_EQ(Ends(meanwhile), 0u);
  EXPECT_EQ(AfterEnds(5).succeeded, 5u);
  EXPECT_EQ(LinesOf("marks"), 5u);
}

TEST_F(Agents, ThatFailOverAndOverAreCountedButNotAllLogged) {
  const std::string file = dir_ + "/log";
  log::Open(file, log::Level::kInfo);
  const std::string agent = Script("fails", "exit 3");
  for (int i = 0; i < 200; ++i) Start(agent, "/" + std::to_string(i));
  Start(Script("other", "exit 4"));
  EXPECT_EQ(AfterEnds(201).failed, 201u);
  starter_.reset();
  log::Open("", log::Level::kWarn);
  EXPECT_EQ(LinesOf("log"), 11u);  // ten of one, one of the other
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) {
  if (corral::IsSpawner(argc, argv)) corral::RunSpawner();
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
