#include "cli/kill_group.h"

#include <map>

#include "cli/output.h"
#include "cli/task_info.h"

namespace corral::cli {

using nlohmann::json;

Result<std::vector<Victim>> KillGroup(Client& client, std::uint64_t group) {
  // Names first: who is killed has none any more.
  auto before = client.Call({{"op", "tasks"}, {"id", group}, {"subtree", true}});
  if (!before) return Fail(before.error());
  std::map<pid_t, std::string> commands;
  for (const json& task : List(*before, "tasks")) {
    const auto pid = static_cast<pid_t>(Number(task, "tgid"));
    if (!commands.contains(pid)) commands[pid] = CommandName(pid);
  }
  auto killed = client.Call({{"op", "kill"}, {"id", group}});
  if (!killed) return Fail(killed.error());
  std::vector<Victim> victims;
  for (const json& one : List(*killed, "killed")) {
    const auto pid = one.get<pid_t>();
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
