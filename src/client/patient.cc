#include "client/patient.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <filesystem>
#include <functional>

#include "base/errors.h"
#include "base/fd.h"
#include "base/mountinfo.h"
#include "base/text.h"

namespace corral {
namespace {

constexpr int kPatienceMs = 5000;

// Holds nothing of ours open: who waits for the end of our output must not wait for one that hangs.
[[noreturn]] void LookAndTell(int tell, const std::function<std::string()>& look) {
  if (tell != 0) ::dup2(tell, 0);
  ::close_range(1, ~0U, 0);
  const std::string found = look();
  std::string_view rest = found;
  while (!rest.empty()) {
    const ssize_t written = ::write(0, rest.data(), rest.size());
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  ::_exit(0);
}

Error Hangs(const std::string& path) {
  std::error_code ignored;
  const std::string whole = std::filesystem::absolute(path, ignored).lexically_normal();
  const MountedOn mount = MountOf(whole);
  return {ETIMEDOUT,
          fmt::format("{} does not answer for {} s: what is mounted on {} ({}) hangs; "
                      "`corral status` says whether its daemon does, `corral umount --lazy` takes "
                      "the mount away",
                      Printable(path), kPatienceMs / 1000, Printable(mount.point),
                      Printable(mount.type))};
}

// What another process finds: an errno, and bytes. ETIMEDOUT: nothing came.
Result<std::string> FoundByOther(const std::string& path,
                                 const std::function<std::string()>& look) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno("pipe");
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return FailErrno("cannot fork");
  if (child == 0) LookAndTell(writing.get(), look);
  writing.reset();
  std::string found;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd ready = {.fd = reading.get(), .events = POLLIN, .revents = 0};
    const int polled = left.count() > 0 ? ::poll(&ready, 1, static_cast<int>(left.count())) : 0;
    if (polled < 0 && errno == EINTR) continue;
    if (polled <= 0) {  // it may not die; whoever reaps orphans has it
      ::kill(child, SIGKILL);
      return Fail(Hangs(path));
    }
    char piece[4096];
    const ssize_t size = ::read(reading.get(), piece, sizeof piece);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    found.append(piece, static_cast<std::size_t>(size));
  }
  ::waitpid(child, nullptr, 0);
  int error = EIO;
  if (found.size() >= sizeof error) std::memcpy(&error, found.data(), sizeof error);
  if (error != 0) return FailErrno(error, "{}", Printable(path));
  return found.substr(sizeof error);
}

std::string WithErrno(int error, std::string_view bytes) {
  std::string text(sizeof error, '\0');
  std::memcpy(text.data(), &error, sizeof error);
  return text.append(bytes);
}

}  // namespace

Result<struct stat> StatPatiently(const std::string& path) {
  auto found = FoundByOther(path, [&] {
    struct stat st = {};
    const int error = ::stat(path.c_str(), &st) == 0 ? 0 : errno;
    return WithErrno(error, {reinterpret_cast<const char*>(&st), sizeof st});
  });
  if (!found) return Fail(found.error());
  struct stat st;
  std::memcpy(&st, found->data(), sizeof st);
  return st;
}

Result<std::string> RealPathPatiently(const std::string& path) {
  // Behind a slash it would ask what it found whether that is a directory.
  std::string name = path;
  while (name.size() > 1 && name.ends_with('/')) name.pop_back();
  return FoundByOther(path, [&] {
    char resolved[PATH_MAX];
    const bool done = ::realpath(name.c_str(), resolved) != nullptr;
    return WithErrno(done ? 0 : errno, done ? std::string_view(resolved) : std::string_view());
  });
}

// Later ones are on top.
MountedOn MountOf(const std::string& path) {
  MountedOn found;
  for (const MountLine& mount : MountsOf("self")) {
    const std::string& point = mount.point;
    const bool holds =
        point == "/" || path == point || (path.starts_with(point) && path[point.size()] == '/');
    if (holds && point.size() >= found.point.size()) found = {point, mount.type};
  }
  return found;
}

}  // namespace corral
