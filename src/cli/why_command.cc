// corral why: why a group is not empty, or cannot be removed.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "cli/command.h"
#include "cli/open_files.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/task_info.h"
#include "client/client.h"

namespace corral::cli {
namespace {

using nlohmann::json;

// ---- what the daemon does not know

json DetailsOf(const Listing& listing, const Listing::Task& task, CommandLines& lines) {
  const TaskInfo info = InfoOfTask(static_cast<pid_t>(task.tid));
  json details = {{"tid", task.tid},
                  {"tgid", task.tgid},
                  {"group", listing[task.group].id},
                  {"path", listing.JsonPath(task.group)},
                  {"comm", info.name},
                  {"state", info.state},
                  {"command", lines.Of(static_cast<pid_t>(task.tgid))},
                  {"age_s", info.age_s < 0 ? json(nullptr) : json(info.age_s)}};
  if (info.state == "D") details["waits_in"] = WaitsIn(static_cast<pid_t>(task.tid));
  details["parents"] = json::array();
  for (const Ancestor& one : AncestorsOf(info.parent)) {
    details["parents"].push_back({{"pid", one.pid}, {"comm", one.name}});
  }
  return details;
}

json DetailsOfLeaver(const Listing& listing, const wire::Why::Awaited& leaver) {
  const auto tid = static_cast<pid_t>(leaver.tid);
  const bool known = leaver.row && *leaver.row < listing.size();
  const TaskInfo info = InfoOfTask(tid);
  return {{"tid", tid},
          {"path", known ? listing.JsonPath(*leaver.row) : json(nullptr)},
          {"shown", known ? listing.ShownPath(*leaver.row) : "(removed)"},
          {"comm", info.name},
          {"state", info.state},
          {"waits_in", WaitsIn(tid)}};
}

// Those at or below the group: the daemon knows which files are whose.
Result<json> OpenFilesIn(Client& client, const Listing& listing) {
  constexpr std::size_t kAtOnce = 5000;  // a request is at most 1 MiB
  std::unordered_map<std::uint64_t, std::size_t> row_of;
  for (std::size_t i = 0; i < listing.size(); ++i) row_of.emplace(listing[i].id, i);
  const std::vector<OpenFile> all = OpenFilesOfHierarchies();
  json held = json::array();
  for (std::size_t begin = 0; begin < all.size(); begin += kAtOnce) {
    const std::size_t end = std::min(all.size(), begin + kAtOnce);
    wire::Locate ask;
    for (std::size_t i = begin; i < end; ++i) {
      ask.files.push_back({.dev = all[i].device, .ino = all[i].inode});
    }
    const auto groups = TRY(client.Call(ask)).groups;
    for (std::size_t i = begin; i < end && i - begin < groups.size(); ++i) {
      const auto& id = groups[i - begin];
      const auto row = id ? row_of.find(*id) : row_of.end();
      if (row == row_of.end()) continue;
      held.push_back({{"pid", all[i].pid},
                      {"comm", CommandName(all[i].pid)},
                      {"what", all[i].what},
                      {"path", listing.JsonPath(row->second)},
                      {"shown", listing.ShownPath(row->second)}});
    }
  }
  return held;
}

// ---- for people

std::string AgeText(const json& task) {
  if (task["age_s"].is_null()) return "?";
  const auto s = task["age_s"].get<std::int64_t>();
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s % 3600 / 60);
  return fmt::format("{}d{:02}h", s / 86400, s % 86400 / 3600);
}

std::string CommandText(const json& task) {
  const std::string command = task.value("command", "");
  return command.empty() ? "[" + task.value("comm", "?") + "]" : command;
}

std::string ParentsText(const json& task) {
  std::string text;
  for (const json& parent : task["parents"]) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : " < ", parent.value("comm", "?"),
                        parent.value("pid", 0));
  }
  return text.empty() ? "none" : text;
}

std::string StateText(const json& task) {
  const std::string where = task.value("waits_in", "");
  const std::string word = StateWord(task.value("state", "?"));
  return where.empty() ? word : word + " in " + where;
}

std::size_t Processes(const std::vector<Listing::Task>& tasks) {
  std::set<std::int64_t> tgids;
  for (const Listing::Task& task : tasks) tgids.insert(task.tgid);
  return tgids.size();
}

std::string Verdict(const Listing& listing, const wire::Why::Answer& why) {
  const std::string path = listing.ShownPath(0, /*with_hierarchy=*/true);
  const std::size_t tasks = listing.tasks().size();
  const std::size_t groups = listing.size() - 1;
  const std::size_t awaited = why.awaited ? why.awaited->size() : 0;
  const std::string below =
      (groups == 0 ? "no groups" : Counted(groups, "group", "groups")) + " below";
  if (why.root) {
    return fmt::format(
        "{} is the root of a hierarchy: it holds every task that is nowhere else "
        "({} now), is never empty, and has {}.",
        path, listing[0].tasks, below);
  }
  if (tasks != 0) {
    return fmt::format("{} is not empty: {} in {}, {}.", path, Counted(tasks, "task", "tasks"),
                       Counted(Processes(listing.tasks()), "process", "processes"), below);
  }
  if (awaited != 0) {
    return fmt::format(
        "{} has no tasks, {}; {} that ended {} memory or files yet, and its "
        "release waits for that.",
        path, below, Counted(awaited, "task", "tasks"), awaited == 1 ? "holds" : "hold");
  }
  if (groups != 0) {
    return fmt::format(
        "{} has no tasks, but {}: it can be removed after them, or with them by "
        "`corral rm -r`.",
        path, below);
  }
  return fmt::format("{} is empty: no tasks, no groups below. It can be removed.", path);
}

