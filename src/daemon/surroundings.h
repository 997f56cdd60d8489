// Surroundings: what a process takes over from whoever started it (limits, niceness, environment,
// descriptors, kernel cgroups, namespaces, ...), left behind by the daemon before anything else: it
// is nobody's child, and what ends or holds back its starter does not end it.
//
// One table of steps, the same for every way to be started. A daemon in the foreground belongs to a
// supervisor: limits, priority, processors, OOM score, kernel cgroups and namespaces are what that
// one set on purpose, and stay.
//
// Called by main, with one thread and before anything is opened.
#ifndef CORRAL_DAEMON_SURROUNDINGS_H_
#define CORRAL_DAEMON_SURROUNDINGS_H_

#include <corral/result.h>

#include <string>
#include <vector>

namespace corral {

// Something that could not be left.
struct NotLeft {
  std::string name;    // of the step
  std::string text;    // what is so, and what follows
  bool harms = false;  // it can end or stop the daemon
};

// Whether the environment is the daemon's own, and nothing of its starter's but, in the foreground,
// JOURNAL_STREAM.
bool EnvironmentIsClean(bool foreground);

// Runs this program again with these words and a clean environment: only that takes the old one out
// of /proc/PID/environ. What counts from an exec on (the size of the stack, the personality) is
// left before. Returns only if it fails.
Error RunAgainClean(const std::vector<std::string>& words, bool foreground);

// Leaves what can be left. `kept_fd`: a descriptor that stays open, or -1.
std::vector<NotLeft> LeaveSurroundings(bool foreground, int kept_fd);

// As many descriptors as we may have. Not for those who inherit from us: some programs look at
// each.
void RaiseDescriptors();

}  // namespace corral

#endif  // CORRAL_DAEMON_SURROUNDINGS_H_
