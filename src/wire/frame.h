// Frames: the messages of the socket protocol (docs/protocol.md), a 4-byte little-endian
// length and that many bytes. One descriptor may travel with a frame. Used by both ends.
//
//   SendFrame(socket, R"({"op":"ping"})");
//   Result<std::optional<Frame>> answer = RecvFrame(socket);   // nullopt: the peer closed
#ifndef CORRAL_WIRE_FRAME_H_
#define CORRAL_WIRE_FRAME_H_

#include <corral/result.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace corral {

inline constexpr std::size_t kMaxFrame = std::size_t{64} << 20;

struct Frame {
  std::string payload;
  Fd fd;  // invalid when none came
};

// Asked each time when nothing came or went for as long as the socket's SO_RCVTIMEO or SO_SNDTIMEO
// says: whether to go on waiting. Without one of those it never is.
using Silence = std::function<Result<void>()>;

// Blocks until all is sent. `fd` stays the caller's. EMSGSIZE: beyond kMaxFrame; EPIPE or
// ECONNRESET: the peer is gone (no signal is raised). The error of `silence`; ETIMEDOUT without it.
Result<void> SendFrame(int socket, std::string_view payload, int fd = -1,
                       const Silence& silence = {});

// Blocks until one whole frame is there. Empty when the peer closed between two frames;
// EPROTO when it did so inside one; EMSGSIZE when it announces more than `limit`. Silence as above.
Result<std::optional<Frame>> RecvFrame(int socket, std::size_t limit = kMaxFrame,
                                       const Silence& silence = {});

}  // namespace corral

#endif  // CORRAL_WIRE_FRAME_H_
