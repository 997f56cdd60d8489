#include "fuse/mount.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/log.h"
#include "fuse/detached_mount.h"
#include "fuse/fuse_api.h"
#include "fuse/operations.h"

namespace corral {
namespace {

class LibfuseMount final : public FuseMount {
 public:
  LibfuseMount(Tree& tree, CgroupId root) : mounted_{tree, root, {}, {}} {}
  ~LibfuseMount() override;

  Result<void> Start(const FuseMountOptions& options);

  Fd TakeMountFd() override { return std::move(mount_fd_); }
  dev_t device() const override { return device_; }
  CgroupId root() const override { return mounted_.root; }
  bool Ended() const override;
  void NotifyChanged(CgroupId cgroup) override { mounted_.waiters.Wake(cgroup); }

 private:
  Result<void> StartThread();
  void Serve();

  MountedTree mounted_;
  Fd mount_fd_;
  dev_t device_ = 0;
  fuse_session* session_ = nullptr;  // owns the connection's descriptor
  Fd stop_;                          // readable: the thread shall end
  std::thread thread_;
};

Result<void> LibfuseMount::Start(const FuseMountOptions& options) {
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!stop_) return Fail(errno, "eventfd: {}", std::strerror(errno));
  auto made = MakeDetachedMount(options);
  if (!made) return Fail(made.error());

  char name[] = "corrald";
  char* arguments[] = {name, nullptr};
  fuse_args args = FUSE_ARGS_INIT(1, arguments);
  session_ = fuse_session_new(&args, &Operations(), sizeof(Operations()), &mounted_);
  fuse_opt_free_args(&args);
  if (!session_) return Fail(EIO, "libfuse made no session");
  const std::string place = fmt::format("/dev/fd/{}", made->fuse.get());
  if (fuse_session_mount(session_, place.c_str()) != 0) {
    return Fail(EIO, "libfuse did not take the connection");
  }
  made->fuse.release();
  mount_fd_ = std::move(made->mount);
  device_ = made->device;
  return StartThread();
}

// Signals are for the program's own threads.
Result<void> LibfuseMount::StartThread() {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] { Serve(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

// A thread in a plain read of /dev/fuse can be ended only from outside; so it waits for the
// kernel's next request and for stop_ at once.
void LibfuseMount::Serve() {
  fuse_buf request{};
  pollfd waits[] = {{.fd = fuse_session_fd(session_), .events = POLLIN, .revents = 0},
                    {.fd = stop_.get(), .events = POLLIN, .revents = 0}};
  while (!fuse_session_exited(session_)) {
    if (::poll(waits, 2, -1) < 0) continue;  // EINTR
    if (waits[1].revents != 0) break;
    const int received = fuse_session_receive_buf(session_, &request);
    if (received == -EAGAIN || received == -EINTR) continue;
    if (received <= 0) break;  // unmounted everywhere, or aborted
    fuse_session_process_buf(session_, &request);
  }
  std::free(request.mem);
}

// The last close of the connection ends it for all its users, so the thread goes first and
// the mount after it.
LibfuseMount::~LibfuseMount() {
  if (thread_.joinable()) {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  if (session_) fuse_session_destroy(session_);
}

bool LibfuseMount::Ended() const {
  pollfd connection{.fd = fuse_session_fd(session_), .events = 0, .revents = 0};
  return ::poll(&connection, 1, 0) == 1 && (connection.revents & POLLERR) != 0;
}

}  // namespace

Result<std::unique_ptr<FuseMount>> FuseMount::Create(Tree& tree, CgroupId root,
                                                     const FuseMountOptions& options) {
  auto mount = std::make_unique<LibfuseMount>(tree, root);
  if (auto started = mount->Start(options); !started) return Fail(started.error());
  return mount;
}

}  // namespace corral
