// What a daemon was started with, kept in files of its runtime directory until it ends in order:
// after a crash its groups need the same subsystems and limits, and whoever starts the next daemon
// does not know them.
//
// Whoever could write these files would choose what root loads. So they are root's alone, whatever
// the umask, and one that is not (base/own_path.h) is refused: EPERM, with what to do.
#ifndef CORRAL_DAEMON_REMEMBERED_H_
#define CORRAL_DAEMON_REMEMBERED_H_

#include <corral/result.h>

#include <optional>
#include <string>
#include <vector>

namespace corral {

struct Remembered {
  std::vector<std::string> plugins;    // files, with their whole path
  std::optional<unsigned> max_agents;  // nothing: the default
};

// Nothing, where nothing is remembered. EPERM: somebody else could have written it.
Result<Remembered> Recall(const std::string& runtime_dir);
// A crash leaves the old one or the new one of each.
Result<void> Remember(const std::string& runtime_dir, const Remembered& what);
void Forget(const std::string& runtime_dir);

}  // namespace corral

#endif  // CORRAL_DAEMON_REMEMBERED_H_
