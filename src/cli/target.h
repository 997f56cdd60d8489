// How a user names a cgroup: a directory inside a mount, or HIERARCHY:/path.
#ifndef CORRAL_CLI_TARGET_H_
#define CORRAL_CLI_TARGET_H_

#include <corral/result.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "client/client.h"

namespace corral::cli {

// The hierarchy's name and the path beginning with `/`, if `text` has that form. A relative
// directory that looks like it is written ./NAME:/...
struct HierarchyPath {
  std::string hierarchy;
  std::string path;
};
std::optional<HierarchyPath> SplitHierarchyPath(std::string_view text);

// `request` with the keys that name the cgroup added (docs/protocol.md): a path, or the
// device and inode that stat(2) tells of a directory. ENOENT, ENOTDIR: no such directory.
Result<nlohmann::json> WithTarget(nlohmann::json request, const std::string& text);

// Asks the daemon about the cgroup that `text` names; an error names it, too.
Result<nlohmann::json> CallOn(Client& client, nlohmann::json request, const std::string& text);

}  // namespace corral::cli

#endif  // CORRAL_CLI_TARGET_H_
