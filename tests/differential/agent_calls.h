// A release agent for scenarios, and what it was told: the program (agent.cc) writes a file
// for each call, which appears whole.
//
//   AgentCalls agent(directory, place_file);
//   ... mount with release_agent=agent.path() ...
//   agent.Await(1) -> {"/a"}                     the paths of calls, sorted
#ifndef CORRAL_TESTS_DIFFERENTIAL_AGENT_CALLS_H_
#define CORRAL_TESTS_DIFFERENTIAL_AGENT_CALLS_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace corral::differential {

// How it was started, by name: "arguments", "environment", ...
using AgentCall = std::map<std::string, std::string>;

class AgentCalls {
 public:
  // The agent lives in `directory`, and reads its own place from `place_file`.
  AgentCalls(std::string directory, const std::string& place_file, const std::string& hierarchy);

  const std::string& path() const { return path_; }

  // Waits for so many calls (10 s), and a moment longer for one too many. Forgets them.
  std::vector<AgentCall> Calls(std::size_t expected);
  // The paths they were called with, sorted, "; " between them; "none".
  std::string Paths(std::size_t expected);

 private:
  std::vector<std::string> Files() const;

  const std::string directory_;
  const std::string path_;
};

}  // namespace corral::differential

#endif  // CORRAL_TESTS_DIFFERENTIAL_AGENT_CALLS_H_
