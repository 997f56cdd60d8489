// A tree far deeper than anybody needs, made by a user through descriptors of directories: every
// command, a crash and the end of the instance get along with it, and none of it costs the square
// of the depth.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/fd.h"
#include "client/client.h"
#include "system/instance.h"

namespace corral {
namespace {

class Deep : public InstanceTest {
 protected:
  static constexpr int kDepth = 45'000;

  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    Mount("none,name=deep");
    ASSERT_NO_FATAL_FAILURE(Dig());
  }

  void TearDown() override {
    Sh("kill -9 $(cat $WORK/reader $WORK/pid)");
    InstanceTest::TearDown();
  }

  void Dig() {
    Fd at(::open(mnt().c_str(), O_PATH | O_CLOEXEC));
    for (int i = 0; i < kDepth; ++i) {
      ASSERT_EQ(::mkdirat(at.get(), "d", 0755), 0) << i;
      at.reset(::openat(at.get(), "d", O_PATH | O_CLOEXEC));
      ASSERT_TRUE(at) << i;
      if (i != 0) continue;
      ASSERT_EQ(Sh("echo max > $MNT/d/cgroup.max.depth").status, 0);
    }
    deepest_ = std::move(at);
  }

  // Of the daemon, in MiB; its tables included.
  static long MostMemory() {
    std::istringstream status(
        Sh("sed -n 's/^VmHWM: *//p' /proc/$(corral status --json | jq .daemon_pid)/status").out);
    long kib = 0;
    status >> kib;
    return kib / 1024;
  }

  // Ends within a minute: what took the square of the depth took many.
  static Outcome InTime(const std::string& command) {
    const Outcome outcome = Sh("timeout 60 " + command);
    EXPECT_EQ(outcome.status, 0) << command << "\n" << outcome.out.substr(0, 1000);
    return outcome;
  }

  Fd deepest_;
};

TEST_F(Deep, EveryCommandGetsAlongWithIt) {
  const std::string all = std::to_string(kDepth);
  // All the while somebody does not read what he asked for.
  auto slow = Client::Connect(std::getenv("CORRAL_INSTANCE"));
  ASSERT_TRUE(slow && slow->Send({{"op", "tree"}}));
  EXPECT_EQ(InTime("corral tree deep:/ | wc -l").out, std::to_string(kDepth + 2) + "\n");
  EXPECT_EQ(InTime("corral tree deep:/ --json | jq '[.trees[0].groups[-1] | .depth, .path] == [" +
                   all + ", null]'")
                .out,
            "true\n");
  EXPECT_NE(InTime("corral tree deep:/ | tail -n 1").out.find("(" + all + " down) d"),
            std::string::npos);
  EXPECT_LT(InTime("corral tree deep:/").out.size(), std::size_t{300} * kDepth);
  EXPECT_NE(InTime("corral why deep:/d").out.find("no tasks, but " + std::to_string(kDepth - 1)),
            std::string::npos);
  EXPECT_EQ(InTime("corral why deep:/d --json | jq '.groups | length'").out,
            std::to_string(kDepth - 1) + "\n");
  EXPECT_EQ(InTime("corral top --once --json --interval 0.1 deep:/ | jq '.groups | length'").out,
            std::to_string(kDepth + 1) + "\n");
  InTime("corral stat deep:/d");
  InTime("corral ls deep:/");
  InTime("corral __complete ps deep:/");
  EXPECT_EQ(Sh("corral rm deep:/d").status, 1);

  // One task at the bottom: every group above it is populated, and every event has a path too many.
  Sh("(corral events deep:/ --json > $WORK/events & echo $! > $WORK/reader) >/dev/null 2>&1");
  ASSERT_TRUE(Eventually([&] { return Read(work() + "/events").contains("subscribed"); }));
  Sh("sleep 600 >/dev/null 2>&1 & echo $! > $WORK/pid");
  const Fd tasks(::openat(deepest_.get(), "tasks", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(tasks);
  const std::string pid = Read(work() + "/pid");
  ASSERT_EQ(::write(tasks.get(), pid.data(), pid.size()), static_cast<ssize_t>(pid.size()));
  EXPECT_NE(InTime("corral ps -r deep:/d").out.find("(" + std::to_string(kDepth) + " levels down)"),
            std::string::npos);
  EXPECT_EQ(InTime("corral ps -r deep:/d --json | jq '[.tasks[].path]'").out, "[\n  null\n]\n");
  EXPECT_NE(InTime("corral why deep:/d").out.find("1 task in 1 process"), std::string::npos);
  InTime("corral kill deep:/d");
  InTime("corral wait deep:/d");
  EXPECT_TRUE(Eventually([&] {
    return Sh("jq -n '[inputs | if .event == \"lost\" then .lost elif .event == \"populated\" then "
              "1 "
              "else 0 end] | add' $WORK/events")
               .out == std::to_string(2 * kDepth) + "\n";
  })) << "each became populated and empty, and was told or counted";
  Sh("kill $(cat $WORK/reader)");

  InTime("corral rm -r deep:/d");
  EXPECT_EQ(Sh("corral tree deep:/ | wc -l").out, "2\n");
  EXPECT_LT(MostMemory(), 300);
  ExpectCleanAudit();
}

TEST_F(Deep, OutlivesACrashAndEndsWithItsInstance) {
  KillDaemon();
  EXPECT_EQ(InTime("corral tree deep:/ | wc -l").out, std::to_string(kDepth + 2) + "\n");
  EXPECT_LT(MostMemory(), 300);
  KillDaemon();
  InTime("corral shutdown --force");
}

}  // namespace
}  // namespace corral
