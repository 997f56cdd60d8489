#include "differential/transcript.h"

#include <fmt/format.h>

#include <sstream>
#include <stdexcept>

namespace corral::differential {

void Transcript::Note(const std::string& step, const std::string& observation) {
  const std::string name = Escaped(step);
  // Where a recording is cut.
  if (name.find(": ") != name.npos) throw std::logic_error("a step's name has ': ' in it: " + name);
  const bool fresh = seen_.emplace(name, Escaped(observation)).second;
  if (!fresh) throw std::logic_error("two steps are named '" + name + "'");
  steps_.push_back(name);
}

std::optional<std::string> Transcript::At(const std::string& step) const {
  const auto at = seen_.find(step);
  if (at == seen_.end()) return std::nullopt;
  return at->second;
}

std::string Transcript::Text() const {
  std::string text;
  for (const std::string& step : steps_) text += step + ": " + seen_.at(step) + "\n";
  return text;
}

Transcript Transcript::Parse(const std::string& text) {
  Transcript transcript;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(": ");
    if (line.empty() || line.front() == '#' || colon == line.npos) continue;
    transcript.steps_.push_back(line.substr(0, colon));
    transcript.seen_[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return transcript;
}

std::vector<Difference> Compare(const Transcript& kernel, const Transcript& corral) {
  constexpr const char* kNothing = "(nothing)";
  std::vector<Difference> differences;
  for (const std::string& step : kernel.steps()) {
    const auto theirs = kernel.At(step), ours = corral.At(step);
    if (theirs != ours) differences.push_back({step, *theirs, ours.value_or(kNothing)});
  }
  for (const std::string& step : corral.steps()) {
    if (!kernel.At(step)) differences.push_back({step, kNothing, *corral.At(step)});
  }
  return differences;
}

std::string Escaped(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\\') {
      text += "\\\\";
    } else if (c >= ' ' && c <= '~') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

}  // namespace corral::differential
