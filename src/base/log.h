// Logging, by who must act: Error = somebody must; Warn = degraded; Info = state changed;
// Debug = the rest. One line each, naming hierarchy, path and task where there is one.
//
// A thin front so that only log.cc pays for the library behind it (spdlog).
#ifndef CORRAL_BASE_LOG_H_
#define CORRAL_BASE_LOG_H_

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace corral::log {

enum class Level { kDebug, kInfo, kWarn, kError };

// Where lines go: a file (created 0600, appended), or standard error when `path` is empty.
void Open(const std::string& path, Level least);
// Opens the file anew, which may have been moved away. Nothing where lines go to standard error.
void Reopen();
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

}  // namespace corral::log

#endif  // CORRAL_BASE_LOG_H_
