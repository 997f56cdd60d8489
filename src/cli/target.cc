#include "cli/target.h"

#include <cerrno>

#include "base/errors.h"
#include "client/patient.h"
#include "wire/bytes.h"

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

Result<nlohmann::json> WithTarget(nlohmann::json request, const std::string& text) {
  auto name = TRY(NamedBy(text));
  if (SplitHierarchyPath(name)) {
    request["path"] = ToJsonText(name);
    return request;
  }
  auto st = StatPatiently(name);
  if (!st && st.error().code == ETIMEDOUT) return Fail(st.error());
  if (!st) {
    return Fail(st.error().code,
                "{} (a group is a directory inside a mount, or HIERARCHY:/path as "
                "`corral tree` shows)",
                st.error().message);
  }
  if (!S_ISDIR(st->st_mode)) return Fail(ENOTDIR, "{} is a file, not a group", Printable(name));
  request["dev"] = st->st_dev;
  request["ino"] = st->st_ino;
  return request;
}

// A device and an inode are all the daemon has to name a directory.
static Error Named(Error error, const nlohmann::json& target, const std::string& text) {
  if (!target.contains("ino") || IsConnectionLost(error)) return error;
  return {error.code, fmt::format("{}: {}", Printable(text), error.message)};
}

Result<nlohmann::json> CallOn(Client& client, nlohmann::json request, const std::string& text) {
  auto target = WithTarget(std::move(request), text);
  if (!target) return target;
  auto answer = client.Call(*target);
  if (!answer) return Fail(Named(answer.error(), *target, text));
  return answer;
}

Result<ListingAnswer> ListOn(Client& client, nlohmann::json request, const std::string& text) {
  auto target = TRY(WithTarget(std::move(request), text));
  auto answer = ListAll(client, target);
  if (!answer) return Fail(Named(answer.error(), target, text));
  return answer;
}

Result<ListingAnswer> ListAll(Client& client, const nlohmann::json& request) {
  ListingAnswer answer;
  auto listed = client.CallEach(request, [&](nlohmann::json& piece) -> Result<void> {
    if (auto added = answer.listing.Add(piece); !added) return added;
    answer.rest.update(piece);
    return {};
  });
  if (!listed) return Fail(listed.error());
  answer.rest.erase("ok");
  return answer;
}

}  // namespace corral::cli
