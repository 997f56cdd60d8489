// What travels between the daemon and the spawner: one SOCK_SEQPACKET message per job and
// per report. Both ends are one program, forked: plain structs in native byte order.
//
// A job carries any path that execve takes (128 KiB): paths may be far longer than 4095
// bytes (spec 2), and the agent gets all of it.
#ifndef CORRAL_AGENT_WIRE_H_
#define CORRAL_AGENT_WIRE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/agent_starter.h"

namespace corral::wire {

// What execve takes as one argument, its NUL not counted.
inline constexpr std::size_t kMaxArgument = 128 * 1024 - 1;
// One argument, the agent's own path (4095), a user name, the header.
inline constexpr std::size_t kMaxJobSize = 160 * 1024;
// Fits a pipe's atomic write, on its way from the child to the spawner.
inline constexpr std::size_t kMaxReportText = 2048;

struct JobHeader {
  std::uint64_t id;
  std::uint32_t agent_size;
  std::uint32_t path_size;
  std::uint32_t user_size;
  std::uint32_t no_new_privs;
};

enum class ReportKind : std::uint32_t {
  kStarted,     // exec succeeded
  kRefused,     // text says why (spec 10.11)
  kNotStarted,  // text says why
  kExited,      // value: exit status
  kKilled,      // value: signal
};

struct ReportHeader {
  std::uint64_t id;
  ReportKind kind;
  std::int32_t value;
};

inline std::string PackJob(std::uint64_t id, const AgentJob& job) {
  const JobHeader header{id, static_cast<std::uint32_t>(job.agent.size()),
                         static_cast<std::uint32_t>(job.path.size()),
                         static_cast<std::uint32_t>(job.user.size()), job.no_new_privs ? 1u : 0u};
  std::string message(reinterpret_cast<const char*>(&header), sizeof header);
  return message.append(job.agent).append(job.path).append(job.user);
}

// Empty for a message that is not a job. The hierarchy is not sent: only the log needs it.
inline std::optional<AgentJob> UnpackJob(std::string_view message, std::uint64_t& id) {
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

}  // namespace corral::wire

#endif  // CORRAL_AGENT_WIRE_H_
