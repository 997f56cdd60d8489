// The steps of surroundings.cc's table. Each leaves one thing, and says what it could not leave.
#ifndef CORRAL_DAEMON_SURROUNDING_STEPS_H_
#define CORRAL_DAEMON_SURROUNDING_STEPS_H_

#include <string>
#include <vector>

namespace corral::surroundings {

class Report {
 public:
  void Harmless(std::string text) { left_.push_back({std::move(text), false}); }
  void Harms(std::string text) { left_.push_back({std::move(text), true}); }

  struct Line {
    std::string text;
    bool harms;
  };
  const std::vector<Line>& lines() const { return left_; }

 private:
  std::vector<Line> left_;
};

// What init, which nobody limits, has; 0 where it may not be asked. A path below /proc/1, or below
// /proc/2 (the kernel's own first thread, in the same namespaces), whichever may be looked into.
std::string OfInit(const std::string& path);

// Whether both name one file.
bool SameFile(const std::string& a, const std::string& b);

// surrounding_limits.cc: how much, and when
void Limits(Report& report);
void Priority(Report& report);
void Processors(Report& report);
void OomScore(Report& report);
void Personality(Report& report);
// surrounding_places.cc: where
void Namespaces(Report& report);
void KernelCgroups(Report& report);

}  // namespace corral::surroundings

#endif  // CORRAL_DAEMON_SURROUNDING_STEPS_H_
