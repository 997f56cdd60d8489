#include "daemon/remembered.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <sstream>
#include <string_view>

#include "base/errors.h"
#include "base/fd.h"
#include "base/number.h"
#include "base/own_path.h"

namespace corral {
namespace {

constexpr char kPlugins[] = "/plugins";  // each ends with a NUL, which is in no file's name
constexpr char kMaxAgents[] = "/max-agents";
constexpr std::size_t kMost = 1 << 20;

Result<std::string> ReadIfThere(const std::string& path) {
  const auto file = OpenOwnFile(path, O_RDONLY, 0600);
  if (!file && file.error().code == ENOENT) return std::string();
  if (!file) return Fail(file.error());
  std::string text(kMost, '\0');
  const ssize_t size = ::read(file->get(), text.data(), text.size());
  if (size < 0) return FailErrno("cannot read {}", path);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

Result<void> WriteWhole(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const bool written =
      file && ::fchmod(file.get(), 0600) == 0 &&
      ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::rename(fresh.c_str(), path.c_str()) == 0;
  if (written) return {};
  const int error = errno != 0 ? errno : EIO;
  ::unlink(fresh.c_str());
  return FailErrno(error, "cannot write {}", path);
}

}  // namespace

Result<Remembered> Recall(const std::string& runtime_dir) {
  Remembered what;
  std::istringstream in(TRY(ReadIfThere(runtime_dir + kPlugins)));
  for (std::string file; std::getline(in, file, '\0');) what.plugins.push_back(file);
  const std::uint64_t max_agents = LeadingNumber(TRY(ReadIfThere(runtime_dir + kMaxAgents)));
  if (max_agents != 0) what.max_agents = static_cast<unsigned>(max_agents);
  return what;
}

Result<void> Remember(const std::string& runtime_dir, const Remembered& what) {
  if (!what.plugins.empty()) {
    std::string text;
    for (const std::string& file : what.plugins) text += file + '\0';
    TRY(WriteWhole(runtime_dir + kPlugins, text));
  }
  if (!what.max_agents) return {};
  return WriteWhole(runtime_dir + kMaxAgents, fmt::format("{}\n", *what.max_agents));
}

void Forget(const std::string& runtime_dir) {
  for (const char* name : {kPlugins, kMaxAgents}) ::unlink((runtime_dir + name).c_str());
}

}  // namespace corral
