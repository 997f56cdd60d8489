#include "daemon/pid_view.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <string>

#include "base/fd.h"
#include "base/namespaces.h"
#include "base/proc.h"

namespace corral {
namespace {

// linux/nsfs.h. The first is old; kernels since 6.11 translate numbers by themselves.
constexpr unsigned long kGetParent = _IO(0xb7, 0x2);
constexpr unsigned long kPidFromNamespace = _IOR(0xb7, 0x6, int);
constexpr unsigned long kPidInNamespace = _IOR(0xb7, 0x8, int);

std::string NamespaceFile(Tid tid) { return fmt::format("/proc/{}/ns/pid", tid.value); }

class NamespaceView final : public PidView {
 public:
  NamespaceView(Fd fd, NamespaceId identity, std::size_t depth)
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
    const auto numbers = PidsIn(tid.value);
    if (numbers.size() <= depth_) return std::nullopt;
    Fd at(::open(NamespaceFile(tid).c_str(), O_RDONLY | O_CLOEXEC));
    for (std::size_t up = numbers.size() - 1; at && up > depth_; --up) {
      at.reset(::ioctl(at.get(), kGetParent));
    }
    if (!at || NamespaceOf(at.get()) != identity_) return std::nullopt;
    return numbers[depth_];
  }

  const Fd fd_;
  const NamespaceId identity_;
  const std::size_t depth_;  // below our own
};

}  // namespace

std::unique_ptr<PidView> MakePidView(Tid caller) {
  static const auto ours = NamespaceOf("self", "pid");
  const auto theirs = NamespaceOf(std::to_string(caller.value), "pid");
  if (!theirs || theirs == ours) return nullptr;
  Fd fd(::open(NamespaceFile(caller).c_str(), O_RDONLY | O_CLOEXEC));
  const auto identity = fd ? NamespaceOf(fd.get()) : std::nullopt;
  const auto numbers = PidsIn(caller.value);
  if (!identity || numbers.empty()) return nullptr;
  return std::make_unique<NamespaceView>(std::move(fd), *identity, numbers.size() - 1);
}

}  // namespace corral
