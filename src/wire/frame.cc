#include "wire/frame.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"

namespace corral {
namespace {

constexpr std::size_t kHeader = 4;
// The payload grows as it arrives: a length alone must not make a server allocate 64 MiB.
constexpr std::size_t kStep = std::size_t{1} << 20;

void Attach(msghdr& message, char* control, std::size_t size, int fd) {
  message.msg_control = control;
  message.msg_controllen = size;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
}

// After a call that failed: whether to try it again.
Result<void> Again(const char* what, const Silence& silence) {
  if (errno == EINTR) return {};
  if (errno != EAGAIN) return FailErrno("cannot {}", what);
  if (!silence) return Fail(ETIMEDOUT, "cannot {}: the peer does not answer", what);
  return silence();
}

Result<void> SendAll(int socket, std::string_view bytes, const Silence& silence) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      TRY(Again("send", silence));
      continue;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

// Keeps the first descriptor that came along, closes any further ones.
void TakeDescriptors(msghdr& message, Fd& fd) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int received;
      std::memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      Fd taken(received);
      if (!fd) fd = std::move(taken);
    }
  }
}

// Reads up to `size` bytes; fewer only at the end of the stream.
Result<std::size_t> ReadAll(int socket, char* to, std::size_t size, Fd& fd,
                            const Silence& silence) {
  std::size_t got = 0;
  while (got < size) {
    alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
    iovec part{to + got, size - got};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (n < 0) {
      TRY(Again("receive", silence));
      continue;
    }
    TakeDescriptors(message, fd);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  return got;
}

}  // namespace

Result<void> SendFrame(int socket, std::string_view payload, int fd, const Silence& silence) {
  if (payload.size() > kMaxFrame) {
    return Fail(EMSGSIZE, "a message of {} bytes is too long", payload.size());
  }
  unsigned char header[kHeader];
  for (std::size_t i = 0; i < kHeader; ++i) {
    header[i] = static_cast<unsigned char>(payload.size() >> (8 * i));
  }
  iovec parts[] = {{header, kHeader}, {const_cast<char*>(payload.data()), payload.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (fd >= 0) Attach(message, control, sizeof control, fd);

  ssize_t sent;
  while ((sent = ::sendmsg(socket, &message, MSG_NOSIGNAL)) < 0) {
    TRY(Again("send", silence));
  }
  // The descriptor went with the first bytes; the rest is plain.
  auto done = static_cast<std::size_t>(sent);
  if (done < kHeader) {
    const std::string_view rest(reinterpret_cast<const char*>(header) + done, kHeader - done);
    TRY(SendAll(socket, rest, silence));
    done = kHeader;
  }
  return SendAll(socket, payload.substr(done - kHeader), silence);
}

Result<std::optional<Frame>> RecvFrame(int socket, std::size_t limit, const Silence& silence) {
  Frame frame;
  unsigned char header[kHeader];
  auto got = ReadAll(socket, reinterpret_cast<char*>(header), kHeader, frame.fd, silence);
  if (!got) return Fail(got.error());
  if (*got == 0) return std::nullopt;
  if (*got < kHeader) return Fail(EPROTO, "the connection ended inside a message");

  std::size_t size = 0;
  for (std::size_t i = 0; i < kHeader; ++i) size |= std::size_t{header[i]} << (8 * i);
  if (size > limit) return Fail(EMSGSIZE, "a message of {} bytes is too long", size);
  while (frame.payload.size() < size) {
    const std::size_t before = frame.payload.size();
    frame.payload.resize(std::min(size, before + kStep));
    const std::size_t wanted = frame.payload.size() - before;
    got = ReadAll(socket, frame.payload.data() + before, wanted, frame.fd, silence);
    if (!got) return Fail(got.error());
    if (*got < wanted) return Fail(EPROTO, "the connection ended inside a message");
  }
  return frame;
}

}  // namespace corral
