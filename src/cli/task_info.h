// What /proc tells about a task beyond its number, for showing it to people.
#ifndef CORRAL_CLI_TASK_INFO_H_
#define CORRAL_CLI_TASK_INFO_H_

#include <sys/types.h>

#include <string>

namespace corral::cli {

// The command name, escaped for a terminal; "?" when the task is gone.
std::string CommandName(pid_t tid);

struct TaskInfo {
  std::string state = "?";  // the letter of ps(1)
  std::string name = "?";   // as CommandName()
};
// Both with one look: a listing may have a hundred thousand tasks.
TaskInfo InfoOfTask(pid_t tid);

}  // namespace corral::cli

#endif  // CORRAL_CLI_TASK_INFO_H_
