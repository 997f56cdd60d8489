#include "cli/run_group.h"

#include <cerrno>

#include "base/errors.h"
#include "base/text.h"
#include "cli/target.h"
#include "client/patient.h"

namespace corral::cli {
namespace {

using wire::GroupName;

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
Result<wire::Mkdir::Answer> Mkdir(Client& client, const std::string& text) {
  wire::Mkdir ask{.auto_remove = true};
  if (const auto split = SplitHierarchyPath(text)) {
    ask.name = split->path.substr(split->path.find_first_not_of('/'));
    return CallOn(client, ask, split->hierarchy + ":/");
  }
  // Made by the daemon, not with mkdir(2): the parent may be an ordinary directory.
  const std::size_t slash = text.rfind('/');
  ask.name = slash == std::string::npos ? text : text.substr(slash + 1);
  return CallOn(client, ask,
                slash == std::string::npos ? "." : Printable(text.substr(0, slash + 1)));
}

}  // namespace

RunGroup RunGroup::FromInfo(const wire::Info::Answer& info, bool made) {
  RunGroup group;
  group.id_ = info.id;
  group.name_ = info.path;
  group.made_ = made;
  group.is_root_ = group.name_.ends_with(":/");
  group.was_populated_ = info.populated;
  return group;
}

Result<RunGroup> RunGroup::MakeFresh(Client& client, const std::string& command) {
  const auto made = TRY(client.Call(wire::Mkdir{.group = GroupName::Path(kBuiltIn),
                                                .name = NameAfter(command),
                                                .fresh = true,
                                                .auto_remove = true}));
  return OfAnswer(client, made);
}

Result<RunGroup> RunGroup::FindOrMake(Client& client, const std::string& text) {
  auto named = TRY(NamedBy(text));
  const std::string name = WithoutSlashesAtTheEnd(named);
  const auto split = SplitHierarchyPath(name);
  auto st = split ? Result<struct stat>() : StatPatiently(name);
  if (!st && st.error().code == ETIMEDOUT) return Fail(st.error());
  if (split ? split->path.find_first_not_of('/') == std::string::npos : st.has_value()) {
    return FromInfo(TRY(CallOn(client, wire::Info(), Printable(name))), false);
  }
  return OfAnswer(client, TRY(Mkdir(client, name)));
}

Result<RunGroup> RunGroup::OfAnswer(Client& client, const wire::Mkdir::Answer& made) {
  const auto info = TRY(client.Call(wire::Info{.group = GroupName::Id(made.id)}));
  return FromInfo(info, made.created);
}

Result<void> RunGroup::Attach(Client& client, pid_t pid) const {
  TRY(client.Call(wire::Attach{
      .group = GroupName::Id(id_), .tid = static_cast<std::uint64_t>(pid), .process = true}));
  return {};
}

Result<std::vector<Victim>> RunGroup::Kill(Client& client) const {
  auto killed = KillGroup(client, id_);
  if (!killed && IsGone(killed.error())) return std::vector<Victim>();
  return killed;
}

Result<void> RunGroup::OpenBill(Client& client) const {
  TRY(client.Call(wire::OpenBill{.group = GroupName::Id(id_)}));
  return {};
}

Result<void> RunGroup::SendWait(Client& client) const {
  return client.Send(wire::Wait{.group = GroupName::Id(id_)});
}

Result<void> RunGroup::Remove(Client& client) const {
  if (!made_) return {};
  auto answer = client.Call(wire::Rmdir{.group = GroupName::Id(id_)});
  if (answer || IsGone(answer.error())) return {};
  return Fail(answer.error());
}

}  // namespace corral::cli
