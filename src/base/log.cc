#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <memory>

namespace corral::log {
namespace {

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarn: return spdlog::level::warn;
    case Level::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

spdlog::logger& Logger() {
  static auto logger = [] {
    auto made = spdlog::stderr_logger_mt("corral");
    made->set_level(spdlog::level::warn);
    return made;
  }();
  return *logger;
}

Level opened_with = Level::kWarn;

}  // namespace

void Reopen() {
  for (const auto& sink : Logger().sinks()) {
    const auto file = std::dynamic_pointer_cast<spdlog::sinks::basic_file_sink_mt>(sink);
    if (file) Open(file->filename(), opened_with);
  }
}

void Open(const std::string& path, Level least) {
  spdlog::logger& logger = Logger();
  opened_with = least;
  if (!path.empty()) {
    const mode_t old = ::umask(0077);
    try {
      logger.sinks() = {std::make_shared<spdlog::sinks::basic_file_sink_mt>(path)};
    } catch (const spdlog::spdlog_ex& e) {
      logger.error("cannot write the log {}: {}", path, e.what());
    }
    ::umask(old);
  }
  logger.set_level(ToSpdlog(least));
  logger.flush_on(spdlog::level::info);
}

void Write(Level level, std::string_view line) { Logger().log(ToSpdlog(level), line); }

}  // namespace corral::log
