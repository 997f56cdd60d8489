#include "cli/target.h"

#include <cerrno>

#include "base/errors.h"
#include "base/text.h"
#include "client/patient.h"

namespace corral::cli {

std::optional<HierarchyPath> SplitHierarchyPath(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  const std::size_t colon = text.find_first_not_of(kAllowed);
  if (colon == std::string_view::npos) return std::nullopt;  // 0: the anonymous hierarchy
  if (text[colon] != ':' || text.substr(colon + 1, 1) != "/") return std::nullopt;
  return HierarchyPath{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

Result<std::string> NamedBy(const std::string& text) {
  auto name = FromPrintable(text);
  if (name) return *std::move(name);
  return Fail(EINVAL,
              "{}: between the quotes is not what corral shows of a name; a directory whose name "
              "begins with a quote is written ./\"...",
              text);
}

Result<wire::GroupName> GroupNamed(const std::string& text) {
  const std::string name = TRY(NamedBy(text));
  if (SplitHierarchyPath(name)) return wire::GroupName::Path(name);
  const auto st = StatPatiently(name);
  if (!st && st.error().code == ETIMEDOUT) return Fail(st.error());
  if (!st) {
    return Fail(st.error().code,
                "{} (a group is a directory inside a mount, or HIERARCHY:/path as "
                "`corral tree` shows)",
                st.error().message);
  }
  if (!S_ISDIR(st->st_mode)) return Fail(ENOTDIR, "{} is a file, not a group", Printable(name));
  return wire::GroupName{.dev = st->st_dev, .ino = st->st_ino};
}

Error Named(Error error, const wire::GroupName& group, const std::string& text) {
  if (!group.ino || IsConnectionLost(error)) return error;
  return {error.code, fmt::format("{}: {}", Printable(text), error.message)};
}

}  // namespace corral::cli
