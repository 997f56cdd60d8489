#include "cli/host.h"

#include <sys/stat.h>

namespace corral::cli {
namespace {

// The initial pid namespace has had this number on every kernel since 3.8.
constexpr ino_t kInitialPidNamespace = 4026531836;

}  // namespace

bool InHostPidNamespace() {
  struct stat st;
  return ::stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == kInitialPidNamespace;
}

}  // namespace corral::cli
