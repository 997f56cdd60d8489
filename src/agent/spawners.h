// Spawners: the agent spawner of the moment, started anew when it dies, and those that have died
// and whose socket has not ended: their children may still become agents.
//
// One that dies soon after it began is replaced ever more slowly.
//
//   spawners.KeepOne();
//   if (spawners.Current()) spawners.Send(message);
//
// Owned by AgentStarter, whose thread calls all but what is marked. One lock, a leaf, for what
// others read.
#ifndef CORRAL_AGENT_SPAWNERS_H_
#define CORRAL_AGENT_SPAWNERS_H_

#include <corral/result.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>

#include "agent/spawner.h"
#include "base/fd.h"
#include "base/mutex.h"

namespace corral {

class Spawners {
 public:
  using Clock = std::chrono::steady_clock;
  struct One {
    std::uint64_t number;
    SpawnerProcess process;
    bool dead = false;
    Clock::time_point began;
  };

  // `program`: what StartSpawner() starts.
  Spawners(Fd program, SpawnerProcess first);
  ~Spawners();  // ends the one that lives

  // ---- any thread
  pid_t pid() const EXCLUDES(spawner_mu_);  // 0: there is none
  std::uint64_t deaths() const EXCLUDES(spawner_mu_);
  // There is none, or they die again and again. One sentence; empty: all is well.
  std::string trouble() const EXCLUDES(spawner_mu_);

  // ---- the starter's thread
  std::list<One>& all() { return all_; }
  One* Current();  // null: there is none, or its socket has ended
  // Starts one if there is none and it is time. When that will be, if there is none: next_try().
  void KeepOne() EXCLUDES(spawner_mu_);
  Clock::time_point next_try() const EXCLUDES(spawner_mu_);
  // To the current one. False: its socket is full, or it is gone, which the next look will show.
  // EMSGSIZE.
  Result<bool> Send(const std::string& message);
  bool socket_full() const { return socket_full_; }

  // Its wait status, if it has died.
  static std::optional<int> Reap(One& spawner);
  // That it has, for the log and for the next one.
  void NoteDeath(const One& spawner, int status) EXCLUDES(spawner_mu_);
  void NoteDeathAtTheEnd() EXCLUDES(spawner_mu_);  // none comes after it
  // Those of which nothing comes any more.
  void DropFinished();

 private:
  const Fd program_;

  // The starter's thread only.
  std::list<One> all_;
  bool socket_full_ = false;

  mutable Mutex spawner_mu_;
  pid_t pid_ GUARDED_BY(spawner_mu_) = 0;
  std::uint64_t deaths_ GUARDED_BY(spawner_mu_) = 0;
  unsigned in_a_row_ GUARDED_BY(spawner_mu_) = 0;  // deaths without a good life between
  Clock::time_point last_death_ GUARDED_BY(spawner_mu_);
  std::string no_spawner_ GUARDED_BY(spawner_mu_);  // why the last try failed
  Clock::time_point next_try_ GUARDED_BY(spawner_mu_) = Clock::time_point::min();
};

}  // namespace corral

#endif  // CORRAL_AGENT_SPAWNERS_H_
