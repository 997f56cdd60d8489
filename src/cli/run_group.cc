#include "cli/run_group.h"

#include <cerrno>

#include "base/errors.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/patient.h"
#include "wire/bytes.h"

namespace corral::cli {
namespace {

using nlohmann::json;

constexpr const char* kBuiltIn = "corral:/";
constexpr std::size_t kLongestFreshName = 64;

// A directory name after the command: `/usr/bin/make` -> `make`.
std::string NameAfter(const std::string& command) {
  std::string name = command.substr(command.rfind('/') + 1).substr(0, kLongestFreshName);
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_';
    if (!plain) c = '_';
  }
  return name.empty() || name == "." || name == ".." ? "run" : name;
}

// But for the one that is all of a path: `/`, `corral:/`.
std::string WithoutSlashesAtTheEnd(std::string text) {
  while (text.size() > 1 && text.ends_with('/') && !text.ends_with(":/")) text.pop_back();
  return text;
}

bool IsGone(const Error& error) { return error.code == ENOENT || error.code == ENODEV; }

// Makes the group that `text` names, if there is none.
Result<json> Mkdir(Client& client, const std::string& text) {
  json request = {{"op", "mkdir"}, {"auto_remove", true}};
  if (const auto split = SplitHierarchyPath(text)) {
    request["name"] = ToJsonText(split->path.substr(split->path.find_first_not_of('/')));
    return CallOn(client, std::move(request), split->hierarchy + ":/");
  }
  // Made by the daemon, not with mkdir(2): the parent may be an ordinary directory.
  const std::size_t slash = text.rfind('/');
  request["name"] = ToJsonText(slash == std::string::npos ? text : text.substr(slash + 1));
  return CallOn(client, std::move(request),
                slash == std::string::npos ? "." : Printable(text.substr(0, slash + 1)));
}

}  // namespace

RunGroup RunGroup::FromInfo(const json& info, bool made) {
  RunGroup group;
  group.id_ = static_cast<std::uint64_t>(Number(info, "id"));
  const std::string path = Text(info, "path");
  group.name_ = path.starts_with('/') ? Text(info, "hierarchy") + ":" + path : path;
  group.made_ = made;
  group.is_root_ = group.name_.ends_with(":/");
  group.was_populated_ = Flag(info, "populated");
  return group;
}

Result<RunGroup> RunGroup::MakeFresh(Client& client, const std::string& command) {
  auto made = TRY(client.Call({{"op", "mkdir"},
                               {"path", kBuiltIn},
                               {"name", NameAfter(command)},
                               {"fresh", true},
                               {"auto_remove", true}}));
  return OfAnswer(client, made);
}

Result<RunGroup> RunGroup::FindOrMake(Client& client, const std::string& text) {
  auto named = TRY(NamedBy(text));
  const std::string name = WithoutSlashesAtTheEnd(named);
  const auto split = SplitHierarchyPath(name);
  auto st = split ? Result<struct stat>() : StatPatiently(name);
  if (!st && st.error().code == ETIMEDOUT) return Fail(st.error());
  if (split ? split->path.find_first_not_of('/') == std::string::npos : st.has_value()) {
    auto info = TRY(CallOn(client, {{"op", "info"}}, Printable(name)));
    return FromInfo(info, false);
  }
  auto made = TRY(Mkdir(client, name));
  return OfAnswer(client, made);
}

Result<RunGroup> RunGroup::OfAnswer(Client& client, const json& mkdir_answer) {
  auto info = TRY(client.Call({{"op", "info"}, {"id", Number(mkdir_answer, "id")}}));
  return FromInfo(info, Flag(mkdir_answer, "created"));
}

Result<void> RunGroup::Attach(Client& client, pid_t pid) const {
  TRY(client.Call({{"op", "attach"}, {"id", id_}, {"tid", pid}, {"process", true}}));
  return {};
}

Result<std::vector<Victim>> RunGroup::Kill(Client& client) const {
  auto killed = KillGroup(client, id_);
  if (!killed && IsGone(killed.error())) return std::vector<Victim>();
  return killed;
}

Result<void> RunGroup::OpenBill(Client& client) const {
  TRY(client.Call({{"op", "open_bill"}, {"id", id_}}));
  return {};
}

Result<void> RunGroup::SendWait(Client& client) const {
  return client.Send({{"op", "wait"}, {"id", id_}});
}

Result<void> RunGroup::Remove(Client& client) const {
  if (!made_) return {};
  auto answer = client.Call({{"op", "rmdir"}, {"id", id_}});
  if (answer || IsGone(answer.error())) return {};
  return Fail(answer.error());
}

}  // namespace corral::cli
