// The subsystem cpuset on simulated tasks: what its files take, and where tasks are put. The errors
// are those that Linux 6.1 gives for the same writes.
#include <chrono>
#include <thread>

#include "subsystems/cpuset/cpuset.h"
#include "support/fake_cpus.h"
#include "support/subsystem_fixture.h"

namespace corral {
namespace {

class CpusetTest : public SubsystemTest {
 protected:
  explicit CpusetTest(bool inherits = true)
      : CpusetTest(std::make_shared<FakeCpus>(), std::make_shared<Refuser>(), inherits) {}

  std::shared_ptr<FakeCpus> cpus_;
  std::shared_ptr<Refuser> other_;

 private:
  CpusetTest(std::shared_ptr<FakeCpus> cpus, std::shared_ptr<Refuser> other, bool inherits)
      : SubsystemTest(std::make_shared<Cpuset>(cpus, std::chrono::milliseconds(5)), inherits,
                      other),
        cpus_(cpus),
        other_(other) {}
};

class LinuxCpusetTest : public CpusetTest {
 protected:
  LinuxCpusetTest() : CpusetTest(/*inherits=*/false) {}
};

TEST(IdList, IsReadAsTheKernelReadsIt) {
  const struct {
    const char* text;
    const char* read;
    int error;
  } kCases[] = {
      {"", "", 0},
      {"\n", "", 0},
      {",", "", 0},
      {"0-3", "0-3", 0},
      {"0,\n", "0", 0},
      {",0", "0", 0},
      {"0,,1", "0-1", 0},
      {" 0 , 1 ", "0-1", 0},
      {"0 1", "0-1", 0},
      {"0-7:1/2", "0,2,4,6", 0},
      {"all", "0-7", 0},
      {"ALL", "0-7", 0},
      {"5-N", "5-7", 0},
      {"00", "0", 0},
      {"0-1,1-2", "0-2", 0},
      {"0\n1", "0", 0},
      {"0-2:0/2", "", 0},
      {"0\n\n", "0", 0},
      {"0\t", "0", 0},
      {"x", "", EINVAL},
      {"0-", "", EINVAL},
      {"-1", "", EINVAL},
      {"1-0", "", EINVAL},
      {"0-2:2", "", EINVAL},
      {"none", "", EINVAL},
      {"0x1", "", EINVAL},
      {"+1", "", EINVAL},
      {"0:1/1", "", EINVAL},
      {"0-2:3/2", "", EINVAL},
      {"0-2:1/0", "", EINVAL},
      {"0- 1", "", EINVAL},
      {"0 -1", "", EINVAL},
      {"8", "", ERANGE},
      {"0-99", "", ERANGE},
      {"9-8", "", EINVAL},
      {"99999999999999", "", EOVERFLOW},
  };
  for (const auto& c : kCases) {
    const auto read = ParseIdList(c.text, 8);
    EXPECT_EQ(read ? 0 : read.error().code, c.error) << c.text;
    if (read) {
      EXPECT_EQ(FormatIdList(*read), c.read) << c.text;
    }
  }
}

TEST_F(CpusetTest, TheRootHasWhatIsOnlineAndIsNotToBeChanged) {
  EXPECT_EQ(Read("/cpuset.cpus"), "0-3\n");
  EXPECT_EQ(Read("/cpuset.mems"), "0-1\n");
  EXPECT_EQ(Read("/cpuset.cpu_exclusive"), "1\n");
  EXPECT_EQ(Write("/cpuset.cpus", "0-3"), EACCES);
  EXPECT_EQ(Write("/cpuset.mems", "0"), EACCES);
}

TEST_F(CpusetTest, AChildStartsWithItsParents) {
  Make("/a");
  EXPECT_EQ(Read("/a/cpuset.cpus"), "0-3\n");
  EXPECT_EQ(Write("/a/cpuset.cpus", "1-2"), 0);
  EXPECT_EQ(Write("/a/cpuset.memory_migrate", "1"), 0);
  Make("/a/b");
  EXPECT_EQ(Read("/a/b/cpuset.cpus"), "1-2\n");
  EXPECT_EQ(Read("/a/b/cpuset.mems"), "0-1\n");
  EXPECT_EQ(Read("/a/b/cpuset.cpu_exclusive") + Read("/a/b/cpuset.memory_migrate"), "0\n0\n");
}

TEST_F(LinuxCpusetTest, AChildStartsWithNoneAndNobodyCanEnterUntilBothAreSet) {
  Make("/a");
  Start(7);
  EXPECT_EQ(Read("/a/cpuset.cpus"), "\n");
  EXPECT_EQ(Enter("/a", 7), ENOSPC);
  EXPECT_EQ(Write("/a/cpuset.cpus", "0"), 0);
  EXPECT_EQ(Enter("/a", 7), ENOSPC);
  EXPECT_EQ(Write("/a/cpuset.mems", "0"), 0);
  EXPECT_EQ(Enter("/a", 7), 0);
}

TEST_F(LinuxCpusetTest, CloneChildrenCopiesUnlessASiblingIsExclusive) {
  Make("/a");
  EXPECT_EQ(Write("/a/cpuset.cpus", "0-1"), 0);
  EXPECT_EQ(Write("/a/cpuset.mems", "0"), 0);
  EXPECT_THAT(registry_->SetCloneChildren(At("/a").cgroup(), true), IsOk());
  Make("/a/b");
  EXPECT_EQ(Read("/a/b/cpuset.cpus"), "0-1\n");
  EXPECT_EQ(Write("/a/cpuset.cpu_exclusive", "1"), 0);
  EXPECT_EQ(Write("/a/b/cpuset.cpu_exclusive", "1"), 0);
  Make("/a/c");
  EXPECT_EQ(Read("/a/c/cpuset.cpus"), "\n");
}

TEST_F(CpusetTest, GivesTheErrorsOfTodaysKernel) {
  Make("/a");
  Make("/a/b");
  Start(7);
  EXPECT_EQ(Enter("/a/b", 7), 0);
  EXPECT_EQ(Write("/a/b/cpuset.cpus", "x"), EINVAL);
  EXPECT_EQ(Write("/a/b/cpuset.cpus", "8"), ERANGE);
  EXPECT_EQ(Write("/a/b/cpuset.cpus", "5"), EINVAL);  // possible, and not online
  EXPECT_EQ(Write("/a/b/cpuset.mems", "5"), EINVAL);
  EXPECT_EQ(Write("/a/b/cpuset.mems", "1024"), ERANGE);
  EXPECT_EQ(Write("/a/b/cpuset.cpus", "\n"), ENOSPC);
  EXPECT_EQ(Write("/a/b/cpuset.mems", "\n"), ENOSPC);
  EXPECT_EQ(Write("/a/cpuset.cpus", "0-1"), EBUSY);
  EXPECT_EQ(Write("/a/b/cpuset.cpus", "0-1"), 0);
  EXPECT_EQ(Write("/a/cpuset.cpus", "0-1"), 0);
  EXPECT_EQ(Write("/a/b/cpuset.cpus", "2"), EACCES);
  EXPECT_EQ(Write("/a/b/cpuset.cpu_exclusive", "1"), EACCES);
  EXPECT_EQ(Write("/a/b/cpuset.cpu_exclusive", "x"), EINVAL);
  EXPECT_EQ(Write("/a/b/cpuset.cpu_exclusive", "18446744073709551616"), ERANGE);
  EXPECT_EQ(Read("/a/b/cpuset.cpus") + Read("/a/cpuset.cpus"), "0-1\n0-1\n");
}

TEST_F(CpusetTest, ExclusiveSiblingsShareNothing) {
  Make("/a");
  Make("/b");
  EXPECT_EQ(Write("/a/cpuset.cpu_exclusive", "1"), EINVAL);
  EXPECT_EQ(Write("/a/cpuset.cpus", "0"), 0);
  EXPECT_EQ(Write("/b/cpuset.cpus", "1"), 0);
  EXPECT_EQ(Write("/a/cpuset.cpu_exclusive", "1"), 0);
  EXPECT_EQ(Write("/b/cpuset.cpus", "0-1"), EINVAL);
  EXPECT_EQ(Write("/a/cpuset.mem_exclusive", "1"), EINVAL);
  EXPECT_EQ(Write("/a/cpuset.mems", "1"), 0);
  EXPECT_EQ(Write("/b/cpuset.mems", "0"), 0);
  EXPECT_EQ(Write("/a/cpuset.mem_exclusive", "1"), 0);
  Make("/a/c");
  EXPECT_EQ(Write("/a/c/cpuset.cpu_exclusive", "1"), 0);
  EXPECT_EQ(Write("/a/cpuset.cpu_exclusive", "0"), EBUSY);
  Make("/d");
  EXPECT_EQ(Read("/d/cpuset.cpus"), "\n");
  EXPECT_EQ(Remove("/d"), 0);
  EXPECT_EQ(Remove("/b"), 0);
  EXPECT_EQ(Write("/a/cpuset.cpus", "0-1"), 0);
}

TEST_F(CpusetTest, WhoEntersRunsThereAndWhoLeavesEverywhere) {
  Make("/a");
  EXPECT_EQ(Write("/a/cpuset.cpus", "1"), 0);
  Start(7);
  EXPECT_EQ(Enter("/a", 7), 0);
  EXPECT_EQ(cpus_->Of(7), "1");
  EXPECT_EQ(Enter("/", 7), 0);
  EXPECT_EQ(cpus_->Of(7), "0-3");
}

TEST_F(CpusetTest, AMoveBetweenTheSameCpusKeepsWhatTheTaskChose) {
  Make("/a");
  Start(7);
  cpus_->Choose(7, "2");
  EXPECT_EQ(Enter("/a", 7), 0);
  EXPECT_EQ(cpus_->Of(7), "2");
}

TEST_F(CpusetTest, AWriteMovesEveryTaskThatIsThereOrBornMeanwhile) {
  Make("/a");
  Start(7);
  EXPECT_EQ(Enter("/a", 7), 0);
  // Born while its maker is placed, and with what that had before.
  cpus_->on_set = [this](Tid task) {
    if (task == Tid{7} && !tracker_.Describe(Tid{8})) {
      Fork(7, 8);
      cpus_->affinity[Tid{8}] = cpus_->OnlineCpus();
    }
  };
  EXPECT_EQ(Write("/a/cpuset.cpus", "1-2"), 0);
  EXPECT_EQ(cpus_->Of(7) + " " + cpus_->Of(8), "1-2 1-2");
  EXPECT_EQ(Write("/a/cpuset.cpus", "1-3"), 0);
  EXPECT_EQ(cpus_->Of(7) + " " + cpus_->Of(8), "1-3 1-3");
  const int sets = cpus_->sets;
  EXPECT_EQ(Write("/a/cpuset.cpus", "1-3"), 0);
  EXPECT_EQ(cpus_->sets, sets);
}

TEST_F(CpusetTest, ATaskMayChooseAmongItsCpusAndIsFetchedBackFromOthers) {
  Make("/a");
  EXPECT_EQ(Write("/a/cpuset.cpus", "0-1"), 0);
  Start(7);
  Start(8);
  EXPECT_EQ(Enter("/a", 7), 0);
  EXPECT_EQ(Enter("/a", 8), 0);
  cpus_->Choose(7, "1");
  cpus_->Choose(8, "2");
  for (int i = 0; i < 30000 && cpus_->Of(8) == "2"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(cpus_->Of(8), "0-1");
  EXPECT_EQ(cpus_->Of(7), "1");
}

TEST_F(CpusetTest, AKernelThreadThatIsBoundToItsCpusStays) {
  Make("/a");
  Start(666);
  EXPECT_EQ(Enter("/a", 666), EINVAL);
}

TEST_F(CpusetTest, MemoryFollowsWhereThatIsAskedFor) {
  Make("/a");
  Start(7);
  EXPECT_EQ(Write("/a/cpuset.mems", "0"), 0);
  EXPECT_EQ(Enter("/a", 7), 0);
  EXPECT_EQ(Write("/a/cpuset.mems", "1"), 0);
  EXPECT_TRUE(cpus_->migrated.empty());
  EXPECT_EQ(Write("/a/cpuset.memory_migrate", "1"), 0);
  EXPECT_EQ(Write("/a/cpuset.mems", "0"), 0);
  EXPECT_THAT(cpus_->migrated, ::testing::ElementsAre("7: 1 to 0"));
}

TEST_F(CpusetTest, ATaskThatDiesMeanwhileIsNoFailure) {
  Make("/a");
  Start(7);
  cpus_->gone.insert(Tid{7});
  EXPECT_EQ(Enter("/a", 7), 0);
  EXPECT_EQ(Write("/a/cpuset.cpus", "1"), 0);
}

TEST_F(CpusetTest, ATaskThatCannotBePlacedEndsNoWrite) {
  Make("/a");
  Start(7);
  EXPECT_EQ(Enter("/a", 7), 0);
  cpus_->refuses = true;
  EXPECT_EQ(Write("/a/cpuset.cpus", "1"), 0);
  EXPECT_EQ(cpus_->Of(7), "0-3");
  cpus_->refuses = false;
}

TEST_F(CpusetTest, WhatAnotherSubsystemRefusesLeavesNoTrace) {
  other_->refuse = true;
  EXPECT_EQ(Make("/a"), EXDEV);
  other_->refuse = false;
  EXPECT_EQ(Make("/a"), 0);
  EXPECT_EQ(Write("/a/cpuset.cpus", "0"), 0);
  EXPECT_EQ(Write("/a/cpuset.cpu_exclusive", "1"), 0);
  Start(7);
  other_->refuse = true;
  EXPECT_EQ(Enter("/a", 7), EXDEV);
  EXPECT_EQ(cpus_->Of(7), "0-3");
  EXPECT_EQ(cpus_->sets, 0);
}

TEST_F(CpusetTest, ARemovedCgroupTakesNoSettings) {
  Make("/a");
  const auto file = Open("/a/cpuset.cpus", true);
  EXPECT_EQ(Remove("/a"), 0);
  EXPECT_EQ(Errno(file->Write({.tid = Tid{1}}, "0")), ENODEV);
}

TEST_F(CpusetTest, TheEndOfTheInstanceLetsEverybodyRunEverywhere) {
  Make("/a");
  Make("/a/b");
  EXPECT_EQ(Write("/a/b/cpuset.cpus", "1"), 0);
  Start(7);
  EXPECT_EQ(Enter("/a/b", 7), 0);
  tree_.reset();
  registry_.reset();
  EXPECT_EQ(cpus_->Of(7), "0-3");
}

}  // namespace
}  // namespace corral
