#include "differential/recording.h"

#include <sys/utsname.h>

#include <fstream>
#include <sstream>

namespace corral::differential {
namespace {

constexpr const char* kHeader = "# What cgroup v1 answered, on kernel ";

std::string PathOf(const std::string& scenario) {
  return std::string(CORRAL_RECORDED) + "/" + scenario + ".txt";
}

}  // namespace

std::string RunningKernel() {
  utsname name;
  ::uname(&name);
  return name.release;
}

std::optional<Recording> LoadRecording(const std::string& scenario) {
  std::ifstream file(PathOf(scenario));
  std::string header;
  if (!std::getline(file, header) || !header.starts_with(kHeader)) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return Recording{header.substr(std::string(kHeader).size()), Transcript::Parse(text.str())};
}

void SaveRecording(const std::string& scenario, const Transcript& transcript) {
  std::ofstream(PathOf(scenario)) << kHeader << RunningKernel() << "\n" << transcript.Text();
}

}  // namespace corral::differential
