// The libraries for groups of processes (corral/process_group.h, corral/corral.h) on a real
// instance, and without one.
#include <corral/corral.h>
#include <corral/process_group.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <thread>

#include "support/matchers.h"
#include "system/instance.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kGroup[] = "corral:/lib/job";

// The status waitpid() tells of a child.
int Ended(pid_t child) {
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

class ProcessGroups : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    const Outcome started = Sh("corral start");
    ASSERT_EQ(started.status, 0) << started.out;
  }
  static bool Exists(const std::string& group) { return Sh("corral ps " + group).status == 0; }
};

TEST_F(ProcessGroups, ACommandIsInTheGroupFromItsFirstInstruction) {
  auto group = ProcessGroup::Create(kGroup);
  ASSERT_THAT(group, IsOk());
  EXPECT_TRUE(group->made());
  auto pid = group->Spawn(
      {"sh", "-c", "cat /run/corral/$CORRAL_INSTANCE/proc/self/container >$WORK/place; exit 3"});
  ASSERT_THAT(pid, IsOk());
  EXPECT_EQ(WEXITSTATUS(Ended(*pid)), 3);
  EXPECT_THAT(group->WaitEmpty(), IsOk());
  EXPECT_EQ(Read(work() + "/place"), "/lib/job\n");
}

TEST_F(ProcessGroups, WhatACommandLeavesIsListedWaitedForAndKilled) {
  auto group = ProcessGroup::Create(kGroup);
  ASSERT_THAT(group, IsOk());
  EXPECT_THAT(group->WaitEmpty(), IsOk());
  const pid_t pid = group->Spawn({"sh", "-c", "(setsid sleep 300 &)"}).value();
  Ended(pid);
  EXPECT_THAT(group->WaitEmpty(milliseconds(50)), FailsWith(ETIMEDOUT));
  const auto left = group->List();
  EXPECT_THAT(left, IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(group->Remove(), FailsWith(EBUSY));
  EXPECT_THAT(group->Kill(), IsOkAndHolds(*left));
  EXPECT_THAT(group->WaitEmpty(), IsOk());
  EXPECT_THAT(group->List(), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(group->Remove(), IsOk());
  EXPECT_THAT(group->Enter(0), FailsWith(ENOENT));
}

TEST_F(ProcessGroups, ACommandThatCannotRunLeavesNothing) {
  auto group = ProcessGroup::Create(kGroup);
  ASSERT_THAT(group, IsOk());
  EXPECT_THAT(group->Spawn({"/nowhere/x"}), FailsWith(ENOENT));
  EXPECT_THAT(group->Spawn({}), FailsWith(EINVAL));
  EXPECT_THAT(group->Enter(2147483647), FailsWith(ESRCH));
  EXPECT_THAT(group->Enter(-1), FailsWith(ESRCH));
  EXPECT_THAT(group->List(), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  const pid_t runs = group->Spawn({"sleep", "300"}).value();
  EXPECT_THAT(group->List(), IsOkAndHolds(ElementsAre(runs))) << "one that can is there";
  ::kill(runs, SIGKILL);
  Ended(runs);
}

TEST_F(ProcessGroups, ItGoesWithTheObjectThatMadeItUnlessSomethingRuns) {
  pid_t pid = 0;
  {
    auto made = ProcessGroup::Create(kGroup);
    auto found = ProcessGroup::Create(kGroup);
    ASSERT_THAT(found, IsOk());
    EXPECT_FALSE(found->made());
    { auto moved = std::move(*found); }
    EXPECT_TRUE(Exists(kGroup));
    pid = made->Spawn({"sleep", "300"}).value();
    EXPECT_THAT(made->List(), IsOkAndHolds(ElementsAre(pid)));
  }
  EXPECT_TRUE(Exists(kGroup));
  ::kill(pid, SIGKILL);
  Ended(pid);
  { EXPECT_FALSE(ProcessGroup::Create(kGroup)->made()); }
  EXPECT_TRUE(Exists(kGroup));
  { EXPECT_TRUE(ProcessGroup::Create("corral:/lib/other")->made()); }
  EXPECT_FALSE(Exists("corral:/lib/other"));
}

TEST_F(ProcessGroups, BadNamesAndRootsAreRefused) {
  for (const char* path : {"", "lib/job", "corral", ":/x"}) {
    EXPECT_THAT(ProcessGroup::Create(path), FailsWith(EINVAL)) << path;
  }
  EXPECT_THAT(ProcessGroup::Create("nosuch:/x"), FailsWith(ENOENT));
  EXPECT_THAT(ProcessGroup::Create(kGroup, "no/instance"), FailsWith(EINVAL));
  auto root = ProcessGroup::Create("corral:/");
  ASSERT_THAT(root, IsOk());
  EXPECT_THAT(root->WaitEmpty(), FailsWith(EINVAL));
  EXPECT_THAT(root->Kill(), FailsWith(EPERM));
}

TEST_F(ProcessGroups, OneObjectServesManyThreadsWhileOneWaits) {
  auto group = ProcessGroup::Create(kGroup);
  ASSERT_THAT(group, IsOk());
  const pid_t first = group->Spawn({"sleep", "300"}).value();
  std::jthread waits([&] { EXPECT_THAT(group->WaitEmpty(), IsOk()); });
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 10; ++round) {
          const auto pid = group->Spawn({"true"});
          ASSERT_THAT(pid, IsOk());
          EXPECT_THAT(group->List(), IsOkAndHolds(Contains(first)));
          EXPECT_EQ(Ended(*pid), 0);
        }
      });
    }
  }
  ::kill(first, SIGKILL);
  Ended(first);
  waits.join();
  ExpectCleanAudit();
}

