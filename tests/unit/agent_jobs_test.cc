// What becomes of the release agents that were handed over, without any process: each is started
// once, whenever its spawner dies (docs/concurrency.md, 11.4).
#include "agent/agent_jobs.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace corral {
namespace {

using wire::ReportKind;

constexpr std::uint64_t kFirst = 1;  // spawners
constexpr std::uint64_t kSecond = 2;

class AgentJobsTest : public ::testing::Test {
 protected:
  void Add(const std::string& path) { jobs_.Add({.agent = "/agent", .path = path}); }
  // The job that is sent next; 0: none.
  std::uint64_t Send(std::uint64_t spawner = kFirst) {
    const auto next = jobs_.TakeNext(spawner);
    if (next) path_ = next->job.path;
    return next ? next->id : 0;
  }
  std::uint64_t SendNew(const std::string& path) {
    Add(path);
    return Send();
  }
  void LetGo(std::uint64_t id) {
    EXPECT_TRUE(jobs_.LetGo(id, Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC))));
  }
  std::optional<AgentJobs::Ended> End(std::uint64_t id, ReportKind kind, int value = 0) {
    report_ = {.header = {id, kind, value}};
    return jobs_.TakeEnded(report_);
  }

  AgentJobs jobs_{2};
  std::string path_;  // of what was sent last
  wire::Report report_;
};

TEST_F(AgentJobsTest, AreSentInTheirOrderAsManyAsMayRun) {
  for (const char* path : {"/a", "/b", "/c"}) Add(path);
  const std::uint64_t a = Send();
  EXPECT_EQ(path_, "/a");
  EXPECT_NE(Send(), 0u);
  EXPECT_EQ(path_, "/b");
  EXPECT_EQ(Send(), 0u) << "two run";
  EXPECT_EQ(jobs_.counts().running, 2u);
  LetGo(a);
  EXPECT_EQ(Send(), 0u);
  EXPECT_TRUE(End(a, ReportKind::kExited));
  EXPECT_NE(Send(), 0u);
  EXPECT_EQ(path_, "/c");
}

TEST_F(AgentJobsTest, SayOnceThatThereIsRoomToWhoeverAskedInVain) {
  const std::uint64_t a = SendNew("/a");
  EXPECT_TRUE(jobs_.HasRoom());
  Add("/b");
  End(a, ReportKind::kNotStarted);
  EXPECT_FALSE(jobs_.TakeRoom()) << "nobody asked";
  Add("/c");
  EXPECT_FALSE(jobs_.HasRoom());
  EXPECT_FALSE(jobs_.TakeRoom());
  End(Send(), ReportKind::kNotStarted);
  EXPECT_TRUE(jobs_.TakeRoom());
  EXPECT_FALSE(jobs_.TakeRoom());
}

TEST_F(AgentJobsTest, SettleWhenTheyRunOrNeverWill) {
  const std::uint64_t runs = SendNew("/a");
  LetGo(runs);
  EXPECT_FALSE(End(runs, ReportKind::kExited, 3)->settles) << "it was settled when it was let go";
  EXPECT_TRUE(End(SendNew("/b"), ReportKind::kRefused)->settles);
  const std::uint64_t early = SendNew("/c");
  EXPECT_TRUE(End(early, ReportKind::kKilled, 9)->settles);
  EXPECT_EQ(report_.header.kind, ReportKind::kNotStarted);
  EXPECT_EQ(report_.text, "ended (signal 9) before it became the agent");
  const AgentCounts counts = jobs_.counts();
  EXPECT_EQ(counts.started, 1u);
  EXPECT_EQ(counts.failed, 1u);
  EXPECT_EQ(counts.refused, 1u);
  EXPECT_EQ(counts.not_started, 1u);
  EXPECT_FALSE(End(early, ReportKind::kExited)) << "nobody knows it any more";
}

TEST_F(AgentJobsTest, WaitAgainWhereTheyCouldNotBeSentOrHeard) {
  const std::uint64_t id = SendNew("/a");
  jobs_.PutBack(id);
  EXPECT_EQ(Send(), id);
  jobs_.NotHeard(id);
  EXPECT_FALSE(End(id, ReportKind::kExited, 127)) << "its child ended";
  EXPECT_EQ(Send(), id);
  LetGo(id);
  jobs_.NotLetGo(id);
  EXPECT_TRUE(End(id, ReportKind::kExited, 127)->settles);
  EXPECT_EQ(jobs_.counts().started, 0u);
}

TEST_F(AgentJobsTest, AreStartedOnceWhenTheirSpawnerDies) {
  const std::uint64_t runs = SendNew("/runs");
  LetGo(runs);
  const std::uint64_t sent = SendNew("/sent");
  EXPECT_TRUE(jobs_.Orphan(kFirst).empty()) << "that it ends will be seen from itself";
  EXPECT_FALSE(jobs_.AnyWaits()) << "a child of it may still become the agent";
  jobs_.TellAgain(kFirst);
  EXPECT_EQ(Send(kSecond), sent);
  ASSERT_EQ(jobs_.Orphans().size(), 1u);
  EXPECT_EQ(jobs_.Orphans()[0].first, runs);
  EXPECT_EQ(jobs_.TakeOrphan(runs)->path, "/runs");
  EXPECT_EQ(jobs_.counts().unseen, 1u);
  jobs_.TellAgain(kFirst);
  EXPECT_FALSE(jobs_.AnyWaits()) << "it is the second's now";
}

TEST_F(AgentJobsTest, AreLetBeAtTheEnd) {
  const std::uint64_t runs = SendNew("/runs");
  LetGo(runs);
  jobs_.End();
  EXPECT_TRUE(jobs_.Orphan(kFirst).empty());
  EXPECT_TRUE(jobs_.Orphans().empty());
}

TEST_F(AgentJobsTest, AreCountedUnseenWithoutAHandle) {
  const std::uint64_t runs = SendNew("/runs");
  ASSERT_TRUE(jobs_.LetGo(runs, Fd()));
  EXPECT_EQ(jobs_.Orphan(kFirst).size(), 1u);
  EXPECT_TRUE(jobs_.empty());
  EXPECT_EQ(jobs_.counts().unseen, 1u);
}

}  // namespace
}  // namespace corral
