// The differences that are known and meant (spec 14, 10.8), with the reason of each. A test
// fails when there is one that is not here, and when one that is here has gone.
#ifndef CORRAL_TESTS_DIFFERENTIAL_KNOWN_LIMITS_H_
#define CORRAL_TESTS_DIFFERENTIAL_KNOWN_LIMITS_H_

#include <string>
#include <string_view>
#include <vector>

#include "differential/transcript.h"

namespace corral::differential {

struct KnownLimit {
  std::string_view scenario;
  std::string_view step;  // as it stands in the transcript
  std::string_view why;
};

// What the table does not explain: unlisted differences, and listed ones that are gone. Empty
// when all is as it should be; else a line or more for each.
std::vector<std::string> Unexplained(std::string_view scenario,
                                     const std::vector<Difference>& differences);

}  // namespace corral::differential

#endif  // CORRAL_TESTS_DIFFERENTIAL_KNOWN_LIMITS_H_
