// FuseServer: the thread that answers the kernel for one mount.
#ifndef CORRAL_FUSE_SERVER_H_
#define CORRAL_FUSE_SERVER_H_

#include <corral/result.h>
#include <sys/types.h>

#include <thread>

#include "base/event_fd.h"
#include "base/fd.h"
#include "fuse/fuse_api.h"
#include "fuse/mount.h"

namespace corral {

class FuseServer {
 public:
  FuseServer() = default;
  // Ends the connection (users get ENOTCONN) and joins the thread.
  ~FuseServer();
  FuseServer(const FuseServer&) = delete;
  FuseServer& operator=(const FuseServer&) = delete;

  // Makes the mount and serves it with these operations; `user_data` must outlive us. Errors: the
  // errno of the kernel call that refused, named in the sentence.
  Result<void> Start(const fuse_lowlevel_ops& operations, void* user_data,
                     const FuseMountOptions& options);

  Fd TakeMountFd() { return std::move(mount_fd_); }
  dev_t device() const { return device_; }
  bool Ended() const;

 private:
  void Serve();

  Fd mount_fd_;
  dev_t device_ = 0;
  fuse_session* session_ = nullptr;  // owns the connection's descriptor
  EventFd stop_;                     // woken: the thread shall end
  std::thread thread_;
};

}  // namespace corral

#endif  // CORRAL_FUSE_SERVER_H_
