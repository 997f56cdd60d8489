// What a kernel once answered, kept in recorded/SCENARIO.txt: takes the kernel's place where
// there is no cgroup v1.
#ifndef CORRAL_TESTS_DIFFERENTIAL_RECORDING_H_
#define CORRAL_TESTS_DIFFERENTIAL_RECORDING_H_

#include <optional>
#include <string>

#include "differential/transcript.h"

namespace corral::differential {

struct Recording {
  std::string kernel;  // its release
  Transcript transcript;
};

std::string RunningKernel();
std::optional<Recording> LoadRecording(const std::string& scenario);
void SaveRecording(const std::string& scenario, const Transcript& transcript);

}  // namespace corral::differential

#endif  // CORRAL_TESTS_DIFFERENTIAL_RECORDING_H_
