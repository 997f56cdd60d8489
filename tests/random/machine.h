// Machine: the real side of a step. A corral instance of its own, real mounts, real tasks
// (puppets), plain system calls; and what can be seen of it, in the words of the model.
//
// Everything it made is gone when it goes: tasks, mounts, the daemon. One at a time.
#ifndef CORRAL_TESTS_RANDOM_MACHINE_H_
#define CORRAL_TESTS_RANDOM_MACHINE_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "client/client.h"
#include "random/model.h"
#include "random/step.h"
#include "support/puppets.h"

namespace corral::random {

class Machine {
 public:
  Machine();  // starts the daemon
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // What the model must know of it.
  std::map<std::string, std::string> agents() const;
  static std::size_t cpus();

  struct Done {
    int error = 0;
    std::string text;  // what was read
    int tid = 0;       // of what was made, or of what an exec left
    int tgid = 0;
  };
  // `names`: the model as it is before the step, for the numbers of tasks.
  Done Perform(const Step& step, const Model& names);
  // Waits until the process is over; false: it is not, after a long time.
  bool AwaitEnd(int process);

  struct Seen {
    Model::Facts now, later;
    std::map<std::string, ino_t> inodes;  // by path
  };
  Seen Observe(const std::string& mount, const Model& names);
  // Agents that were started since the last call.
  std::vector<Call> TakeCalls();
  // What the daemon's own audit complains of.
  std::string Audit();

  // As good as new, in much less time than a new one takes: no tasks, no mounts, no groups.
  // False: it is not, because a hierarchy that never ends was used, or something resists.
  bool Wipe();

 private:
  using Names = std::map<int, std::string>;
  std::string Under(const std::string& mount, const std::string& path) const;
  Done PerformOnTasks(const Step& step, const Model& names);
  Done PerformOnTree(const Step& step);
  Done PerformOnFiles(const Step& step, const Model& names);
  Done Write(const Step& step, const Model& names);
  Done Open(const Step& step, const Model& names);
  Done ReadFrom(int fd, const std::string& path, const Names& names);
  Done Mount(const Step& step, const Model& names, const std::string& more);
  void ObserveGroup(const Fd& directory, const std::string& path, const Names& names, Seen* seen);
  void ObserveFile(const Fd& directory, const std::string& name, const std::string& path,
                   const Names& names, Seen* seen);
  bool WipeHierarchy(const std::string& name);
  void EndTasks();
  bool AwaitQuietAgents();
  bool OnlyTheBuiltInIsLeft();
  // A list's numbers as names. The root's: those that have one.
  static std::string Named(const std::string& list, bool root, const Names& names);

  const std::string instance_;
  const std::string work_;
  Puppets puppets_;
  std::optional<Client> client_;
  struct Held {
    Fd fd;
    std::string path;
    Names names;  // as they were when it was opened
  };
  std::map<std::string, Held> open_;
  bool used_for_good_ = false;                // a hierarchy that lives as long as the daemon
  std::map<std::string, std::size_t> heard_;  // bytes of each agent's log
};

}  // namespace corral::random

#endif  // CORRAL_TESTS_RANDOM_MACHINE_H_
