// Everything at once, over the tracker and the registry: births, deaths, slow exits, execs whose
// old tid is taken, moves of tasks and processes, mkdir and rmdir, lists, verdicts, resyncs.
// Eight threads. Runs freely (inproc_tracker_test), with pauses before every atomic step
// (races_test), and so under ThreadSanitizer (scripts/check-races); for hours if you like:
//
//   export CORRAL_STRESS_OPS=100000000 CORRAL_STRESS_SEED=7
//   build/tests/races_test --gtest_filter='Stress.*'
#include <gmock/gmock.h>

#include "contract/stress_fixture.h"
#include "support/matchers.h"

namespace corral {
namespace {

using ::testing::IsEmpty;

TEST_F(Stress, LosesAndInventsNothing) {
  Run({});
  // Nobody was met who was not known, and no exec had to give up: then all places are right.
  const MissCounts misses = tracker().misses();
  EXPECT_EQ(misses.out_of_table, 0u);
  if (misses.retries == 0) {
    EXPECT_EQ(misses.unknown_deaths, 0u);
    EXPECT_EQ(misses.adopted, 0u);
    EXPECT_EQ(misses.displaced, 0u);
  }
  EXPECT_GT(Sum(&StressFamily::taken), 0u);
  End();
}

// A task dies under its leader's tid while its word is still at the old one; a resync buries
// it, or a birth displaces it. Never a wrong counter, never a release too many or too few.
TEST_F(Stress, LosesAndInventsNothingWhenExecsFail) {
  Run({.execs_fail = true});
  EXPECT_GT(Sum(&StressFamily::failed_execs), 0u);
  End();
}

// Without moves every leave is a death: known to the last one.
TEST_F(Stress, CountsEveryLeave) {
  Run({.moves = false, .execs_fail = true});
  End();
  const MissCounts misses = tracker().misses();
  if (misses.retries == 0 && misses.adopted == 0) {  // else one may have died in the initial set
    EXPECT_EQ(LeavesOfAllSets(), Sum(&StressFamily::leaves));
  }
}

}  // namespace
}  // namespace corral
