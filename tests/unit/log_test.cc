// The log: its file's mode and size, its end, the journal's form, and what comes over and over.
#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace corral {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class Log : public ::testing::Test {
 protected:
  Log() {
    char name[] = "/tmp/corral-log-XXXXXX";
    dir_ = ::mkdtemp(name);
    path_ = dir_ + "/corrald.log";
  }
  ~Log() override {
    log::Open("", log::Level::kWarn);
    fs::remove_all(dir_);
  }
  static std::string Text(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat st {};
    ::stat(path.c_str(), &st);
    return st.st_mode & 07777;
  }

  std::string dir_;
  std::string path_;
};

TEST_F(Log, IsForItsOwnerAloneWhateverTheUmask) {
  for (const mode_t mask : {0000, 0077, 0777}) {
    const mode_t old = ::umask(mask);
    log::Open(path_, log::Level::kInfo);
    log::Info("hello");
    ::umask(old);
    EXPECT_EQ(ModeOf(path_), 0600u) << mask;
    EXPECT_THAT(Text(path_), HasSubstr("hello"));
    fs::remove(path_);
  }
}

TEST_F(Log, IsNotWrittenThroughALink) {
  fs::create_symlink(dir_ + "/other", path_);
  log::Open(path_, log::Level::kInfo);
  EXPECT_FALSE(fs::exists(dir_ + "/other"));
}

TEST_F(Log, IsOpenedAnewUnderItsName) {
  log::Open(path_, log::Level::kInfo);
  log::Info("before");
  fs::rename(path_, dir_ + "/moved");
  log::Info("between");
  log::Reopen();
  log::Info("after");
  EXPECT_THAT(Text(dir_ + "/moved"), HasSubstr("between"));
  EXPECT_THAT(Text(path_), HasSubstr("after"));
  EXPECT_THAT(Text(path_), Not(HasSubstr("between")));
}

// spdlog's own rotating file would write through a null pointer then.
TEST_F(Log, GoesOnInTheOldFileWhereNoneCanBeOpened) {
  log::Open(path_, log::Level::kInfo);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  log::Reopen();
  log::Info("still here");
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(Text(path_), HasSubstr("still here"));
}

TEST_F(Log, IsBoundedWhateverIsWrittenAndAllOfItGoesAtTheEnd) {
  log::Open(path_, log::Level::kInfo);
  const std::string line(1 << 16, 'x');
  const std::size_t lines = 5 * log::kMaxFileSize / line.size();
  for (std::size_t i = 0; i < lines; ++i) log::Info("{}", line);
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(dir_)) {
    ++files;
    EXPECT_LE(entry.file_size(), log::kMaxFileSize) << entry.path();
    EXPECT_GT(entry.file_size(), 0u) << entry.path();
    EXPECT_EQ(ModeOf(entry.path()), 0600u) << entry.path();
  }
  EXPECT_EQ(files, log::kKeptFiles + 1u);
  log::Remove();
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(Log, MayBeOpenedAnewWhileOthersWrite) {
  log::Open(path_, log::Level::kInfo);
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([] {
      for (int n = 0; n < 2000; ++n) log::Info("line {}", n);
    });
  }
  for (int i = 0; i < 200; ++i) log::Reopen();
  for (std::thread& writer : writers) writer.join();
  const std::string text = Text(path_);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 8000);
}

// In a process of its own: standard error is changed.
TEST_F(Log, HasTheJournalsFormWhereStandardErrorIsTheJournal) {
  const pid_t child = ::fork();
  if (child == 0) {
    const Fd file(::open(path_.c_str(), O_CREAT | O_RDWR, 0600));
    ::dup2(file.get(), STDERR_FILENO);
    struct stat st {};
    ::fstat(STDERR_FILENO, &st);
    ::setenv("JOURNAL_STREAM", fmt::format("{}:{}", st.st_dev, st.st_ino).c_str(), 1);
    log::Open("", log::Level::kDebug);
    log::Error("e");
    log::Warn("w");
    log::Info("i");
    log::Debug("d");
    ::setenv("JOURNAL_STREAM", "1:1", 1);  // somebody else's
    log::Open("", log::Level::kDebug);
    log::Error("plain");
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_THAT(Text(path_), ::testing::StartsWith("<3>e\n<4>w\n<6>i\n<7>d\n["));
}

TEST(Limit, LetsSoManyThroughInAPeriodAndTellsOfTheRest) {
  log::Limit limit(2, std::chrono::seconds(60));
  const auto start = log::Limit::Clock::now();
  std::uint64_t left_out = 99;
  EXPECT_TRUE(limit.Allow(&left_out, start));
  EXPECT_EQ(left_out, 0u);
  EXPECT_TRUE(limit.Allow(&left_out, start));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limit.Allow(&left_out, start));
  EXPECT_EQ(limit.Overdue(start), 0u);  // the period is not over: a next line may tell
  EXPECT_TRUE(limit.Allow(&left_out, start + std::chrono::seconds(60)));
  EXPECT_EQ(left_out, 5u);
}

TEST(Limit, TellsOnceWhatWasLeftOutWhereNothingFollows) {
  log::Limit limit(1, std::chrono::seconds(60));
  const auto start = log::Limit::Clock::now();
  std::uint64_t left_out = 0;
  EXPECT_TRUE(limit.Allow(&left_out, start));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limit.Allow(&left_out, start));
  EXPECT_EQ(limit.Overdue(start + std::chrono::seconds(61)), 3u);
  EXPECT_EQ(limit.Overdue(start + std::chrono::seconds(61)), 0u);
}

TEST_F(Log, SaysHowManyLinesItLeftOut) {
  log::Open(path_, log::Level::kInfo);
  log::Limit limit(1, std::chrono::seconds(0));
  log::WarnAtMost(limit, "one");
  EXPECT_THAT(Text(path_), HasSubstr("one"));
  log::Limit strict(1, std::chrono::hours(1));
  for (int i = 0; i < 100; ++i) log::WarnAtMost(strict, "many");
  const std::string text = Text(path_);
  EXPECT_EQ(text.find("many"), text.rfind("many"));
}

}  // namespace
}  // namespace corral
