// What travels between the daemon, the spawner and its children: one SOCK_SEQPACKET message per
// job and per report, on one socket. All ends are one program: plain structs in native byte order.
//
// A child keeps the socket until it becomes the agent or ends. So the daemon reads the end of the
// socket only when the spawner is gone *and* no child can still become an agent, and every report
// was read before: what was not reported by then never ran (docs/concurrency.md, 11.4).
//
// A job carries any path that execve takes (128 KiB): paths may be far longer than 4095
// bytes (spec 2), and the agent gets all of it.
#ifndef CORRAL_AGENT_WIRE_H_
#define CORRAL_AGENT_WIRE_H_

#include <corral/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/agent_starter.h"
#include "base/fd.h"

namespace corral::wire {

// The socket's number in the spawner and its children.
inline constexpr int kSocket = 3;
// What execve takes as one argument, its NUL not counted.
inline constexpr std::size_t kMaxArgument = 128 * 1024 - 1;
// One argument, the agent's own path (4095), a user name, the header.
inline constexpr std::size_t kMaxJobSize = 160 * 1024;
inline constexpr std::size_t kMaxReportText = 8192;

enum class ReportKind : std::uint32_t {
  kReady,       // from the child: it becomes the agent when told to; value: pid
  kRefused,     // from the child: text says why (spec 10.11)
  kNotStarted,  // from either: text says why; may come after kReady
  kExited,      // from the spawner; value: exit status
  kKilled,      // from the spawner; value: signal
};

struct ReportHeader {
  std::uint64_t id;
  ReportKind kind;
  std::int32_t value;
};

struct Report {
  ReportHeader header;
  std::string text;
  Fd go;       // of kReady: a byte written here has it become the agent. None: no descriptor for it
  Fd process;  // of kReady: the child itself
};

// E2BIG, EINVAL: no agent can be started so.
Result<std::string> PackJob(std::uint64_t id, const AgentJob& job);

// Empty for a message that is not a job. Only what the agent needs is sent.
std::optional<AgentJob> UnpackJob(std::string_view message, std::uint64_t& id);

// May wait for the daemon's reader, which waits for nobody. False: there is no daemon any more.
bool SendReport(int socket, std::uint64_t id, ReportKind kind, int value,
                std::string_view text = {}, int go = -1, int process = -1);

// Empty with errno EAGAIN: none is there now; with another, 0 among them: none will come.
std::optional<Report> ReceiveReport(int socket);

}  // namespace corral::wire

#endif  // CORRAL_AGENT_WIRE_H_
