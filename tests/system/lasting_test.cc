// Nothing ends a daemon but its end, and what is not well is told: signals, a lack of descriptors
// or threads, pins or a runtime directory that somebody removed.
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "client/client.h"
#include "system/instance.h"

namespace corral {
namespace {

class Lasting : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    ASSERT_EQ(Sh("corral run true").status, 0);
  }
  static std::string Instance() { return std::getenv("CORRAL_INSTANCE"); }
  static std::string Runtime() { return "/run/corral/" + Instance(); }
  static std::string Pins() { return "/sys/fs/bpf/corral/" + Instance(); }
  static std::string Log() { return Read(Runtime() + "/corrald.log"); }
  static pid_t Daemon() {
    return std::atoi(Sh("corral status --json | jq .daemon_pid").out.c_str());
  }
  static std::string Health() {
    return Sh("corral status --json 2>/dev/null | jq -r '[.health[].name] | join(\" \")'").out;
  }
  // Connections that were answered once, as many as there are to be had; why there are no more.
  static Error ConnectUntilRefused(std::vector<Client>& all, std::size_t most = 10'000) {
    while (all.size() < most) {
      auto client = Client::Connect(Instance());
      if (!client) return client.error();
      if (auto pong = client->Call({{"op", "ping"}}); !pong) return pong.error();
      all.push_back(std::move(*client));
    }
    return {0, "nothing refused"};
  }
  static void ExpectAllAnswered(std::vector<Client>& all) {
    for (Client& client : all) {
      const auto pong = client.Call({{"op", "ping"}});
      ASSERT_TRUE(pong.has_value()) << pong.error().message;
    }
  }
};

TEST_F(Lasting, SigtermAndSigintKeepGroupsFlagsAndTasks) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Mount("none,name=x");
    ASSERT_EQ(Sh("mkdir $MNT/a $MNT/a/b; echo 1 > $MNT/a/notify_on_release; "
                 "sleep 600 >/dev/null 2>&1 & echo $! > $MNT/a/b/tasks")
                  .status,
              0);
    const std::string task = Read(mnt() + "/a/b/tasks");
    const std::string inode = Sh("stat -c %i $MNT/a/b").out;
    KillDaemon(signal);
    EXPECT_EQ(Sh("mountpoint -q $MNT").status, 32) << "unmounted";
    EXPECT_TRUE(std::filesystem::exists(Runtime() + "/corrald.log"));
    EXPECT_EQ(Health(), "\n") << "nothing was lost";
    Mount("name=x");
    EXPECT_EQ(Read(mnt() + "/a/b/tasks"), task);
    EXPECT_EQ(Read(mnt() + "/a/notify_on_release"), "1\n");
    EXPECT_EQ(Sh("stat -c %i $MNT/a/b").out, inode);
    ExpectCleanAudit();
    Sh("kill -9 " + task);
    EXPECT_TRUE(Eventually([&] { return Sh("rmdir $MNT/a/b $MNT/a && umount $MNT").status == 0; }));
  }
}

TEST_F(Lasting, SigtermLosesNoNotificationAndTellsEachOnce) {
  Mount("none,name=x,release_agent=" + WriteAgent("echo $1 >> " + work() + "/told"));
  constexpr int kGroups = 60;
  ASSERT_EQ(Sh("echo 1 > $MNT/notify_on_release; for i in $(seq 60); do mkdir $MNT/g$i; "
               "sleep 600 >/dev/null 2>&1 & echo $! > $MNT/g$i/tasks; done")
                .status,
            0);
  for (int round = 0; round < 3; ++round) {
    const std::string some = std::to_string(20 * round + 1) + " " + std::to_string(20 * round + 20);
    Sh("kill -9 $(for i in $(seq " + some + "); do cat $MNT/g$i/tasks; done)");
    KillDaemon(SIGTERM);
    Mount("name=x");
  }
  const auto told = [&] { return Sh("cat $WORK/told | sort | uniq -c | wc -l").out; };
  EXPECT_TRUE(Eventually([&] { return told() == std::to_string(kGroups) + "\n"; })) << told();
  EXPECT_EQ(Sh("sort $WORK/told | uniq -d").out, "");
  ExpectCleanAudit();
}

