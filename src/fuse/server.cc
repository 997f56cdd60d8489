#include "fuse/server.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "base/errors.h"
#include "base/poll.h"
#include "base/thread.h"
#include "fuse/detached_mount.h"

namespace corral {

Result<void> FuseServer::Start(const fuse_lowlevel_ops& operations, void* user_data,
                               const FuseMountOptions& options) {
  if (stop_.fd() < 0) return Fail(EMFILE, "no descriptor is left to end a mount with");
  DetachedMount made = TRY(MakeDetachedMount(options));

  char name[] = "corrald";
  char* arguments[] = {name, nullptr};
  fuse_args args = FUSE_ARGS_INIT(1, arguments);
  session_ = fuse_session_new(&args, &operations, sizeof operations, user_data);
  fuse_opt_free_args(&args);
  if (!session_) return Fail(EIO, "libfuse made no session");
  const std::string place = fmt::format("/dev/fd/{}", made.fuse.get());
  if (fuse_session_mount(session_, place.c_str()) != 0) {
    return Fail(EIO, "libfuse did not take the connection");
  }
  made.fuse.release();
  mount_fd_ = std::move(made.mount);
  device_ = made.device;
  thread_ = TRY(StartThreadWithoutSignals([this] { Serve(); }));
  return {};
}

// A thread in a plain read of /dev/fuse can be ended only from outside; so it waits for the
// kernel's next request and for stop_ at once.
void FuseServer::Serve() {
  fuse_buf request{};
  pollfd waits[] = {{.fd = fuse_session_fd(session_), .events = POLLIN, .revents = 0},
                    {.fd = stop_.fd(), .events = POLLIN, .revents = 0}};
  while (!fuse_session_exited(session_)) {
    if (PollAll(waits, -1) <= 0) continue;
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
FuseServer::~FuseServer() {
  if (thread_.joinable()) {
    stop_.Wake();
    thread_.join();
  }
  if (session_) fuse_session_destroy(session_);
}

bool FuseServer::Ended() const {
  pollfd connection{.fd = fuse_session_fd(session_), .events = 0, .revents = 0};
  return ::poll(&connection, 1, 0) == 1 && (connection.revents & POLLERR) != 0;
}

}  // namespace corral
