// Logging, by who must act: Error = somebody must; Warn = degraded; Info = state changed;
// Debug = the rest. One line each, naming hierarchy, path and task where there is one.
//
// A thin front so that only log.cc pays for the library behind it (spdlog). Any thread may write.
//
//   log::Open("/run/corral/default/corrald.log", log::Level::kInfo);
//   log::Warn("hierarchy '{}': {}", label, error.message);
//
//   static log::Limit limit;                       // what may come over and over
//   log::WarnAtMost(limit, "cannot accept: {}", reason);
#ifndef CORRAL_BASE_LOG_H_
#define CORRAL_BASE_LOG_H_

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/mutex.h"

namespace corral::log {

enum class Level { kDebug, kInfo, kWarn, kError };

// A file that has kMaxFileSize bytes becomes PATH.1, what was that PATH.2, and so on.
inline constexpr std::size_t kMaxFileSize = 10 << 20;
inline constexpr int kKeptFiles = 2;  // beside the one that is written

// Where lines go: a file (0600 whatever the umask, appended), or standard error when `path` is
// empty; in the form of the journal (sd-daemon(3)) where that is what standard error leads to.
// A file that cannot be opened is said on standard error, which is used instead.
void Open(const std::string& path, Level least);
// Opens the file anew under its name: somebody has moved it away (SIGHUP). Without a file, nothing.
void Reopen();
// The file and what it was before go; lines that come later are lost. For the end of an instance.
void Remove();

void Write(Level level, std::string_view line);

template <typename... Args>
void Debug(fmt::format_string<Args...> f, Args&&... args) {
  Write(Level::kDebug, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void Info(fmt::format_string<Args...> f, Args&&... args) {
  Write(Level::kInfo, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void Warn(fmt::format_string<Args...> f, Args&&... args) {
  Write(Level::kWarn, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void Error(fmt::format_string<Args...> f, Args&&... args) {
  Write(Level::kError, fmt::format(f, std::forward<Args>(args)...));
}

// At most so many lines of one kind in a period, which begins with its first line. What is left
// out is counted, and told with the next line that is not. Any thread.
class Limit {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Limit(unsigned lines = 10, std::chrono::seconds period = std::chrono::seconds(60))
      : lines_(lines), period_(period) {}

  // Whether a line may be written; if so, `left_out` is how many were not since the last one.
  bool Allow(std::uint64_t* left_out, Clock::time_point now = Clock::now()) EXCLUDES(limit_mu_);
  // How many were left out in a period that is over, once: for who would have said it with a
  // next line, and none comes.
  std::uint64_t Overdue(Clock::time_point now = Clock::now()) EXCLUDES(limit_mu_);

 private:
  bool OverLocked(Clock::time_point now) const REQUIRES(limit_mu_) {
    return now - began_ >= period_;
  }

  const unsigned lines_;
  const std::chrono::seconds period_;
  Mutex limit_mu_;                                                             // a leaf
  Clock::time_point began_ GUARDED_BY(limit_mu_){Clock::duration::min() / 2};  // long ago
  unsigned written_ GUARDED_BY(limit_mu_) = 0;
  std::uint64_t left_out_ GUARDED_BY(limit_mu_) = 0;
};

// The same as Write(), within the limit.
void WriteAtMost(Limit& limit, Level level, std::string_view line);

template <typename... Args>
void WarnAtMost(Limit& limit, fmt::format_string<Args...> f, Args&&... args) {
  WriteAtMost(limit, Level::kWarn, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void ErrorAtMost(Limit& limit, fmt::format_string<Args...> f, Args&&... args) {
  WriteAtMost(limit, Level::kError, fmt::format(f, std::forward<Args>(args)...));
}

}  // namespace corral::log

#endif  // CORRAL_BASE_LOG_H_
