// The text after -o of a mount, as spec 3.2 to 3.5 have it. Pure text: no instance needed.
#ifndef CORRAL_DAEMON_MOUNT_OPTIONS_H_
#define CORRAL_DAEMON_MOUNT_OPTIONS_H_

#include <corral/result.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/dialect.h"

namespace corral {

struct MountOptions {
  bool all = false;                          // every subsystem
  bool none = false;                         // no subsystem: pure grouping
  std::vector<std::string> subsystems;       // named ones
  std::optional<std::string> name;           // absent: the anonymous hierarchy (spec 3.3)
  std::optional<std::string> release_agent;  // absent: none is set; empty: none shall be
  std::string agent_user;                    // empty: root
  const Dialect* dialect = nullptr;          // null: not given
  bool noprefix = false;
  bool clone_children = false;
  bool remount = false;
  bool read_only = false;
  bool nosuid = false;
  bool nodev = false;
};

// EINVAL, with the option that was wrong and why. `known`: the names of subsystems. `present`: the
// dialect of the hierarchy that is remounted, which decides where none is given.
Result<MountOptions> ParseMountOptions(std::string_view text,
                                       const std::vector<std::string>& known = {},
                                       const Dialect* present = nullptr);

}  // namespace corral

#endif  // CORRAL_DAEMON_MOUNT_OPTIONS_H_
