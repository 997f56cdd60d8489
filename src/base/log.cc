#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <memory>

#include "base/text.h"

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

}  // namespace

void Open(const std::string& path, Level least) {
  spdlog::logger& logger = Logger();
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

// One line whatever names are in it: nobody writes lines of his own into the log.
void Write(Level level, std::string_view line) { Logger().log(ToSpdlog(level), Harmless(line)); }

}  // namespace corral::log
