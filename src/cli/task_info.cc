#include "cli/task_info.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "client/bytes.h"

namespace corral::cli {
namespace {

std::string ReadProc(pid_t tid, const char* file) {
  std::ifstream in(fmt::format("/proc/{}/{}", tid, file), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::string CommandName(pid_t tid) {
  std::string name = ReadProc(tid, "comm");
  if (name.empty()) return "?";
  name.pop_back();  // the newline
  return Printable(name);
}

std::string TaskState(pid_t tid) {
  // "TID (COMM) STATE ...": the name may hold anything, the last parenthesis ends it.
  const std::string stat = ReadProc(tid, "stat");
  const std::size_t end = stat.rfind(") ");
  return end == std::string::npos || end + 2 >= stat.size() ? "?" : stat.substr(end + 2, 1);
}

}  // namespace corral::cli
