// How a user names a cgroup: a directory inside a mount, or HIERARCHY:/path.
#ifndef CORRAL_CLI_TARGET_H_
#define CORRAL_CLI_TARGET_H_

#include <corral/result.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "client/client.h"
#include "wire/listing.h"

namespace corral::cli {

// A group is written as people are shown it, too: what is between double quotes is taken as
// Printable() has it (base/text.h), so that a name with a control character can be copied.

// The hierarchy's name and the path beginning with `/`, if `text` has that form. A relative
// directory that looks like it is written ./NAME:/...
struct HierarchyPath {
  std::string hierarchy;
  std::string path;
};
std::optional<HierarchyPath> SplitHierarchyPath(std::string_view text);

// What the user means by `text`: itself, or what its quotes stand for. EINVAL.
Result<std::string> NamedBy(const std::string& text);

// `request` with the keys that name the cgroup added (docs/protocol.md): a path, or the
// device and inode that stat(2) tells of a directory. ENOENT, ENOTDIR: no such directory;
// ETIMEDOUT: it is in a mount that hangs.
Result<nlohmann::json> WithTarget(nlohmann::json request, const std::string& text);

// Asks the daemon about the cgroup that `text` names; an error names it, too.
Result<nlohmann::json> CallOn(Client& client, nlohmann::json request, const std::string& text);

// The same for what answers with a listing: of the cgroup that `text` names, or of everything.
struct ListingAnswer {
  Listing listing;
  nlohmann::json rest = nlohmann::json::object();  // what else the answer has
};
Result<ListingAnswer> ListOn(Client& client, nlohmann::json request, const std::string& text);
Result<ListingAnswer> ListAll(Client& client, const nlohmann::json& request);

}  // namespace corral::cli

#endif  // CORRAL_CLI_TARGET_H_
