#include "cli/task_info.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

#include "base/proc.h"
#include "base/process.h"
#include "base/text.h"

namespace corral::cli {
namespace {

constexpr std::size_t kMostRead = 4096;  // more than stat has, and enough of a command

std::string ReadProc(pid_t tid, const char* file) {
  const Fd fd(::open(fmt::format("/proc/{}/{}", tid, file).c_str(), O_RDONLY | O_CLOEXEC));
  char text[kMostRead];
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

// Holds nothing of ours open: who waits for the end of our output must not wait for a reader that
// hangs. Its parent is gone when it ends; nobody has to reap it before.
Fd StartReader() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return Fd();
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return Fd();
  if (child > 0) return ours;
  ours.reset();
  (void)StandardFilesToNull();
  for (pid_t pid; ::recv(theirs.get(), &pid, sizeof pid, 0) == sizeof pid;) {
    const std::string words = ReadProc(pid, "cmdline");
    // No words are one byte: an empty packet would look like the end.
    ::send(theirs.get(), words.data(), words.empty() ? 1 : words.size(), MSG_NOSIGNAL);
  }
  ::_exit(0);
}

}  // namespace

std::string CommandName(pid_t tid) {
  std::string name = ReadProc(tid, "comm");
  if (name.empty()) return "?";
  name.pop_back();  // the newline
  return Printable(name);
}

TaskInfo InfoOfTask(pid_t tid) {
  const auto stat = StatOfTask(static_cast<std::uint32_t>(tid));
  if (!stat) return {};
  static const long ticks_per_second = ::sysconf(_SC_CLK_TCK);
  return {
      .state = std::string(1, stat->state),
      .name = Printable(stat->name),
      .parent = static_cast<pid_t>(stat->parent),
      .age_s = SecondsSinceBoot() - static_cast<std::int64_t>(stat->started) / ticks_per_second};
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
  constexpr int kMostHung = 3;
  const auto known = known_.find(pid);
  if (known != known_.end()) return known->second;
  std::string& line = known_[pid];
  if (hung_ < kMostHung) line = Printable(WithSpaces(Ask(pid)));
  return line;
}

std::string CommandLines::Ask(pid_t pid) {
  constexpr int kPatienceMs = 500;
  if (!reader_) reader_ = StartReader();
  if (::send(reader_.get(), &pid, sizeof pid, MSG_NOSIGNAL) != sizeof pid) return "";
  pollfd ready = {.fd = reader_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) {
    ++hung_;
    reader_.reset();
    return "";
  }
  char words[kMostRead];
  const ssize_t size = ::recv(reader_.get(), words, sizeof words, 0);
  return {words, size > 0 ? static_cast<std::size_t>(size) : 0};
}

}  // namespace corral::cli
