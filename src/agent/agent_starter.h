// AgentStarter: starts release agents (spec 10.4), reaps them, counts how they ended.
//
// Agents are children of a small separate process, the spawner, forked before the daemon
// has threads, mounts or descriptors: it holds no lock, no file system of ours, and the
// daemon never waits for it. Create() forks it; the daemon calls Start() for each
// notification from one thread.
//
//   auto starter = AgentStarter::Create();                  // single-threaded still
//   starter->Start({.agent = "/usr/local/bin/reaper", .path = "/job1"});
#ifndef CORRAL_AGENT_AGENT_STARTER_H_
#define CORRAL_AGENT_AGENT_STARTER_H_

#include <corral/ids.h>
#include <corral/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace corral {

struct AgentJob {
  std::string agent;      // path of the executable, argv[0]
  std::string path;       // argv[1]: the cgroup, relative to its hierarchy's root
  std::string hierarchy;  // for the log
  std::string user;       // run as this user; empty: root
  bool no_new_privs = true;  // false only in the `linux` dialect (spec 10.11)
};

struct AgentCounts {
  std::uint64_t started = 0;    // exec succeeded
  std::uint64_t refused = 0;    // file or directory writable for others (spec 10.11)
  std::uint64_t not_started = 0;  // missing, not executable, unknown user, ...
  std::uint64_t succeeded = 0;  // exit status 0
  std::uint64_t failed = 0;     // another exit status or a signal
};

// EPERM: the file or its immediate directory is group- or world-writable; ENOENT: no file.
Result<void> CheckAgentFile(const std::string& agent);

class AgentStarter {
 public:
  // Forks the spawner. REQUIRES: the calling process has one thread.
  static Result<std::unique_ptr<AgentStarter>> Create();
  virtual ~AgentStarter() = default;

  // Hands the job over; returns without waiting for the agent's end. A refusal or a failure
  // to start is logged and counted. One thread at a time.
  virtual void Start(const AgentJob& job) = 0;

  // The spawner, which must be in the root of every hierarchy, as agents are (spec 10.4).
  virtual Tid spawner() const = 0;

  virtual AgentCounts counts() const = 0;

  // Empty, or a sentence: no agent can be started now.
  virtual std::string trouble() const { return ""; }
};

}  // namespace corral

#endif  // CORRAL_AGENT_AGENT_STARTER_H_
