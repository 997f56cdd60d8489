// EventFd: wakes a thread that waits in poll(2). It is moved before anybody waits or wakes.
//
//   EventFd wake;                       // fd() is -1 if no descriptor was left
//   poll({.fd = wake.fd(), .events = POLLIN}) ...  // until another thread calls wake.Wake()
//   wake.Reset();
#ifndef CORRAL_BASE_EVENT_FD_H_
#define CORRAL_BASE_EVENT_FD_H_

#include <sys/eventfd.h>

#include "base/fd.h"
#include "base/wakeable.h"

namespace corral {

class EventFd final : public Wakeable {
 public:
  EventFd() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  int fd() const { return fd_.get(); }  // readable from a Wake() to the next Reset()
  void Wake() override { (void)::eventfd_write(fd_.get(), 1); }
  void Reset() {
    eventfd_t wakes;
    (void)::eventfd_read(fd_.get(), &wakes);
  }

 private:
  Fd fd_;
};

}  // namespace corral

#endif  // CORRAL_BASE_EVENT_FD_H_
