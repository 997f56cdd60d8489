#include "cli/target.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "client/bytes.h"

namespace corral::cli {

std::optional<HierarchyPath> SplitHierarchyPath(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  const std::size_t colon = text.find_first_not_of(kAllowed);
  if (colon == std::string_view::npos) return std::nullopt;  // 0: the anonymous hierarchy
  if (text[colon] != ':' || text.substr(colon + 1, 1) != "/") return std::nullopt;
  return HierarchyPath{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

Result<nlohmann::json> WithTarget(nlohmann::json request, const std::string& text) {
  if (SplitHierarchyPath(text)) {
    request["path"] = ToJsonText(text);
    return request;
  }
  struct stat st;
  if (::stat(text.c_str(), &st) != 0) {
    return Fail(errno,
                "{}: {} (a group is a directory inside a mount, or HIERARCHY:/path as "
                "`corral tree` shows)",
                Printable(text), std::strerror(errno));
  }
  if (!S_ISDIR(st.st_mode)) return Fail(ENOTDIR, "{} is a file, not a group", Printable(text));
  request["dev"] = st.st_dev;
  request["ino"] = st.st_ino;
  return request;
}

Result<nlohmann::json> CallOn(Client& client, nlohmann::json request, const std::string& text) {
  auto target = WithTarget(std::move(request), text);
  if (!target) return target;
  auto answer = client.Call(*target);
  // A device and an inode are all the daemon has to name a directory.
  if (!answer && target->contains("ino")) {
    return Fail(answer.error().code, "{}: {}", Printable(text), answer.error().message);
  }
  return answer;
}

}  // namespace corral::cli