constexpr std::size_t kShown = 20;

void PrintRest(std::size_t shown, std::size_t all) {
  if (shown < all) Print(fmt::format("... and {} more; --all shows them", all - shown));
}

void PrintTasks(const Listing& listing, bool all, CommandLines& lines) {
  const auto& tasks = listing.tasks();
  if (tasks.empty()) return;
  Table table({"PID", "TID", "STATE", "AGE", "GROUP", "COMMAND"});
  const std::size_t shown = all ? tasks.size() : std::min(tasks.size(), kShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const json task = DetailsOf(listing, tasks[i], lines);
    table.Add({std::to_string(tasks[i].tgid), std::to_string(tasks[i].tid), StateText(task),
               AgeText(task), listing.ShownPath(tasks[i].group), CommandText(task)});
    // The threads of a process have the parents of their leader.
    if (i + 1 == shown || tasks[i + 1].tgid != tasks[i].tgid) {
      table.AddLine("       child of " + ParentsText(task));
    }
  }
  Print("");
  Print("Tasks in it and below");
  table.Print();
  PrintRest(shown, tasks.size());
}

void PrintGroups(const Listing& listing, bool all) {
  const std::size_t below = listing.size() - 1;
  if (below == 0) return;
  Table table({"GROUP", "TASKS"});
  const std::size_t shown = all ? below : std::min(below, kShown);
  for (std::size_t i = 1; i <= shown; ++i) {
    table.Add({listing.ShownPath(i), std::to_string(listing[i].tasks)});
  }
  Print("");
  Print("Groups below");
  table.Print();
  PrintRest(shown, below);
}

void PrintAwaited(const json& awaited) {
  if (awaited.empty()) return;
  Table table({"TID", "STATE", "GROUP", "COMMAND"});
  for (const json& leaver : awaited) {
    table.Add({std::to_string(leaver.value("tid", 0)), StateText(leaver), leaver.value("shown", ""),
               leaver.value("comm", "?")});
  }
  Print("");
  Print("Ended, but not through: the release is told when these have let go");
  table.Print();
}

void PrintOpenFiles(const json& holders) {
  if (holders.empty()) return;
  Table table({"PID", "GROUP", "HOLDS", "COMMAND"});
  for (const json& holder : holders) {
    table.Add({std::to_string(holder.value("pid", 0)), holder.value("shown", ""),
               holder.value("what", ""), holder.value("comm", "?")});
  }
  Print("");
  Print("Open files and directories: these keep a mount busy, not the group");
  table.Print();
}

void PrintWhyJson(const Listing& listing, const wire::Why::Answer& why, json awaited, json holders,
                  CommandLines& lines) {
  JsonWriter out;
  const json members = JsonOf(why);
  for (const auto& [name, value] : members.items()) {
    if (name != "awaited") out.Member(name.c_str(), value);
  }
  out.Begin("groups");
  for (std::size_t i = 1; i < listing.size(); ++i) {
    out.Item({{"id", listing[i].id},
              {"parent", listing[listing[i].parent].id},
              {"name", JsonOf(listing[i].name)},
              {"path", listing.JsonPath(i)},
              {"tasks", listing[i].tasks},
              {"populated", listing[i].populated}});
  }
  out.End();
  if (why.root) {
    out.Member("own_tasks", listing[0].tasks);
    return;
  }
  out.Begin("tasks");
  for (const Listing::Task& task : listing.tasks()) out.Item(DetailsOf(listing, task, lines));
  out.End();
  for (auto& [name, list] : {std::pair{"awaited", &awaited}, std::pair{"holders", &holders}}) {
    for (json& one : *list) one.erase("shown");
    out.Member(name, *list);
  }
}

int Why(const Context& context, const std::string& path, bool all) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  auto answer = ListOn(*client, wire::Why(), path);
  if (!answer) return Complain(answer.error());
  const auto& [listing, why] = *answer;
  CommandLines lines;
  json awaited = json::array();
  json holders = json::array();
  if (!why.root) {
    for (const auto& leaver : why.awaited.value_or(std::vector<wire::Why::Awaited>())) {
      awaited.push_back(DetailsOfLeaver(listing, leaver));
    }
    auto found = OpenFilesIn(*client, listing);
    if (!found) return Complain(found.error());
    holders = *std::move(found);
  }
  if (context.json) {
    PrintWhyJson(listing, why, std::move(awaited), std::move(holders), lines);
    return kOk;
  }
  Print(Verdict(listing, why));
  PrintTasks(listing, all, lines);
  PrintGroups(listing, all);
  PrintAwaited(awaited);
  PrintOpenFiles(holders);
  return kOk;
}

}  // namespace

Form WhyForm() {
  struct Options {
    std::string path;
    bool all = false;
  };
  auto options = std::make_shared<Options>();
  return {{{"-a,--all", &options->all, "Show all tasks and groups, not only the first 20"},
           PathArgument(options->path)},
          [options](const Context& context) { return Why(context, options->path, options->all); }};
}

}  // namespace corral::cli
