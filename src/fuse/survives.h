// Survives<Fn>: Fn as libfuse may call it. An exception must not reach libfuse, which is C, nor end
// the daemon: who asked gets its errno (ENOMEM, EAGAIN, ...), and the next request is served.
//
//   operations.lookup = Survives<Lookup>;
//
// REQUIRES: a reply is the last thing of Fn that can fail; a request is answered once.
#ifndef CORRAL_FUSE_SURVIVES_H_
#define CORRAL_FUSE_SURVIVES_H_

#include "base/thread.h"
#include "fuse/fuse_api.h"

namespace corral {

template <auto Fn>
struct Surviving;

template <typename... Arguments, void (*Fn)(fuse_req_t, Arguments...)>
struct Surviving<Fn> {
  static void Call(fuse_req_t req, Arguments... arguments) {
    try {
      Fn(req, arguments...);
    } catch (...) {
      fuse_reply_err(req, CaughtErrno());
    }
  }
};

template <auto Fn>
constexpr auto Survives = &Surviving<Fn>::Call;

}  // namespace corral

#endif  // CORRAL_FUSE_SURVIVES_H_
