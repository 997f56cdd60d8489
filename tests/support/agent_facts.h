// What a release agent of the tests can tell of how it was started. For programs of their own:
// nothing of corral's is linked.
#ifndef CORRAL_TESTS_SUPPORT_AGENT_FACTS_H_
#define CORRAL_TESTS_SUPPORT_AGENT_FACTS_H_

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <string>

namespace corral::agent_facts {

inline std::string Link(const std::string& path) {
  char target[4096];
  const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
  return size < 0 ? "?" : std::string(target, static_cast<std::size_t>(size));
}

// "0:/dev/null 1:/dev/null ", ascending. To be asked first: whatever is opened later is in it.
inline std::string Descriptors() {
  std::set<int> fds;
  DIR* dir = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(dir)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != ::dirfd(dir)) fds.insert(fd);
  }
  ::closedir(dir);
  std::string text;
  for (const int fd : fds) {
    text += std::to_string(fd) + ":" + Link("/proc/self/fd/" + std::to_string(fd)) + " ";
  }
  return text;
}

// How many signals are blocked or have another disposition than the default.
inline int UnusualSignals() {
  sigset_t blocked;
  ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
  int unusual = 0;
  for (int signal = 1; signal < 32; ++signal) {
    struct sigaction action;
    ::sigaction(signal, nullptr, &action);
    if (::sigismember(&blocked, signal) || action.sa_handler != SIG_DFL) ++unusual;
  }
  return unusual;
}

}  // namespace corral::agent_facts

#endif  // CORRAL_TESTS_SUPPORT_AGENT_FACTS_H_
