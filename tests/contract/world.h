// World: a tracker and the tasks it tracks, real or simulated, behind one face. The contract
// tests are written against it and run on every tracker.
#ifndef CORRAL_TESTS_CONTRACT_WORLD_H_
#define CORRAL_TESTS_CONTRACT_WORLD_H_

#include <corral/tracker.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace corral {

class World {
 public:
  virtual ~World() = default;
  virtual Tracker& tracker() = 0;

  // ---- tasks. Each returns when the task exists, or when its end could be known.
  virtual Tid Start() = 0;  // a process nobody placed
  virtual Tid Fork(Tid by) = 0;
  virtual Tid ForkSibling(Tid by) = 0;  // CLONE_PARENT
  virtual Tid VforkExec(Tid by) = 0;
  virtual Tid Daemonize(Tid by) = 0;
  virtual Tid Thread(Tid by) = 0;
  virtual Tid Exec(Tid by) = 0;  // returns the leader
  virtual void ExitThread(Tid task) = 0;
  virtual void ExitProcess(Tid task) = 0;
  virtual void Kill(Tgid process) = 0;
  // The process has left its css_set and still holds something, for a while.
  virtual void BeginSlowExit(Tid task) = 0;
  virtual bool HasEnded(Tid task) = 0;  // holds nothing any more
  virtual void EndSlowExit(Tid task) = 0;
  // The zombie `child` of `parent` is gone; its tid may be used again.
  virtual void Reap(Tid parent, Tid child) = 0;
  virtual Tid ForkAs(Tid by, Tid wanted) = 0;  // with a tid that is free

  // ---- storms: go on by themselves; End tells how many there were.
  virtual void BeginForkStorm(Tid by, std::chrono::milliseconds time) = 0;
  virtual void BeginThreadStorm(Tid by, std::chrono::milliseconds time) = 0;
  virtual std::uint64_t EndStorm(Tid by) = 0;
  virtual void BeginExecStorm(Tid leader, std::chrono::milliseconds time) = 0;
  virtual std::uint64_t EndExecStorm(Tid leader) = 0;
  // Forks with the tids the exec storm gives up, as early as the machine allows. Begin it first.
  virtual void BeginTakeTidStorm(Tid by, std::chrono::milliseconds time) = 0;
};

// What a World is made with.
struct WorldOptions {
  std::uint32_t sets = 4096;
  std::uint32_t tids = 0;  // of the real machine's table; 0: all there can be
};

std::unique_ptr<World> MakeInprocWorld(WorldOptions options);
// Null with the reason where it cannot run.
std::unique_ptr<World> MakeBpfWorld(WorldOptions options, std::string* reason);

}  // namespace corral

#endif  // CORRAL_TESTS_CONTRACT_WORLD_H_
