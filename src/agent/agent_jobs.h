// AgentJobs: the release agents that were handed over and have not ended, and a count of how the
// others did.
//
// A job waits, is sent to a spawner, becomes the agent (execs), and ends. If its spawner dies while
// the agent runs it is an orphan: nobody tells any more how it ends, only that. If the spawner dies
// before that, the job waits again: each is started once (docs/concurrency.md, 11.4).
//
//   jobs.Add({.agent = "/usr/local/bin/reaper", .path = "/job1"});  // any thread
//   while (auto next = jobs.TakeNext(spawner)) ...                  // the starter's thread
//
// Owned by AgentStarter. One lock, a leaf: nobody is called with it held.
#ifndef CORRAL_AGENT_AGENT_JOBS_H_
#define CORRAL_AGENT_AGENT_JOBS_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/agent_starter.h"
#include "agent/wire.h"
#include "base/fd.h"
#include "base/mutex.h"

namespace corral {

class AgentJobs {
 public:
  explicit AgentJobs(unsigned limit) : limit_(limit) {}

  // ---- any thread
  void Add(AgentJob job) EXCLUDES(jobs_mu_);
  // Whether one more may run now; after a no TakeRoom() is true once when it may. No lock.
  bool HasRoom() const;
  // All but the deaths of spawners.
  AgentCounts counts() const EXCLUDES(jobs_mu_);
  // A job that was sent long ago and is not an agent yet, or agents that never end while others
  // wait. One sentence, with `spawner` as a pid; empty: all is well.
  std::string trouble(pid_t spawner) const EXCLUDES(jobs_mu_);
  // From here on orphans are let be.
  void End() EXCLUDES(jobs_mu_);
  bool ending() const EXCLUDES(jobs_mu_);

  // ---- the starter's thread
  struct Next {
    std::uint64_t id;
    AgentJob job;
  };
  // The oldest that waits, if it may run now: it counts as sent to this spawner.
  std::optional<Next> TakeNext(std::uint64_t spawner) EXCLUDES(jobs_mu_);
  void PutBack(std::uint64_t id) EXCLUDES(jobs_mu_);  // it was not sent

  // It becomes the agent; nothing: nobody knows it any more. Undone by NotLetGo().
  std::optional<AgentJob> LetGo(std::uint64_t id, Fd process) EXCLUDES(jobs_mu_);
  void NotLetGo(std::uint64_t id) EXCLUDES(jobs_mu_);
  // It cannot be let go now: its child ends, and then it waits again.
  void NotHeard(std::uint64_t id) EXCLUDES(jobs_mu_);

  struct Ended {
    AgentJob job;
    bool settles;  // it will never run
  };
  // What a report of an end means; it is corrected where the child ended too early. Nothing: the
  // job waits again, or nobody knows it any more.
  std::optional<Ended> TakeEnded(wire::Report& report) EXCLUDES(jobs_mu_);

  // This spawner is dead: its agents are orphans. Returned are those of which nothing will be seen.
  std::vector<AgentJob> Orphan(std::uint64_t spawner) EXCLUDES(jobs_mu_);
  // All of its reports were read, and no child of it can become an agent any more: what it was
  // given and did not report waits again.
  void TellAgain(std::uint64_t spawner) EXCLUDES(jobs_mu_);
  // Each with its process, readable once that has ended.
  std::vector<std::pair<std::uint64_t, int>> Orphans() const EXCLUDES(jobs_mu_);
  std::optional<AgentJob> TakeOrphan(std::uint64_t id) EXCLUDES(jobs_mu_);

  bool empty() const EXCLUDES(jobs_mu_);
  bool AnyWaits() const EXCLUDES(jobs_mu_);
  bool IsStuck() const EXCLUDES(jobs_mu_);
  bool full() const { return full_; }
  bool TakeRoom() EXCLUDES(jobs_mu_);

 private:
  using Clock = std::chrono::steady_clock;
  enum class State { kWaits, kSent, kExecs, kOrphan };
  struct Known {
    AgentJob job;
    State state = State::kWaits;
    std::uint64_t spawner = 0;  // whom it was sent to
    Clock::time_point sent;     // when
    bool not_heard = false;     // it could not be let go
    Fd process;                 // once it execs
  };

  Known* FindLocked(std::uint64_t id) REQUIRES(jobs_mu_);
  void CountEndLocked(const Known& known, wire::Report& report) REQUIRES(jobs_mu_);
  bool IsStuckLocked() const REQUIRES(jobs_mu_);

  const unsigned limit_;
  std::atomic<bool> full_ = false;
  mutable std::atomic<bool> wanted_ = false;  // somebody was told that there is no room

  mutable Mutex jobs_mu_;
  std::map<std::uint64_t, Known> jobs_ GUARDED_BY(jobs_mu_);  // by id, so the oldest first
  std::uint64_t last_id_ GUARDED_BY(jobs_mu_) = 0;
  AgentCounts counts_ GUARDED_BY(jobs_mu_);
  Clock::time_point still_since_ GUARDED_BY(jobs_mu_) = Clock::now();  // no end, or not full
  bool ending_ GUARDED_BY(jobs_mu_) = false;
};

}  // namespace corral

#endif  // CORRAL_AGENT_AGENT_JOBS_H_
