// Matchers for Result<T>: IsOk(), IsOkAndHolds(value), FailsWith(ESRCH).
#ifndef CORRAL_TESTS_SUPPORT_MATCHERS_H_
#define CORRAL_TESTS_SUPPORT_MATCHERS_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <corral/tracker.h>
#include <gmock/gmock.h>

#include <cstring>
#include <ostream>

namespace corral {

template <typename Tag, typename Rep>
void PrintTo(const StrongId<Tag, Rep>& id, std::ostream* out) {
  *out << "#" << id.value;
}

inline void PrintTo(const SetCount& count, std::ostream* out) {
  *out << "count " << count.count << ", leaves " << count.leaves;
}

inline void PrintTo(const Place& place, std::ostream* out) {
  *out << "process " << place.tgid.value << " in css_set " << place.set.value;
}

MATCHER(IsOk, "succeeds") {
  if (arg) return true;
  *result_listener << "fails with " << std::strerror(arg.error().code) << ": "
                   << arg.error().message;
  return false;
}

MATCHER_P(FailsWith, code, std::string("fails with ") + std::strerror(code)) {
  if (arg) {
    *result_listener << "succeeds";
    return false;
  }
  *result_listener << "fails with " << std::strerror(arg.error().code) << ": "
                   << arg.error().message;
  return arg.error().code == code;
}

MATCHER_P(IsOkAndHolds, expected, "succeeds with the value") {
  if (!arg) {
    *result_listener << "fails with " << std::strerror(arg.error().code) << ": "
                     << arg.error().message;
    return false;
  }
  return ::testing::ExplainMatchResult(expected, *arg, result_listener);
}

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_MATCHERS_H_
