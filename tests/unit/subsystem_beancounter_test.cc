// The subsystem beancounter on simulated processes.
#include <chrono>
#include <sstream>
#include <thread>

#include "subsystems/beancounter/beancounter.h"
#include "support/fake_usage.h"
#include "support/still_meter.h"
#include "support/subsystem_fixture.h"

namespace corral {
namespace {

// A meter that says what a test wants of the sets it knows.
class FixedMeter final : public StillMeter {
 public:
  std::unordered_map<CssSetId, CpuTime> Read() override {
    std::unordered_map<CssSetId, CpuTime> all;
    for (std::uint32_t set = 2; set < 16; ++set) all[CssSetId{set}] = {.total = ran};
    return all;
  }
  std::uint64_t ran = 0;
};

class BeancounterTest : public SubsystemTest {
 protected:
  // Hardly ever by itself, unless the test wants that.
  explicit BeancounterTest(std::chrono::milliseconds every = std::chrono::hours(1))
      : BeancounterTest(std::make_shared<FakeUsage>(), std::make_shared<Refuser>(), every) {}

  // A field of the table, by resource and column.
  std::string At(std::string_view cgroup, const std::string& resource, int column) {
    std::istringstream table(Read(std::string(cgroup) + "/beancounter.usage"));
    for (std::string line; std::getline(table, line);) {
      std::istringstream words(line);
      std::string name, word;
      words >> name;
      for (int i = 1; i < column; ++i) words >> word;
      if (name == resource) return word;
    }
    return "no such row";
  }
  std::string Held(std::string_view cgroup, const std::string& resource) {
    return At(cgroup, resource, 2);
  }
  void StartIn(std::string_view path, unsigned tid, std::uint64_t pages, std::uint64_t files) {
    usage_->Set(tid, pages, files);
    Start(tid);
    EXPECT_EQ(Enter(path, tid), 0);
  }

  std::shared_ptr<FakeUsage> usage_;
  std::shared_ptr<Refuser> other_;

