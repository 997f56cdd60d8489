// The subsystem `numtasks` by its files: counts, peaks and limits, in line and when read.
#include "subsystems/numtasks/numtasks.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <random>
#include <thread>

#include "subsystems/numtasks/asking.h"
#include "subsystems/numtasks/counting.h"
#include "support/subsystem_fixture.h"

namespace corral {
namespace {

class NumtasksInLine : public SubsystemTest {
 protected:
  NumtasksInLine() : SubsystemTest(std::make_shared<CountingNumtasks>()) {
    Make("/a");
    Make("/a/b");
  }
  std::string Current(const std::string& path) { return Read(path + "/numtasks.current"); }
  std::string Failures(const std::string& path) { return Read(path + "/numtasks.failures"); }
  int SetMax(const std::string& path, std::string_view max) {
    return Write(path + "/numtasks.max", max);
  }
};

TEST_F(NumtasksInLine, CountTheWholeSubtree) {
  ASSERT_EQ(StartIn("/a", 7), 0);
  ASSERT_EQ(StartIn("/a/b", 8), 0);
  ASSERT_EQ(Fork(8, 9), 0);
  EXPECT_EQ(Current("/a") + Current("/a/b") + Current(""), "3\n2\n4\n");
  Exit(9);
  ASSERT_EQ(Enter("/", 8), 0);
  EXPECT_EQ(Current("/a") + Current("/a/b") + Current(""), "1\n0\n3\n");
  EXPECT_EQ(Read("/a/numtasks.peak") + Read("/a/b/numtasks.peak"), "3\n2\n");
}

TEST_F(NumtasksInLine, AForkOverTheMaxIsRefusedAndCounted) {
  ASSERT_EQ(SetMax("/a/b", "2\n"), 0);
  ASSERT_EQ(StartIn("/a/b", 7), 0);
  EXPECT_EQ(Fork(7, 8), 0);
  EXPECT_EQ(Fork(7, 9), EAGAIN);
  EXPECT_EQ(Fork(8, 9), EAGAIN);
  EXPECT_EQ(Current("/a/b") + Failures("/a/b"), "2\n2\n");
  Exit(8);
  EXPECT_EQ(Fork(7, 9), 0);
}

TEST_F(NumtasksInLine, ALimitAboveHoldsForAllBelowAndCountsTheFailure) {
  ASSERT_EQ(SetMax("/a", "2"), 0);
  ASSERT_EQ(StartIn("/a", 7), 0);
  ASSERT_EQ(StartIn("/a/b", 8), 0);
  EXPECT_EQ(Fork(8, 9), EAGAIN);
  EXPECT_EQ(Failures("/a") + Failures("/a/b"), "1\n0\n");
  EXPECT_EQ(Fork(1, 9), 0);  // the root's are not below
}

TEST_F(NumtasksInLine, MovingInIsAlwaysPossible) {
  ASSERT_EQ(SetMax("/a", "0"), 0);
  EXPECT_EQ(StartIn("/a", 7), 0);
  EXPECT_EQ(StartIn("/a", 8), 0);
  EXPECT_EQ(Current("/a") + Failures("/a"), "2\n0\n");
  EXPECT_EQ(Fork(7, 9), EAGAIN);
}

TEST_F(NumtasksInLine, ALowerMaxEndsNobody) {
  ASSERT_EQ(StartIn("/a", 7), 0);
  ASSERT_EQ(Fork(7, 8), 0);
  ASSERT_EQ(SetMax("/a", "1"), 0);
  EXPECT_EQ(Current("/a"), "2\n");
  EXPECT_EQ(Fork(7, 9), EAGAIN);
  ASSERT_EQ(SetMax("/a", "max"), 0);
  EXPECT_EQ(Fork(7, 9), 0);
}

TEST_F(NumtasksInLine, BadLimitsChangeNothing) {
  ASSERT_EQ(SetMax("/a", "12\n"), 0);
  for (const char* bad : {"-1", "1x", "", "maximum", "4194305", "1 2"}) {
    EXPECT_EQ(SetMax("/a", bad), EINVAL) << bad;
  }
  EXPECT_EQ(SetMax("/a", "99999999999999999999"), ERANGE);
  EXPECT_EQ(Read("/a/numtasks.max"), "12\n");
  EXPECT_TRUE(Has("/a/numtasks.max") && Has("/a/numtasks.failures"));
  EXPECT_FALSE(Has("/numtasks.max"));
  EXPECT_FALSE(Has("/numtasks.failures"));
}

TEST_F(NumtasksInLine, AChildBeginsWithItsParentsMax) {
  ASSERT_EQ(SetMax("/a", "12"), 0);
  ASSERT_EQ(Make("/a/c"), 0);
  EXPECT_EQ(Read("/a/c/numtasks.max") + Read("/a/b/numtasks.max"), "12\nmax\n");
}

class NumtasksWithoutInheritance : public SubsystemTest {
 protected:
  NumtasksWithoutInheritance()
      : SubsystemTest(std::make_shared<CountingNumtasks>(), /*css_inherit=*/false) {}
};

TEST_F(NumtasksWithoutInheritance, AChildBeginsWithoutALimit) {
  ASSERT_EQ(Make("/a"), 0);
  ASSERT_EQ(Write("/a/numtasks.max", "12"), 0);
  ASSERT_EQ(Make("/a/b"), 0);
  EXPECT_EQ(Read("/a/b/numtasks.max"), "max\n");
}

// Eight threads begin, end and move: no limit is ever exceeded by births, and in the end what was
// counted is what is there.
TEST_F(NumtasksInLine, CountRightAndHoldTheirLimitUnderLoad) {
  constexpr std::uint32_t kWorkers = 7;
  constexpr int kRounds = 300;
  constexpr std::uint32_t kMax = 20;
  constexpr std::uint32_t kEach = 5;
  for (std::uint32_t i = 0; i < kWorkers; ++i) ASSERT_EQ(StartIn("/a/b", 10 + i), 0);
  ASSERT_EQ(SetMax("/a", std::to_string(kMax)), 0);
  std::atomic<int> refused = 0;
  std::atomic<bool> stop = false;
  std::vector<std::thread> workers;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    workers.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        std::vector<std::uint32_t> born;
        for (std::uint32_t n = 0; n < kEach; ++n) {
          const std::uint32_t child = 1000 * (1 + i) + n;
          const int error = Fork(10 + i, child);
          if (error == 0) born.push_back(child);
          EXPECT_TRUE(error == 0 || error == EAGAIN) << error;
          if (error != 0) ++refused;
        }
        std::this_thread::yield();
        for (const std::uint32_t child : born) Exit(child);
      }
    });
  }
  // Within what is limited: the count of /a does not change by it.
  std::thread mover([&] {
    std::mt19937 random(1);
    while (!stop) {
      const std::uint32_t worker = random() % kWorkers;
      const std::uint32_t tid =
          random() % 2 ? 10 + worker
                       : static_cast<std::uint32_t>(1000 * (1 + worker) + random() % kEach);
      (void)Enter(random() % 2 ? "/a" : "/a/b", tid);
    }
  });
  for (std::thread& worker : workers) worker.join();
  stop = true;
  mover.join();
  EXPECT_LE(std::stoul(Read("/a/numtasks.peak")), kMax);
  EXPECT_EQ(Failures("/a"), std::to_string(refused) + "\n");
  for (const char* path : {"", "/a", "/a/b"}) {
    const std::size_t there = registry_->SubtreeTasks(At(std::string("/") + path).cgroup())->size();
    EXPECT_EQ(Current(path), std::to_string(there) + "\n") << path;
  }
  EXPECT_EQ(Current("/a"), std::to_string(kWorkers) + "\n");
}

class NumtasksWhenRead : public SubsystemTest {
 protected:
  NumtasksWhenRead() : SubsystemTest(std::make_shared<AskingNumtasks>()) {
    Make("/a");
    Make("/a/b");
  }
};

TEST_F(NumtasksWhenRead, CountsTheTasksThatAreThere) {
  ASSERT_EQ(StartIn("/a", 7), 0);
  ASSERT_EQ(StartIn("/a/b", 8), 0);
  ASSERT_EQ(Fork(8, 9), 0);
  EXPECT_EQ(Read("/a/numtasks.current") + Read("/a/b/numtasks.current"), "3\n2\n");
  Exit(9);
  EXPECT_EQ(Read("/a/numtasks.current") + Read("/a/numtasks.peak"), "2\n3\n");
}

TEST_F(NumtasksWhenRead, KeepsALimitThatNobodyAsksFor) {
  ASSERT_EQ(StartIn("/a", 7), 0);
  ASSERT_EQ(Write("/a/numtasks.max", "1"), 0);
  EXPECT_EQ(Fork(7, 8), 0);
  EXPECT_EQ(Read("/a/numtasks.max") + Read("/a/numtasks.failures"), "1\n0\n");
}

}  // namespace
}  // namespace corral
