#include "cli/kill_group.h"

#include <map>

#include "base/errors.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/task_info.h"

namespace corral::cli {

using nlohmann::json;

Result<std::vector<Victim>> KillGroup(Client& client, std::uint64_t group) {
  // Names first: who is killed has none any more.
  auto before = TRY(ListAll(client, {{"op", "tasks"}, {"id", group}, {"subtree", true}}));
  std::map<pid_t, std::string> commands;
  for (const Listing::Task& task : before.listing.tasks()) {
    const auto pid = static_cast<pid_t>(task.tgid);
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