 private:
  BeancounterTest(std::shared_ptr<FakeUsage> usage, std::shared_ptr<Refuser> other,
                  std::chrono::milliseconds every)
      : SubsystemTest(std::make_shared<Beancounter>(usage, every), /*inherits=*/true, other),
        usage_(usage),
        other_(other) {}
};

class BusyBeancounterTest : public BeancounterTest {
 protected:
  BusyBeancounterTest() : BeancounterTest(std::chrono::milliseconds(2)) {}
};

TEST_F(BeancounterTest, TheTableNamesItsColumnsAndHowEachIsKnown) {
  Make("/a");
  const std::string table = Read("/a/beancounter.usage");
  std::istringstream words(table);
  std::string header;
  for (int i = 0; i < 7; ++i) {
    std::string word;
    words >> word;
    header += word + " ";
  }
  EXPECT_EQ(header, "resource held maxheld barrier limit failcnt how ");
  EXPECT_EQ(At("/a", "numproc", 7) + At("/a", "physpages", 7) + At("/a", "numfile", 7),
            "countedsampledsampled");
  EXPECT_EQ(At("/a", "numproc", 4) + At("/a", "numproc", 5), "maxmax");
  EXPECT_FALSE(tree_->Lookup(SubsystemTest::At("/"), "beancounter.usage"));
}

TEST_F(BeancounterTest, CountsTheProcessesOfTheSubtree) {
  Make("/a");
  Make("/a/b");
  StartIn("/a", 7, 100, 3);
  StartIn("/a/b", 8, 20, 4);
  Thread(7, 9);
  EXPECT_EQ(Held("/a", "numproc"), "2");
  EXPECT_EQ(Held("/a", "physpages"), "120");
  EXPECT_EQ(Held("/a", "numfile"), "7");
  EXPECT_EQ(Held("/a/b", "numproc"), "1");
  tracker_.Death(Tid{8});
  EXPECT_EQ(Held("/a", "numproc"), "1");
  EXPECT_EQ(At("/a", "numproc", 3) + " " + At("/a", "physpages", 3), "2 120");
}

TEST_F(BeancounterTest, AProcessThatEndsDuringTheSampleHoldsNothing) {
  Make("/a");
  Start(7);
  EXPECT_EQ(Enter("/a", 7), 0);
  EXPECT_EQ(Held("/a", "numproc") + Held("/a", "physpages"), "10");
}

TEST_F(BusyBeancounterTest, CountsSamplesOverTheLimitAndNotOnesAtIt) {
  Make("/a");
  StartIn("/a", 7, 100, 3);
  EXPECT_EQ(Write("/a/beancounter.usage", "physpages 50 100\nnumfile 1 2\n"), 0);
  EXPECT_EQ(At("/a", "physpages", 4) + " " + At("/a", "physpages", 5), "50 100");
  for (int i = 0; i < 30000 && At("/a", "numfile", 6) == "0"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_NE(At("/a", "numfile", 6), "0");
  EXPECT_EQ(At("/a", "physpages", 6), "0");
}

TEST_F(BeancounterTest, AReadCountsAgainstNobody) {
  Make("/a");
  StartIn("/a", 7, 100, 3);
  EXPECT_EQ(Write("/a/beancounter.usage", "numfile 1 2\n"), 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(At("/a", "numfile", 3), "3");
  // The sampler, which the first mkdir has started, may count once or twice meanwhile.
  EXPECT_LT(std::stoi(At("/a", "numfile", 6)), 5);
}

TEST_F(BeancounterTest, ABadWriteChangesNothing) {
  Make("/a");
  const struct {
    const char* text;
    int error;
  } kCases[] = {
      {"\n", EINVAL},
      {"numproc", EINVAL},
      {"numproc 1", EINVAL},
      {"numproc 2 1", EINVAL},
      {"numproc 1 2 3", EINVAL},
      {"numproc -1 2", EINVAL},
      {"numproc 1 2x", EINVAL},
      {"numproc max 5", EINVAL},
      {"nothing 1 2", EINVAL},
      {"numproc 1 18446744073709551616", ERANGE},
      {"numproc 1 2\nnumfile x 2", EINVAL},
  };
  for (const auto& c : kCases) EXPECT_EQ(Write("/a/beancounter.usage", c.text), c.error) << c.text;
  EXPECT_EQ(At("/a", "numproc", 4) + At("/a", "numproc", 5), "maxmax");
  EXPECT_EQ(Write("/a/beancounter.usage", "  numproc\t1   max \n\n"), 0);
  EXPECT_EQ(At("/a", "numproc", 4) + At("/a", "numproc", 5), "1max");
}

TEST_F(BeancounterTest, CpuTimeIsTheMetersOrUnknown) {
  Make("/a");
  StartIn("/a", 7, 1, 1);
  EXPECT_EQ(Held("/a", "cputime") + At("/a", "cputime", 3), "--");
  FixedMeter meter;
  registry_->UseMeter(&meter);
  meter.ran = 25'000'000;
  EXPECT_EQ(Held("/a", "cputime"), "25");
  EXPECT_EQ(At("/a", "cputime", 7), "metered");
  registry_->UseMeter(nullptr);
}

TEST_F(BeancounterTest, WhatAnotherSubsystemRefusesLeavesNoTrace) {
  other_->refuse = true;
  EXPECT_EQ(Make("/a"), EXDEV);
  other_->refuse = false;
  Make("/a");
  usage_->Set(7, 1, 1);
  Start(7);
  other_->refuse = true;
  EXPECT_EQ(Enter("/a", 7), EXDEV);
  EXPECT_EQ(Held("/a", "numproc") + At("/a", "numproc", 3), "00");
}

TEST_F(BeancounterTest, ARemovedCgroupIsForgotten) {
  Make("/a");
  const auto file = Open("/a/beancounter.usage", true);
  EXPECT_EQ(Remove("/a"), 0);
  EXPECT_EQ(Errno(file->Write({.tid = Tid{1}}, "numproc 1 2")), ENODEV);
}

TEST_F(BusyBeancounterTest, SamplesByItself) {
  Make("/a");
  EXPECT_EQ(Write("/a/beancounter.usage", "numproc 0 0"), 0);
  StartIn("/a", 7, 500, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  tracker_.Death(Tid{7});
  EXPECT_EQ(Held("/a", "physpages"), "0");
  EXPECT_EQ(At("/a", "physpages", 3), "500");
  EXPECT_NE(At("/a", "numproc", 6), "0");
}

}  // namespace
}  // namespace corral
