// Plays every scenario on the kernel's cgroup v1 and on corral with compat=linux, and compares
// what was seen, line by line. Where the kernel has no cgroup v1, its recorded answers are
// compared with. CORRAL_RECORD=1 writes them. Needs root, FUSE and BPF.
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "differential/known_limits.h"
#include "differential/recording.h"
#include "differential/scenarios.h"
#include "system/instance.h"

namespace corral::differential {
namespace {

class Differential : public InstanceTest, public ::testing::WithParamInterface<Scenario> {
 protected:
  Transcript PlayOn(Subject& subject, const std::string& name) {
    Transcript transcript;
    const std::string directory = work() + "/" + name;
    ::mkdir(directory.c_str(), 0755);
    try {
      Stage stage(subject, directory, transcript);
      GetParam().play(stage);
    } catch (const std::exception& error) {
      ADD_FAILURE() << "on " << name << ": " << error.what();
    }
    return transcript;
  }

  // Before the stage, which ends every process that loses its parent under it.
  void StartDaemon() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    const corral::Outcome started = Sh("corral run -- true");
    ASSERT_EQ(started.status, 0) << started.out;
  }

  // From the kernel if it can be asked, else from the recording; nothing where neither is.
  std::optional<Transcript> KernelsAnswers() {
    std::string why;
    const auto recording = LoadRecording(GetParam().name);
    const auto kernel = KernelSubject(why);
    if (!kernel) {
      if (!recording) return std::nullopt;
      std::cout << why << "; compared with what was recorded on " << recording->kernel << "\n";
      return recording->transcript;
    }
    const Transcript live = PlayOn(*kernel, "kernel");
    if (std::getenv("CORRAL_RECORD")) {
      SaveRecording(GetParam().name, live);
    } else if (recording) {
      CompareWithRecording(*recording, live);
    }
    return live;
  }

  // Another kernel may answer otherwise: that is news, not a failure.
  void CompareWithRecording(const Recording& recording, const Transcript& live) {
    const bool same_kernel = recording.kernel == RunningKernel();
    for (const Difference& change : Compare(recording.transcript, live)) {
      if (same_kernel) {
        ADD_FAILURE() << "recorded at step '" << change.step << "': " << change.kernel
                      << "\n  now: " << change.corral;
      } else {
        std::cout << "kernel " << recording.kernel << ", step '" << change.step
                  << "': " << change.kernel << "\n  this kernel: " << change.corral << "\n";
      }
    }
  }
};

TEST_P(Differential, CorralAnswersAsTheKernelDoes) {
  const auto kernel = KernelsAnswers();
  if (!kernel) GTEST_SKIP() << "no cgroup v1 in this kernel, and no recording of the scenario";
  ASSERT_NO_FATAL_FAILURE(StartDaemon());
  const Transcript ours = PlayOn(*CorralSubject("linux"), "corral");
  EXPECT_FALSE(ours.steps().empty());
  for (const std::string& complaint : Unexplained(GetParam().name, Compare(*kernel, ours))) {
    ADD_FAILURE() << complaint;
  }
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Differential, ::testing::ValuesIn(Scenarios()),
                         [](const auto& scenario) { return std::string(scenario.param.name); });

}  // namespace
}  // namespace corral::differential
