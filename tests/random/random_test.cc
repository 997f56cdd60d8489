// The model of the specification against a real instance, at random: a short run in every
// dialect; and the proof that this can fail: models with one mistake are found out, and the
// script that shows it is short. corral-random (main.cc) does the long runs.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "random/generator.h"
#include "random/lockstep.h"

namespace corral::random {
namespace {

using Clock = std::chrono::steady_clock;

class Random : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (::access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "needs /dev/fuse";
    if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0) GTEST_SKIP() << "needs a kernel with BTF";
    const std::string bin =
        std::filesystem::canonical("/proc/self/exe").parent_path().parent_path() / "bin";
    const std::string path = std::getenv("PATH");
    if (!path.starts_with(bin)) ::setenv("PATH", (bin + ":" + path).c_str(), 1);
  }
};

// ---- right: none differs

class ShortRun : public Random, public testing::WithParamInterface<const char*> {};

TEST_P(ShortRun, OfAFewSecondsShowsNoDifference) {
  const char* wanted = std::getenv("CORRAL_RANDOM_SEED");
  // The same each time unless one is asked for: new ones are for scripts/nightly.
  const std::uint64_t seed = wanted ? std::strtoull(wanted, nullptr, 10) : 1;
  RecordProperty("seed", std::to_string(seed));
  Machine machine;
  Lockstep lockstep(machine);
  Generator generator(seed, {GetParam()});
  Script script;
  for (const auto end = Clock::now() + std::chrono::seconds(3); Clock::now() < end;) {
    script.push_back(generator.Next(lockstep.model()));
    const auto difference = lockstep.Do(script.back());
    ASSERT_FALSE(difference) << *difference << "\nseed " << seed << "; corral-random --dialect "
                             << GetParam() << " --seed " << seed << " shortens this script:\n"
                             << Format(script);
  }
  const auto difference = lockstep.Finish();
  EXPECT_FALSE(difference) << *difference << "\n" << Format(script);
  EXPECT_GT(script.size(), 20u);
  RecordProperty("steps", static_cast<int>(script.size()));
}

INSTANTIATE_TEST_SUITE_P(In, ShortRun, testing::Values("v6", "v11", "corral", "linux"),
                         [](const auto& test) { return std::string(test.param); });

// ---- wrong: found, and shortened

struct Wrong {
  const char* name;
  Mistake mistake;
  std::size_t steps;  // the shortest script that can show it, and some
};

class WrongModel : public Random, public testing::WithParamInterface<Wrong> {};

// Short runs, from the start each: what is found is soon shortened.
Script FindDifference(Mistake mistake) {
  constexpr int kRuns = 200;
  constexpr std::size_t kSteps = 100;
  for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
    Machine machine;
    Lockstep lockstep(machine, mistake);
    Generator generator(seed, {"corral"});
    Script script;
    while (script.size() < kSteps) {
      script.push_back(generator.Next(lockstep.model()));
      if (lockstep.Do(script.back())) return script;
    }
  }
  return {};
}

TEST_P(WrongModel, IsFoundOutByAShortScript) {
  const bool at_length = std::string(testing::UnitTest::GetInstance()->current_test_suite()->name())
                             .starts_with("AtLength");
  if (at_length && !std::getenv("CORRAL_RACE_SCALE")) GTEST_SKIP() << "needs CORRAL_RACE_SCALE";
  const Mistake mistake = GetParam().mistake;
  const Script script = FindDifference(mistake);
  ASSERT_FALSE(script.empty()) << "not found";
  const Script little = Shrink(script, mistake, 300);
  // The script is text, and the text is the script: what is printed replays.
  EXPECT_EQ(ParseScript(Format(little)), little);
  EXPECT_TRUE(Replay(ParseScript(Format(little)), mistake, false));
  const auto right = Replay(little, Mistake::kNone);
  EXPECT_FALSE(right) << "the right model differs, too: " << right->what << "\n" << Format(little);
  EXPECT_LE(little.size(), GetParam().steps) << Format(little);
  RecordProperty("found_after", static_cast<int>(script.size()));
  RecordProperty("shortened_to", static_cast<int>(little.size()));
}

INSTANTIATE_TEST_SUITE_P(
    That, WrongModel,
    testing::Values(Wrong{"RenameForgetsFlags", Mistake::kRenameForgetsFlags, 6},
                    Wrong{"RmdirOfAPopulatedGroupSucceeds", Mistake::kRmdirOfAPopulatedGroup, 6}),
    [](const auto& test) { return std::string(test.param.name); });

// These take longer to be found: with CORRAL_RACE_SCALE (scripts/nightly).
INSTANTIATE_TEST_SUITE_P(
    AtLength, WrongModel,
    testing::Values(Wrong{"ChildInheritsNothing", Mistake::kChildInheritsNothing, 6},
                    Wrong{"OneThreadIsMovedForAll", Mistake::kOneThreadForAll, 8},
                    Wrong{"ExecStaysWithTheLeader", Mistake::kExecStaysWithTheLeader, 10},
                    Wrong{"ReleaseNeedsNoLastChild", Mistake::kReleaseNeedsNoLastChild, 8},
                    Wrong{"AttachClearsReleasable", Mistake::kAttachClearsReleasable, 10},
                    Wrong{"UmountForgets", Mistake::kUmountForgets, 6}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace corral::random
