#include "cli/pid_namespace.h"

#include <cerrno>

#include "base/namespaces.h"

namespace corral::cli {

Result<void> CheckPidNamespace(const char* command) {
  if (InInitialPidNamespace().value_or(false)) return {};
  return Fail(EXDEV,
              "this is a pid namespace of its own: its numbers mean other tasks to the daemon; "
              "use corral {} on the host",
              command);
}

}  // namespace corral::cli
