#include "cli/task_info.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <future>
#include <sstream>
#include <thread>

#include "base/fd.h"
#include "client/bytes.h"

namespace corral::cli {
namespace {

std::string ReadProc(pid_t tid, const char* file) {
  const Fd fd(::open(fmt::format("/proc/{}/{}", tid, file).c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];  // more than stat has, and enough of a command
  const ssize_t size = fd ? ::read(fd.get(), text, sizeof text) : 0;
  return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
}

std::int64_t SecondsSinceBoot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec;
}

std::string WithSpaces(std::string words) {
  while (words.ends_with('\0')) words.pop_back();
  for (char& c : words) {
    if (c == '\0') c = ' ';
  }
  return words;
}

}  // namespace

std::string CommandName(pid_t tid) {
  std::string name = ReadProc(tid, "comm");
  if (name.empty()) return "?";
  name.pop_back();  // the newline
  return Printable(name);
}

// "TID (COMM) STATE PARENT ...": the name may hold anything, the last parenthesis ends it.
TaskInfo InfoOfTask(pid_t tid) {
  constexpr int kBetweenParentAndStart = 17;
  const std::string stat = ReadProc(tid, "stat");
  const std::size_t begin = stat.find('(');
  const std::size_t end = stat.rfind(") ");
  if (begin == std::string::npos || end == std::string::npos || end + 2 >= stat.size()) return {};
  TaskInfo info{.name = Printable(stat.substr(begin + 1, end - begin - 1))};
  std::istringstream rest(stat.substr(end + 2));
  rest >> info.state >> info.parent;
  std::string skipped;
  for (int i = 0; i < kBetweenParentAndStart; ++i) rest >> skipped;
  std::int64_t start = 0;
  if (rest >> start) info.age_s = SecondsSinceBoot() - start / ::sysconf(_SC_CLK_TCK);
  return info;
}

std::string StateWord(const std::string& letter) {
  static const std::map<std::string, std::string> kWords = {
      {"R", "running"}, {"S", "sleeping"},     {"D", "blocked"},
      {"T", "stopped"}, {"t", "being traced"}, {"Z", "zombie"},
      {"X", "dead"},    {"I", "idle"},         {"P", "parked"}};
  const auto word = kWords.find(letter);
  return word == kWords.end() ? "gone" : word->second;
}

std::string WaitsIn(pid_t tid) {
  const std::string where = ReadProc(tid, "wchan");
  return where == "0" ? "" : Printable(where);
}

// Each step looks anew: a parent may end meanwhile, and its number be another's. So it ends.
std::vector<Ancestor> AncestorsOf(pid_t parent) {
  constexpr std::size_t kMost = 256;
  std::vector<Ancestor> ancestors;
  while (parent > 0 && ancestors.size() < kMost) {
    const TaskInfo info = InfoOfTask(parent);
    ancestors.push_back({parent, info.name});
    parent = info.parent;
  }
  return ancestors;
}

const std::string& CommandLines::Of(pid_t pid) {
  constexpr auto kPatience = std::chrono::milliseconds(500);
  constexpr int kMostHung = 3;
  const auto known = known_.find(pid);
  if (known != known_.end()) return known->second;
  std::string& line = known_[pid];
  if (hung_ == kMostHung) return line;
  std::packaged_task<std::string()> read([pid] { return ReadProc(pid, "cmdline"); });
  auto answer = read.get_future();
  std::thread(std::move(read)).detach();  // the program's end takes it along
  if (answer.wait_for(kPatience) != std::future_status::ready) {
    ++hung_;
    return line;
  }
  line = Printable(WithSpaces(answer.get()));
  return line;
}

}  // namespace corral::cli
