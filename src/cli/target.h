// How a user names a cgroup: a directory inside a mount, or HIERARCHY:/path.
#ifndef CORRAL_CLI_TARGET_H_
#define CORRAL_CLI_TARGET_H_

#include <corral/result.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/errors.h"
#include "client/client.h"
#include "wire/messages.h"

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

// The group that the user means: by its path, or by the device and inode that stat(2) tells of a
// directory. ENOENT, ENOTDIR: no such directory; ETIMEDOUT: it is in a mount that hangs.
Result<wire::GroupName> GroupNamed(const std::string& text);

// A device and an inode are all the daemon has to name a directory: the error with what the user
// wrote before it.
Error Named(Error error, const wire::GroupName& group, const std::string& text);

// Asks the daemon about the group that `text` names; an error names it, too.
template <Operation Ask>
Result<typename Ask::Answer> CallOn(Client& client, Ask ask, const std::string& text) {
  ask.group = TRY(GroupNamed(text));
  auto answer = client.Call(ask);
  if (!answer) return Fail(Named(answer.error(), ask.group, text));
  return answer;
}

// The same for what answers with a listing.
template <Operation Ask>
Result<Client::Listed<typename Ask::Answer>> ListOn(Client& client, Ask ask,
                                                    const std::string& text) {
  ask.group = TRY(GroupNamed(text));
  auto answer = client.List(ask);
  if (!answer) return Fail(Named(answer.error(), ask.group, text));
  return answer;
}

}  // namespace corral::cli

#endif  // CORRAL_CLI_TARGET_H_
