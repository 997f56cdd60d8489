#include "daemon/pid_view.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/proc.h"

namespace corral {
namespace {

// linux/nsfs.h. The first is old; kernels since 6.11 translate numbers by themselves.
constexpr unsigned long kGetParent = _IO(0xb7, 0x2);
constexpr unsigned long kPidFromNamespace = _IOR(0xb7, 0x6, int);
constexpr unsigned long kPidInNamespace = _IOR(0xb7, 0x8, int);

std::string NamespaceFile(Tid tid) { return fmt::format("/proc/{}/ns/pid", tid.value); }

struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const Identity&) const = default;
};

std::optional<Identity> IdentityOf(int fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino};
}

// A task's number in each pid namespace from ours down to its own.
std::vector<std::uint32_t> NumbersOf(Tid tid) {
  std::ifstream status(fmt::format("/proc/{}/status", tid.value));
  std::vector<std::uint32_t> numbers;
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("NSpid:")) continue;
    std::istringstream words(line.substr(6));
    for (std::uint32_t number; words >> number;) numbers.push_back(number);
    break;
  }
  return numbers;
}

class NamespaceView final : public PidView {
 public:
  NamespaceView(Fd fd, Identity identity, std::size_t depth)
      : fd_(std::move(fd)), identity_(identity), depth_(depth) {}

  std::optional<std::uint32_t> Seen(Tid tid) const override {
    const int seen = ::ioctl(fd_.get(), kPidInNamespace, tid.value);
    if (seen > 0) return static_cast<std::uint32_t>(seen);
    if (errno == ESRCH) return std::nullopt;
    return SeenInProc(tid);
  }

  Result<Tid> HostTid(std::uint32_t seen) const override {
    const int tid = ::ioctl(fd_.get(), kPidFromNamespace, seen);
    if (tid > 0) return Tid{static_cast<std::uint32_t>(tid)};
    std::optional<Tid> found;
    if (errno != ESRCH) {
      ForEachTaskInProc([&](std::uint32_t, std::uint32_t task) {
        if (SeenInProc(Tid{task}) == seen) found = Tid{task};
        return found.has_value();
      });
    }
    if (!found) return Fail(ESRCH, "no task {} in the caller's pid namespace", seen);
    return *found;
  }

 private:
  // The number at our depth, when the namespace there is this one: up from the task's own.
  std::optional<std::uint32_t> SeenInProc(Tid tid) const {
    const auto numbers = NumbersOf(tid);
    if (numbers.size() <= depth_) return std::nullopt;
    Fd at(::open(NamespaceFile(tid).c_str(), O_RDONLY | O_CLOEXEC));
    for (std::size_t up = numbers.size() - 1; at && up > depth_; --up) {
      at.reset(::ioctl(at.get(), kGetParent));
    }
    if (!at || IdentityOf(at.get()) != identity_) return std::nullopt;
    return numbers[depth_];
  }

  const Fd fd_;
  const Identity identity_;
  const std::size_t depth_;  // below our own
};

}  // namespace

std::unique_ptr<PidView> MakePidView(Tid caller) {
  static const Fd ours(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
  static const auto our_identity = IdentityOf(ours.get());
  struct stat theirs;
  const std::string path = NamespaceFile(caller);
  if (::stat(path.c_str(), &theirs) != 0) return nullptr;
  if (our_identity == Identity{theirs.st_dev, theirs.st_ino}) return nullptr;
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto identity = fd ? IdentityOf(fd.get()) : std::nullopt;
  const auto numbers = NumbersOf(caller);
  if (!identity || numbers.empty()) return nullptr;
  return std::make_unique<NamespaceView>(std::move(fd), *identity, numbers.size() - 1);
}

}  // namespace corral