// Spec 13.9.
TEST_F(ProcessGroups, WithoutADaemonCallsFailWithOneErrorAndTheProgramCarriesOn) {
  auto group = ProcessGroup::Create(kGroup);
  ASSERT_THAT(group, IsOk());
  const pid_t pid = group->Spawn({"sleep", "300"}).value();
  std::jthread waits([&] { EXPECT_THAT(group->WaitEmpty(), FailsWith(ESHUTDOWN)); });
  std::this_thread::sleep_for(milliseconds(100));
  ASSERT_EQ(Sh("corral shutdown --force").status, 0);
  waits.join();
  EXPECT_THAT(group->Enter(pid), FailsWith(ECONNREFUSED));
  EXPECT_THAT(group->Spawn({"true"}), FailsWith(ECONNREFUSED));
  EXPECT_THAT(group->WaitEmpty(), FailsWith(ECONNREFUSED));
  EXPECT_THAT(group->List(), FailsWith(ECONNREFUSED));
  EXPECT_THAT(group->Kill(), FailsWith(ECONNREFUSED));
  EXPECT_THAT(group->Remove(), FailsWith(ECONNREFUSED));
  EXPECT_THAT(ProcessGroup::Create(kGroup), FailsWith(ECONNREFUSED));
  corral_t* none = nullptr;
  EXPECT_EQ(corral_open(nullptr, &none), -ECONNREFUSED);
  EXPECT_EQ(none, nullptr);
  EXPECT_THAT(corral_error_text(), HasSubstr("no daemon runs"));
  // Another daemon knows nothing of it, and serves.
  ASSERT_EQ(Sh("corral start").status, 0);
  EXPECT_THAT(group->List(), FailsWith(ENOENT));
  EXPECT_THAT(ProcessGroup::Create(kGroup), IsOk());
  ::kill(pid, SIGKILL);
  Ended(pid);
}

// ---- corral.h

class CFunctions : public ProcessGroups {
 protected:
  void SetUp() override {
    ProcessGroups::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_EQ(corral_open(nullptr, &corral_), 0) << corral_error_text();
  }
  void TearDown() override {
    corral_close(corral_);
    ProcessGroups::TearDown();
  }
  pid_t Spawn(const char* command) {
    std::string text = command;
    char* const argv[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), text.data(), nullptr};
    return corral_spawn(corral_, kGroup, argv);
  }

  corral_t* corral_ = nullptr;
};

TEST_F(CFunctions, RunAGroupFromItsMakingToItsEnd) {
  EXPECT_EQ(corral_create(corral_, kGroup), 1);
  EXPECT_EQ(corral_create(corral_, kGroup), 0);
  const pid_t pid = Spawn("exec sleep 300");
  ASSERT_GT(pid, 0) << corral_error_text();
  pid_t listed[2] = {};
  EXPECT_EQ(corral_list(corral_, kGroup, listed, 2), 1);
  EXPECT_EQ(listed[0], pid);
  EXPECT_EQ(corral_list(corral_, kGroup, nullptr, 0), 1);
  EXPECT_EQ(corral_wait_empty(corral_, kGroup, 50), -ETIMEDOUT);
  EXPECT_EQ(corral_remove(corral_, kGroup), -EBUSY);
  EXPECT_EQ(corral_kill(corral_, kGroup), 1);
  EXPECT_EQ(WTERMSIG(Ended(pid)), SIGKILL);
  EXPECT_EQ(corral_wait_empty(corral_, kGroup, -1), 0);
  EXPECT_EQ(corral_remove(corral_, kGroup), 0);
  EXPECT_EQ(corral_remove(corral_, kGroup), -ENOENT);
}

TEST_F(CFunctions, MoveAProcessThatRuns) {
  ASSERT_EQ(corral_create(corral_, kGroup), 1);
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  EXPECT_EQ(corral_enter(corral_, kGroup, child), 0);
  pid_t listed = 0;
  EXPECT_EQ(corral_list(corral_, kGroup, &listed, 1), 1);
  EXPECT_EQ(listed, child);
  ::kill(child, SIGKILL);
  Ended(child);
  EXPECT_EQ(corral_enter(corral_, kGroup, child), -ESRCH);
}

TEST_F(CFunctions, TellWhatWasWrong) {
  EXPECT_EQ(corral_create(nullptr, kGroup), -EINVAL);
  EXPECT_EQ(corral_create(corral_, nullptr), -EINVAL);
  EXPECT_EQ(corral_open(nullptr, nullptr), -EINVAL);
  EXPECT_EQ(corral_spawn(corral_, kGroup, nullptr), -EINVAL);
  EXPECT_EQ(corral_list(corral_, kGroup, nullptr, 1), -EINVAL);
  EXPECT_EQ(corral_create(corral_, "job"), -EINVAL);
  EXPECT_THAT(corral_error_text(), HasSubstr("'job'"));
  EXPECT_EQ(corral_kill(corral_, "corral:/nosuch"), -ENOENT);
  EXPECT_THAT(corral_error_text(), HasSubstr("nosuch"));
  EXPECT_EQ(Spawn("true"), -ENOENT);
  std::thread([] { EXPECT_STREQ(corral_error_text(), ""); }).join();
  corral_close(nullptr);
}

}  // namespace
}  // namespace corral
