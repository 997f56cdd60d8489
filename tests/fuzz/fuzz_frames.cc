// What comes in through the socket before anybody looks into it: the bytes of a connection cut
// into frames, and names on their way through JSON (src/wire/frame.h, bytes.h).
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/fd.h"
#include "base/text.h"
#include "wire/bytes.h"
#include "wire/frame.h"

namespace corral {
namespace {

constexpr std::size_t kLimit = 4096;

struct Pair {
  Fd ours, theirs;
  Pair() {
    int fds[2];
    CORRAL_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
  }
};

// What the protocol says of these bytes: whole frames, and how the stream ends.
struct Expected {
  std::vector<std::string> frames;
  int end = 0;  // 0: between two frames; else the errno
};

Expected Cut(std::string_view bytes) {
  Expected expected;
  while (!bytes.empty()) {
    if (bytes.size() < 4) return {expected.frames, EPROTO};
    std::size_t size = 0;
    for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<unsigned char>(bytes[i]);
    if (size > kLimit) return {expected.frames, EMSGSIZE};
    if (bytes.size() - 4 < size) return {expected.frames, EPROTO};
    expected.frames.emplace_back(bytes.substr(4, size));
    bytes.remove_prefix(4 + size);
  }
  return expected;
}

void CheckReceiving(std::string_view bytes) {
  Pair pair;
  CORRAL_CHECK(::write(pair.theirs.get(), bytes.data(), bytes.size()) ==
               static_cast<ssize_t>(bytes.size()));
  pair.theirs.reset();
  const Expected expected = Cut(bytes);
  for (const std::string& payload : expected.frames) {
    const auto frame = RecvFrame(pair.ours.get(), kLimit);
    CORRAL_CHECK(frame && *frame && (*frame)->payload == payload && !(*frame)->fd);
  }
  const auto end = RecvFrame(pair.ours.get(), kLimit);
  if (expected.end == 0) {
    CORRAL_CHECK(end && !*end);
  } else {
    CORRAL_CHECK(!end && end.error().code == expected.end);
  }
}

void CheckSending(std::string_view bytes) {
  Pair pair;
  CORRAL_CHECK(SendFrame(pair.ours.get(), bytes, pair.ours.get()).has_value());
  const auto frame = RecvFrame(pair.theirs.get());
  CORRAL_CHECK(frame && *frame && (*frame)->payload == bytes && (*frame)->fd);
}

// Names are bytes; every one of them survives JSON (spec 5.1).
void CheckNames(std::string_view bytes) {
  const std::string text = ToJsonText(bytes);
  const std::string dumped = nlohmann::json(text).dump();  // throws unless it is UTF-8
  CORRAL_CHECK(FromJsonText(nlohmann::json::parse(dumped).get<std::string>()) == bytes);
  const std::string shown = Printable(bytes);
  CORRAL_CHECK(shown.find('\n') == shown.npos && shown.find('\033') == shown.npos);
}

}  // namespace
}  // namespace corral

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;  // more than a socket takes at once
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  corral::CheckReceiving(bytes);
  corral::CheckSending(bytes);
  corral::CheckNames(bytes);
  return 0;
}
