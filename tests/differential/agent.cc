// The release agent of the differential suite: writes how it was started to calls/PID.call in
// its own directory, "name=value" with NUL behind each; the file appears whole. Which file
// tells its place, and of which hierarchy, stands in the file `place` there.
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/agent_facts.h"

extern char** environ;

using corral::agent_facts::Descriptors;
using corral::agent_facts::Link;
using corral::agent_facts::UnusualSignals;

namespace {

std::string Place(const std::string& directory) {
  std::ifstream where(directory + "/place");
  std::string file, hierarchy;
  std::getline(where, file);
  std::getline(where, hierarchy);
  std::ifstream lines(file);
  const std::string name = ":name=" + hierarchy + ":";
  for (std::string line; std::getline(lines, line);) {
    if (const auto at = line.find(name); at != line.npos) return line.substr(at + name.size());
  }
  return "unknown";
}

std::string Capabilities() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("CapEff:"))
      return std::stoull(line.substr(7), nullptr, 16) ? "some" : "none";
  }
  return "?";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string fds = Descriptors();
  const int unusual = UnusualSignals();
  const mode_t mask = umask(022);
  const std::string directory = std::filesystem::path(argv[0]).parent_path();
  const std::string out = directory + "/calls/" + std::to_string(getpid());
  {
    std::ofstream file(out + ".new", std::ios::binary);
    auto tell = [&file](const std::string& name, const std::string& value) {
      file << name << '=' << value << '\0';
    };
    tell("arguments", std::to_string(argc));
    tell("path", argc > 1 ? argv[1] : "");
    std::string environment;
    for (char** entry = environ; *entry != nullptr; ++entry)
      environment += std::string(*entry) + " ";
    tell("environment", environment);
    tell("directory", Link("/proc/self/cwd"));
    tell("umask", std::to_string(mask));
    tell("descriptors", fds.empty() ? "none" : fds);
    tell("session", getsid(0) == getpid() ? "own" : "not its own");
    tell("signals", unusual == 0 ? "as usual" : std::to_string(unusual) + " unusual");
    tell("no_new_privs", std::to_string(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    tell("capabilities", Capabilities());
    tell("ids", std::to_string(getuid()) + " " + std::to_string(geteuid()) + " " +
                    std::to_string(getgid()) + ", groups " + std::to_string(getgroups(0, nullptr)));
    tell("place", Place(directory));
  }
  return rename((out + ".new").c_str(), (out + ".call").c_str()) == 0 ? 0 : 1;
}
