// What a scenario saw, as lines "step: observation" that say nothing of one machine: no pids,
// no inode numbers, no names of a run. Two subjects that behave alike write the same lines.
//
// Each step of a transcript has a name of its own, so that a difference can be named, and
// listed as known (known_limits.h).
#ifndef CORRAL_TESTS_DIFFERENTIAL_TRANSCRIPT_H_
#define CORRAL_TESTS_DIFFERENTIAL_TRANSCRIPT_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace corral::differential {

class Transcript {
 public:
  // REQUIRES: no step of that name yet. Bytes that are not printable are escaped.
  void Note(const std::string& step, const std::string& observation);

  // What was seen; nothing if the step never came.
  std::optional<std::string> At(const std::string& step) const;
  const std::vector<std::string>& steps() const { return steps_; }  // in the order they came

  std::string Text() const;
  static Transcript Parse(const std::string& text);  // of Text()

 private:
  std::vector<std::string> steps_;
  std::map<std::string, std::string> seen_;
};

struct Difference {
  std::string step;
  std::string kernel;  // "(nothing)" where the step never came
  std::string corral;

  bool operator==(const Difference&) const = default;
};

std::vector<Difference> Compare(const Transcript& kernel, const Transcript& corral);

// Printable ASCII as it is, all else escaped as in C.
std::string Escaped(const std::string& bytes);

}  // namespace corral::differential

#endif  // CORRAL_TESTS_DIFFERENTIAL_TRANSCRIPT_H_
