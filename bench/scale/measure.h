// Figures of one size, printed as a column: one line for each, name and value.
#ifndef CORRAL_BENCH_SCALE_MEASURE_H_
#define CORRAL_BENCH_SCALE_MEASURE_H_

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace corral {

using Clock = std::chrono::steady_clock;

inline double MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

template <typename Fn>
double TimeOf(Fn&& fn) {
  const auto begin = Clock::now();
  fn();
  return MillisecondsSince(begin);
}

// The median of many short runs or of a few long ones: half a second, three runs at least.
template <typename Fn>
double MedianOf(Fn&& fn) {
  std::vector<double> times;
  const auto begin = Clock::now();
  while (times.size() < 3 || (times.size() < 101 && MillisecondsSince(begin) < 500)) {
    times.push_back(TimeOf(fn));
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

inline void Say(const std::string& name, const std::string& value) {
  std::printf("%s\t%s\n", name.c_str(), value.c_str());
  std::fflush(stdout);
}

inline void SayCount(const std::string& name, double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", value);
  Say(name, text);
}

// Three digits of a time given in milliseconds.
inline void SayTime(const std::string& name, double ms) {
  const bool micro = ms < 1;
  const bool seconds = ms >= 1000;
  const double value = micro ? ms * 1000 : seconds ? ms / 1000 : ms;
  char text[32];
  std::snprintf(text, sizeof text, "%.*f %s",
                value < 10    ? 2
                : value < 100 ? 1
                              : 0,
                value,
                micro     ? "us"
                : seconds ? "s"
                          : "ms");
  Say(name, text);
}

}  // namespace corral

#endif  // CORRAL_BENCH_SCALE_MEASURE_H_
