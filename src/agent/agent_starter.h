// AgentStarter: starts release agents (spec 10.4), at most so many at once, and counts how they
// ended.
//
// Agents are children of a small separate process, the spawner (spawner.h): it holds no lock and no
// file system of ours. If it dies another one is started, and what the dead one had not started is
// told to that: each job is started once (docs/concurrency.md, 11.4). Jobs are handed over from any
// thread, without waiting; all else is done by a thread of its own, which holds no lock meanwhile.
//
//   auto starter = AgentStarter::Create();
//   starter->Serve({...});                                  // from here on agents start
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

inline constexpr unsigned kDefaultMaxAgents = 32;
// Each holds a descriptor here.
inline constexpr unsigned kMostAgents = 10000;

struct AgentJob {
  std::string agent;               // path of the executable, argv[0]
  std::string path;                // argv[1]: the cgroup, relative to its hierarchy's root
  std::string hierarchy;           // for the log
  std::string user;                // run as this user; empty: root
  bool no_new_privs = true;        // false only in the `linux` dialect (spec 10.11)
  std::uint64_t notification = 0;  // for AgentOwner::settled
};

struct AgentCounts {
  std::uint64_t started = 0;      // exec succeeded
  std::uint64_t refused = 0;      // somebody else could change what runs (spec 10.11)
  std::uint64_t not_started = 0;  // missing, not executable, unknown user, ...
  std::uint64_t succeeded = 0;    // exit status 0
  std::uint64_t failed = 0;       // another exit status or a signal
  std::uint64_t unseen = 0;       // ended when the spawner that would have told how was dead
  std::uint64_t running = 0;      // now, those that are being started among them
  std::uint64_t limit = 0;        // of running
  std::uint64_t spawner_deaths = 0;
};

// Who has the notifications. Called by the starter's thread, which holds no lock then.
struct AgentOwner {
  std::function<void()> place_spawner = [] {};  // before each job: it must be in every root
  std::function<void(const AgentJob&)> settled = [](const AgentJob&) {};  // runs, or never will
  std::function<void()> room = [] {};  // HasRoom() has become true
};

// EPERM: somebody beside root and `user` (empty: root alone) could change what runs, and how;
// ENOENT and others: it cannot be started now. May wait for ever on a file system that hangs.
Result<void> CheckAgentFile(const std::string& agent, const std::string& user);

class AgentStarter {
 public:
  // Starts the spawner, from the file that this process runs: main() must begin with IsSpawner().
  static Result<std::unique_ptr<AgentStarter>> Create(unsigned max_agents = kDefaultMaxAgents);
  // What was handed over is still started, for five seconds at most; what was not by then is not
  // settled. Agents that run go on.
  virtual ~AgentStarter() = default;

  // Once, before Start(). EAGAIN: no thread can be made; EMFILE: no descriptor is left to wake it.
  virtual Result<void> Serve(AgentOwner owner) = 0;

  // Whether one more may run now; if not, `room` is called when it may. Never waits for a lock.
  virtual bool HasRoom() const = 0;
  // Hands the job over. Beyond the limit it waits here. A refusal or a failure to start is logged
  // and counted.
  virtual void Start(AgentJob job) = 0;

  // The spawner, which must be in the root of every hierarchy, as agents are (spec 10.4); 0 while
  // there is none.
  virtual Tid spawner() const = 0;

  virtual AgentCounts counts() const = 0;
  // What somebody should know: no spawner, one that dies again and again, agents that never end
  // while others wait. One sentence; empty: all is well.
  virtual std::string trouble() const = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_AGENT_STARTER_H_
