#include "differential/agent_calls.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace corral::differential {
namespace {

// For a call that should not come: a dozen times what a call takes on an idle machine.
constexpr std::chrono::milliseconds kMoment(60);
constexpr std::chrono::seconds kPatience(10);

AgentCall Parse(const std::string& text) {
  AgentCall call;
  std::istringstream entries(text);
  for (std::string entry; std::getline(entries, entry, '\0');) {
    const std::size_t equals = entry.find('=');
    call[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return call;
}

}  // namespace

AgentCalls::AgentCalls(std::string directory, const std::string& place_file,
                       const std::string& hierarchy)
    : directory_(std::move(directory)), path_(directory_ + "/agent") {
  std::filesystem::create_directories(directory_ + "/calls");
  std::filesystem::copy_file(CORRAL_DIFFERENTIAL_AGENT, path_);
  ::chmod(path_.c_str(), 0755);
  std::ofstream(directory_ + "/place") << place_file << "\n" << hierarchy << "\n";
}

std::vector<std::string> AgentCalls::Files() const {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/calls")) {
    if (entry.path().extension() == ".call") files.push_back(entry.path());
  }
  return files;
}

std::vector<AgentCall> AgentCalls::Calls(std::size_t expected) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (Files().size() < expected && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::this_thread::sleep_for(kMoment);
  std::vector<AgentCall> calls;
  for (const std::string& file : Files()) {
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    calls.push_back(Parse(text.str()));
    std::filesystem::remove(file);
  }
  return calls;
}

std::string AgentCalls::Paths(std::size_t expected) {
  std::vector<std::string> paths;
  for (const AgentCall& call : Calls(expected)) paths.push_back(call.at("path"));
  std::ranges::sort(paths);
  std::string text;
  for (const std::string& path : paths) text += (text.empty() ? "" : "; ") + path;
  return text.empty() ? "none" : text;
}

}  // namespace corral::differential