TEST_F(Lasting, AHierarchyWithoutGroupsOutlivesSigterm) {
  Mount("none,name=x");
  KillDaemon(SIGTERM);
  EXPECT_EQ(Sh("corral mount -o name=x none $MNT").status, 0);
}

TEST_F(Lasting, AShutdownThatWasAnsweredEndsTheInstanceAlsoBesideSigterm) {
  EXPECT_EQ(
      Sh("P=$(corral status --json | jq .daemon_pid); corral shutdown & kill $P; wait").status, 0);
  Sh("corral shutdown");
  EXPECT_FALSE(std::filesystem::exists(Runtime()));
  EXPECT_FALSE(std::filesystem::exists(Pins()));
}

TEST_F(Lasting, WhoWaitsIsToldThatTheDaemonEnds) {
  ASSERT_EQ(Sh("corral run --detach -g corral:/g sleep 600").status, 0);
  const pid_t daemon = Daemon();
  const Outcome waits = Sh("(sleep 0.5; kill " + std::to_string(daemon) +
                           ") & corral wait corral:/g; "
                           "corral kill corral:/g");
  EXPECT_NE(waits.out.find("the daemon ends"), std::string::npos) << waits.out;
}

TEST_F(Lasting, SighupOpensTheLogAgain) {
  std::filesystem::rename(Runtime() + "/corrald.log", Runtime() + "/corrald.log.1");
  ASSERT_EQ(::kill(Daemon(), SIGHUP), 0);
  EXPECT_TRUE(Eventually([] { return Log().find("opened again") != std::string::npos; }));
  struct stat st = {};
  ASSERT_EQ(::stat((Runtime() + "/corrald.log").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  EXPECT_EQ(Sh("corral status").status, 0);
  std::filesystem::remove(Runtime() + "/corrald.log.1");
}

TEST_F(Lasting, WithoutDescriptorsItRefusesAndGoesOnWhenThereAreSome) {
  const pid_t daemon = Daemon();
  const auto open = std::distance(
      std::filesystem::directory_iterator("/proc/" + std::to_string(daemon) + "/fd"), {});
  rlimit before = {};
  ASSERT_EQ(::prlimit(daemon, RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit few{static_cast<rlim_t>(open) + 20, before.rlim_max};
  ASSERT_EQ(::prlimit(daemon, RLIMIT_NOFILE, &few, nullptr), 0);
  for (int round = 0; round < 3; ++round) {
    std::vector<Client> all;
    const Error refused = ConnectUntilRefused(all);
    EXPECT_EQ(refused.code, EMFILE) << refused.message;
    EXPECT_GE(all.size(), 5u);
    ExpectAllAnswered(all);
    // What needs descriptors of its own fails for who asks, and for nobody else.
    const auto mount =
        all.front().Call({{"op", "mount"}, {"options", "none,name=y"}, {"source", "s"}});
    EXPECT_FALSE(mount.has_value());
    const auto made =
        all.front().Call({{"op", "mkdir"}, {"path", "corral:/"}, {"name", "g"}, {"fresh", true}});
    ASSERT_TRUE(made.has_value()) << made.error().message;
    const auto waits = all.front().Call({{"op", "wait"}, {"id", (*made)["id"]}});
    EXPECT_TRUE(waits || waits.error().code == EMFILE);
    ExpectAllAnswered(all);
    all.clear();
    EXPECT_TRUE(Eventually([&] {
      return Client::Connect(Instance())->Call({{"op", "ping"}}).has_value();
    }));
  }
  ASSERT_EQ(::prlimit(daemon, RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_EQ(Sh("corral run true").status, 0);
  EXPECT_EQ(Daemon(), daemon);
  EXPECT_NE(Log().find("no descriptors left"), std::string::npos) << Log();
  EXPECT_LT(Log().size(), 20'000u) << "refusals are logged now and then";
  ExpectCleanAudit();
}

// The address space is what a thread's stack is taken from: pthread_create says EAGAIN.
TEST_F(Lasting, WithoutThreadsOrMemoryItRefusesAndGoesOnWhenThereAreSome) {
  const pid_t daemon = Daemon();
  std::vector<Client> all;
  ASSERT_EQ(ConnectUntilRefused(all, 8).code, 0);  // past what is made at the first use
  const long pages = std::atol(Read("/proc/" + std::to_string(daemon) + "/statm").c_str());
  rlimit before = {};
  ASSERT_EQ(::prlimit(daemon, RLIMIT_AS, nullptr, &before), 0);
  const rlimit little{static_cast<rlim_t>(pages) * 4096 + (rlim_t{1} << 20), before.rlim_max};
  ASSERT_EQ(::prlimit(daemon, RLIMIT_AS, &little, nullptr), 0);
  const Error refused = ConnectUntilRefused(all);
  EXPECT_EQ(refused.code, EAGAIN) << refused.message;
  ExpectAllAnswered(all);
  EXPECT_FALSE(
      all.front().Call({{"op", "mount"}, {"options", "none,name=y"}, {"source", "s"}}).has_value());
  // A request of nearly 1 MiB needs memory several times.
  std::vector<Client> big;
  for (int i = 0; i < 3 && !all.empty(); ++i) {
    (void)all.back().Call(
        {{"op", "mkdir"}, {"path", "corral:/"}, {"name", std::string(900'000, 'x')}});
    all.pop_back();
  }
  ExpectAllAnswered(all);
  ASSERT_EQ(::prlimit(daemon, RLIMIT_AS, &before, nullptr), 0);
  EXPECT_EQ(Sh("corral run true").status, 0);
  EXPECT_EQ(Daemon(), daemon);
  EXPECT_EQ(Sh("corral mount -o none,name=y s $MNT && mkdir $MNT/a && rmdir $MNT/a").status, 0);
  ExpectCleanAudit();
}

TEST_F(Lasting, OneThatOpensConnectionsWithoutEndIsRefusedClearly) {
  rlimit files = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit most{files.rlim_max, files.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &most), 0);
  if (files.rlim_max < 5'000) GTEST_SKIP() << "needs 5,000 descriptors";
  std::vector<Client> all;
  Error refused = ConnectUntilRefused(all);
  EXPECT_EQ(refused.code, EAGAIN) << refused.message;
  EXPECT_NE(refused.message.find("connections"), std::string::npos) << refused.message;
  // The place of a connection that was closed before comes free when its thread has ended.
  EXPECT_TRUE(Eventually([&] {
    if (all.size() < 4096) refused = ConnectUntilRefused(all);
    return all.size() == 4096;
  })) << all.size()
      << ": " << refused.message;
  EXPECT_NE(Sh("corral status").out.find("4096 connections"), std::string::npos)
      << "and so is everybody";
  all.clear();
  EXPECT_TRUE(Eventually([] { return Sh("corral run true").status == 0; }));
}

TEST_F(Lasting, PinsThatWereRemovedAreToldAtOnceAndWhatWasLostToWhoStartsTheNext) {
  EXPECT_EQ(Health(), "\n");
  EXPECT_EQ(Sh("corral status").status, 0);
  Mount("none,name=x");
  std::filesystem::remove_all(Pins());
  EXPECT_EQ(Health(), "pins_gone\n");
  const Outcome status = Sh("corral status");
  EXPECT_EQ(status.status, 1);
  EXPECT_EQ(status.out.find("NOT WELL              pins_gone: " + Pins() + " was removed"), 0u)
      << status.out;
  EXPECT_NE(Sh("corral doctor").out.find("pins_gone"), std::string::npos);
  KillDaemon();
  const Outcome next = Sh("corral run true");
  EXPECT_EQ(next.status, 0);
  EXPECT_NE(next.out.find("corral: started afresh: all groups are forgotten"), std::string::npos)
      << next.out;
  EXPECT_NE(next.out.find(Pins()), std::string::npos) << next.out;
  EXPECT_NE(Log().find("starting afresh"), std::string::npos);
  EXPECT_EQ(Health(), "started_afresh\n");
  EXPECT_EQ(Sh("corral status --acknowledge").status, 0);
  EXPECT_EQ(Health(), "\n");
}

TEST_F(Lasting, ARuntimeDirectoryThatWasRemovedIsToldAtOnce) {
  const std::string daemon = std::to_string(Daemon());
  std::filesystem::rename(Runtime() + "/lock", Runtime() + "/lock-away");
  EXPECT_EQ(Health(), "runtime_dir_gone\n");
  std::filesystem::rename(Runtime() + "/lock-away", Runtime() + "/lock");
  EXPECT_EQ(Health(), "\n");
  std::filesystem::rename(Runtime() + "/store", Runtime() + "/store-away");
  EXPECT_EQ(Health(), "changes_not_kept\n");
  std::filesystem::rename(Runtime() + "/store-away", Runtime() + "/store");
  std::filesystem::rename(Runtime(), Runtime() + "-away");
  for (const char* command : {"status", "doctor", "ls"}) {
    const Outcome told = Sh(std::string("corral ") + command);
    EXPECT_NE(told.out.find("(pid " + daemon + "), but " + Runtime() + " was removed"),
              std::string::npos)
        << command << ": " << told.out;
  }
  for (const char* command : {"run true", "start", "mount -o none,name=z none $MNT"}) {
    const Outcome second = Sh(std::string("corral ") + command);
    EXPECT_NE(second.status, 0);
    EXPECT_NE(second.out.find("End it with kill " + daemon), std::string::npos) << second.out;
  }
  // As it says: the next one starts, and says what was lost.
  const Fd handle = OpenPidfd(std::atoi(daemon.c_str())).value();
  ASSERT_EQ(::kill(std::atoi(daemon.c_str()), SIGTERM), 0);
  pollfd ended{handle.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, 60'000), 1);
  const Outcome next = Sh("corral start");
  EXPECT_EQ(next.status, 0);
  EXPECT_NE(next.out.find("there is no " + Runtime() + "/store"), std::string::npos) << next.out;
  std::filesystem::remove_all(Runtime() + "-away");
}

TEST_F(Lasting, HooksOfAnotherBuildAreToldToWhoStartsTheNext) {
  Mount("none,name=x");
  KillDaemon();
  const std::string change = "bpftool map update pinned " + Pins() +
                             "/stamp key 0 0 0 0 value "
                             "$(bpftool -j map dump pinned " +
                             Pins() +
                             "/stamp | jq -r '[.[0].value[]] | .[0] = \"0x00\" | "
                             ".[1] = \"0x01\" | join(\" \")')";
  const Outcome changed = Sh(change);
  if (changed.status != 0) GTEST_SKIP() << "bpftool cannot change the stamp: " << changed.out;
  const Outcome next = Sh("corral mount -o none,name=x none $WORK");
  EXPECT_EQ(next.status, 0) << next.out;
  EXPECT_NE(next.out.find("another build"), std::string::npos) << next.out;
  EXPECT_EQ(Health(), "started_afresh\n");
  Sh("umount $WORK");
}

TEST_F(Lasting, SettingsThatASuccessorDoesNotKnowAreTold) {
  Mount("cpuset");
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  KillDaemon();
  EXPECT_EQ(Health(), "settings_not_restored\n");
  EXPECT_NE(Sh("corral status").out.find("'cpuset'"), std::string::npos);
}

}  // namespace
}  // namespace corral
