#include "agent/wire.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace corral::wire {
namespace {

struct JobHeader {
  std::uint64_t id;
  std::uint32_t agent_size;
  std::uint32_t path_size;
  std::uint32_t user_size;
  std::uint32_t no_new_privs;
};

union Descriptors {
  cmsghdr header;  // for its alignment
  char bytes[CMSG_SPACE(2 * sizeof(int))];
};

}  // namespace

Result<std::string> PackJob(std::uint64_t id, const AgentJob& job) {
  if (job.path.size() > kMaxArgument) {
    return Fail(E2BIG, "the path has {} bytes, an argument at most {}", job.path.size(),
                kMaxArgument);
  }
  for (const std::string* text : {&job.agent, &job.path, &job.user}) {
    if (text->find('\0') != std::string::npos) return Fail(EINVAL, "a name contains a NUL byte");
  }
  const JobHeader header{id, static_cast<std::uint32_t>(job.agent.size()),
                         static_cast<std::uint32_t>(job.path.size()),
                         static_cast<std::uint32_t>(job.user.size()), job.no_new_privs ? 1u : 0u};
  std::string message(reinterpret_cast<const char*>(&header), sizeof header);
  message.append(job.agent).append(job.path).append(job.user);
  if (message.size() > kMaxJobSize) {
    return Fail(E2BIG, "names of {} bytes are too long", message.size());
  }
  return message;
}

std::optional<AgentJob> UnpackJob(std::string_view message, std::uint64_t& id) {
  JobHeader header;
  if (message.size() < sizeof header) return std::nullopt;
  message.copy(reinterpret_cast<char*>(&header), sizeof header);
  message.remove_prefix(sizeof header);
  if (message.size() != std::size_t{header.agent_size} + header.path_size + header.user_size) {
    return std::nullopt;
  }
  id = header.id;
  AgentJob job;
  job.agent = message.substr(0, header.agent_size);
  job.path = message.substr(header.agent_size, header.path_size);
  job.user = message.substr(std::size_t{header.agent_size} + header.path_size);
  job.no_new_privs = header.no_new_privs != 0;
  return job;
}

bool SendReport(int socket, std::uint64_t id, ReportKind kind, int value, std::string_view text,
                int go, int process) {
  ReportHeader header{id, kind, value};
  iovec parts[] = {{&header, sizeof header},
                   {const_cast<char*>(text.data()), std::min(text.size(), kMaxReportText)}};
  Descriptors passed{};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (go >= 0) {
    const int both[] = {go, process};
    const std::size_t size = process >= 0 ? sizeof both : sizeof go;
    message.msg_control = passed.bytes;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(rights), both, size);
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

std::optional<Report> ReceiveReport(int socket) {
  Report report;
  report.text.resize(kMaxReportText);
  iovec parts[] = {{&report.header, sizeof report.header},
                   {report.text.data(), report.text.size()}};
  Descriptors passed{};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  message.msg_control = passed.bytes;
  message.msg_controllen = sizeof passed.bytes;
  ssize_t size;
  do {
    errno = 0;
    size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    // ECONNRESET comes once when the spawner dies with jobs unread; its reports still follow.
  } while (size < 0 && (errno == EINTR || errno == ECONNRESET));
  if (size < static_cast<ssize_t>(sizeof report.header)) return std::nullopt;
  report.text.resize(static_cast<std::size_t>(size) - sizeof report.header);
  if (const cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    int both[] = {-1, -1};
    std::memcpy(both, CMSG_DATA(rights), std::min(sizeof both, rights->cmsg_len - CMSG_LEN(0)));
    report.go.reset(both[0]);
    report.process.reset(both[1]);
  }
  return report;
}

}  // namespace corral::wire
