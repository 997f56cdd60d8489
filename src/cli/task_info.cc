#include "cli/task_info.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/fd.h"
#include "client/bytes.h"

namespace corral::cli {
namespace {

std::string ReadProc(pid_t tid, const char* file) {
  const Fd fd(::open(fmt::format("/proc/{}/{}", tid, file).c_str(), O_RDONLY | O_CLOEXEC));
  char text[1024];  // more than either file has
  const ssize_t size = fd ? ::read(fd.get(), text, sizeof text) : 0;
  return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
}

}  // namespace

std::string CommandName(pid_t tid) {
  std::string name = ReadProc(tid, "comm");
  if (name.empty()) return "?";
  name.pop_back();  // the newline
  return Printable(name);
}

// "TID (COMM) STATE ...": the name may hold anything, the last parenthesis ends it.
TaskInfo InfoOfTask(pid_t tid) {
  const std::string stat = ReadProc(tid, "stat");
  const std::size_t begin = stat.find('(');
  const std::size_t end = stat.rfind(") ");
  if (begin == std::string::npos || end == std::string::npos || end + 2 >= stat.size()) return {};
  return {.state = stat.substr(end + 2, 1),
          .name = Printable(stat.substr(begin + 1, end - begin - 1))};
}

}  // namespace corral::cli
