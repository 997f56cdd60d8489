#include "cli/kill_group.h"

#include <map>

#include "base/errors.h"
#include "cli/task_info.h"

namespace corral::cli {

using wire::GroupName;

Result<std::vector<Victim>> KillGroup(Client& client, std::uint64_t group) {
  // Names first: who is killed has none any more.
  const auto before = TRY(client.List(wire::Tasks{.group = GroupName::Id(group), .subtree = true}));
  std::map<pid_t, std::string> commands;
  for (const Listing::Task& task : before.listing.tasks()) {
    const auto pid = static_cast<pid_t>(task.tgid);
    if (!commands.contains(pid)) commands[pid] = CommandName(pid);
  }
  const auto answer = TRY(client.Call(wire::Kill{.group = GroupName::Id(group)}));
  std::vector<Victim> victims;
  for (const std::uint64_t one : answer.killed) {
    const auto pid = static_cast<pid_t>(one);
    victims.push_back({pid, commands.contains(pid) ? commands[pid] : "?"});
  }
  return victims;
}

std::string NamesOf(const std::vector<Victim>& victims) {
  std::string names;
  for (const Victim& victim : victims) {
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", victim.command, victim.pid);
  }
  return names;
}

}  // namespace corral::cli
