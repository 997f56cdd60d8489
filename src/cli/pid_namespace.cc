#include "cli/pid_namespace.h"

#include <sys/stat.h>

#include <cerrno>

namespace corral::cli {
namespace {

// The initial pid namespace has had this number on every kernel since 3.8.
constexpr ino_t kInitialPidNamespace = 4026531836;

}  // namespace

Result<void> CheckPidNamespace(const char* command) {
  struct stat st;
  if (::stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == kInitialPidNamespace) return {};
  return Fail(EXDEV,
              "this is a pid namespace of its own: its numbers mean other tasks to the daemon; "
              "use corral {} on the host",
              command);
}

}  // namespace corral::cli
