#include "base/log.h"

#include <fcntl.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

#include "base/fd.h"

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

// Whether standard error is the journal's (systemd.exec(5)): it is said by device and inode, as
// whoever was started by a service may have the variable and another standard error.
bool IsJournal() {
  const char* said = std::getenv("JOURNAL_STREAM");
  unsigned long long device = 0, inode = 0;
  struct stat st;
  return said != nullptr && std::sscanf(said, "%llu:%llu", &device, &inode) == 2 &&
         ::fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

// syslog(3)'s numbers.
int JournalPriority(spdlog::level::level_enum level) {
  if (level >= spdlog::level::err) return 3;
  if (level == spdlog::level::warn) return 4;
  return level == spdlog::level::info ? 6 : 7;
}

// One sink for the life of the process, so that where lines go can change while threads write.
// Not spdlog's rotating file: it closes the file before it opens the next, and writes through a
// null pointer when that fails (no descriptors, a full file system). Here the old one stays.
class Output final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // 0, or the errno.
  int Open(const std::string& path) {
    const std::lock_guard lock(mutex_);
    path_ = path;
    file_.reset();
    journal_ = path.empty() && IsJournal();
    return path.empty() ? 0 : OpenLocked();
  }
  int Reopen() {
    const std::lock_guard lock(mutex_);
    return path_.empty() ? 0 : OpenLocked();
  }
  void Remove() {
    const std::lock_guard lock(mutex_);
    if (path_.empty()) return;
    for (int i = 0; i <= kKeptFiles; ++i) ::unlink(NameLocked(i).c_str());
  }

 private:
  std::string NameLocked(int i) const { return i == 0 ? path_ : fmt::format("{}.{}", path_, i); }

  int OpenLocked() {
    Fd opened(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    struct stat st;
    if (!opened || ::fchmod(opened.get(), 0600) != 0 || ::fstat(opened.get(), &st) != 0) {
      return errno;
    }
    file_ = std::move(opened);
    size_ = static_cast<std::size_t>(st.st_size);
    return 0;
  }

  void RotateLocked() {
    for (int i = kKeptFiles; i > 0; --i) ::rename(NameLocked(i - 1).c_str(), NameLocked(i).c_str());
    if (OpenLocked() != 0)
      size_ = 0;  // goes on in the old one, and tries again when it has doubled
  }

  void sink_it_(const spdlog::details::log_msg& msg) override {
    spdlog::memory_buf_t line;
    if (journal_) {
      fmt::format_to(std::back_inserter(line), "<{}>{}\n", JournalPriority(msg.level),
                     std::string_view(msg.payload.data(), msg.payload.size()));
    } else {
      formatter_->format(msg, line);
    }
    if (file_ && size_ != 0 && size_ + line.size() > kMaxFileSize) RotateLocked();
    const int fd = file_ ? file_.get() : STDERR_FILENO;
    const ssize_t written = ::write(fd, line.data(), line.size());  // whole: nothing is buffered
    if (written > 0) size_ += static_cast<std::size_t>(written);
  }
  void flush_() override {}

  std::string path_;  // empty: standard error
  Fd file_;
  std::size_t size_ = 0;
  bool journal_ = false;
};

const std::shared_ptr<Output>& Out() {
  static const auto output = std::make_shared<Output>();
  return output;
}

spdlog::logger& Logger() {
  static const auto logger = [] {
    auto made = std::make_shared<spdlog::logger>("corral", Out());
    made->set_level(spdlog::level::warn);
    return made;
  }();
  return *logger;
}

std::string WithLeftOut(std::string_view line, std::uint64_t left_out) {
  if (left_out == 0) return std::string(line);
  return fmt::format("{} ({} more like it since the last were not logged)", line, left_out);
}

}  // namespace

void Open(const std::string& path, Level least) {
  Logger().set_level(ToSpdlog(least));
  if (const int error = Out()->Open(path); error != 0) {
    Logger().error("cannot write the log {}: {}", path, std::strerror(error));
  }
}

void Reopen() {
  if (const int error = Out()->Reopen(); error != 0) {
    Logger().error("cannot open the log anew, the old file is written on: {}",
                   std::strerror(error));
  }
}

void Remove() { Out()->Remove(); }

// One line whatever names are in it: nobody writes lines of his own into the log.
void Write(Level level, std::string_view line) { Logger().log(ToSpdlog(level), Harmless(line)); }

bool Limit::Allow(std::uint64_t* left_out, Clock::time_point now) {
  MutexLock lock(limit_mu_);
  if (OverLocked(now)) {
    began_ = now;
    written_ = 0;
  }
  if (written_ >= lines_) {
    ++left_out_;
    return false;
  }
  ++written_;
  *left_out = std::exchange(left_out_, 0);
  return true;
}

std::uint64_t Limit::Overdue(Clock::time_point now) {
  MutexLock lock(limit_mu_);
  return OverLocked(now) ? std::exchange(left_out_, 0) : 0;
}

void WriteAtMost(Limit& limit, Level level, std::string_view line) {
  std::uint64_t left_out = 0;
  if (limit.Allow(&left_out)) Write(level, WithLeftOut(line, left_out));
}

}  // namespace corral::log
