// What /proc tells about a task beyond its number, for showing it to people.
//
// Only files are read that no task can keep from answering; the one exception, a process's
// arguments, is read by a process that can be left behind.
#ifndef CORRAL_CLI_TASK_INFO_H_
#define CORRAL_CLI_TASK_INFO_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"

namespace corral::cli {

// The command name, escaped for a terminal; "?" when the task is gone.
std::string CommandName(pid_t tid);

struct TaskInfo {
  std::string state = "?";  // the letter of ps(1)
  std::string name = "?";   // as CommandName()
  pid_t parent = 0;         // a process; 0: none, or the task is gone
  std::int64_t age_s = -1;  // seconds since it was born; -1: unknown
};
// All with one look: a listing may have a hundred thousand tasks.
TaskInfo InfoOfTask(pid_t tid);

// "S" -> "sleeping"
std::string StateWord(const std::string& letter);

// Where in the kernel it sleeps; empty when it does not, or is gone.
std::string WaitsIn(pid_t tid);

struct Ancestor {
  pid_t pid;
  std::string name;
};
// From the parent of a task up to init.
std::vector<Ancestor> AncestorsOf(pid_t parent);

// The words of processes' commands. Reading them touches the process's memory, and a page of that
// may hang for good. So another process reads, which is left behind with one that hangs; such a
// process has no words. After a few of those no further one is asked.
class CommandLines {
 public:
  // Escaped for a terminal; empty for a kernel thread, or when it cannot be read.
  const std::string& Of(pid_t pid);

 private:
  std::string Ask(pid_t pid);

  std::map<pid_t, std::string> known_;
  Fd reader_;  // a socket: a pid goes there, the words come back; closing ends it
  int hung_ = 0;
};

}  // namespace corral::cli

#endif  // CORRAL_CLI_TASK_INFO_H_
