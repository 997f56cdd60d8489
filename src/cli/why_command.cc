// corral why: why a group is not empty, or cannot be removed.
#include <algorithm>
#include <memory>
#include <set>

#include "cli/command.h"
#include "cli/holders.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/task_info.h"
#include "client/bytes.h"
#include "client/client.h"

namespace corral::cli {
namespace {

using nlohmann::json;

// ---- what the daemon does not know

void AddDetails(json& task, CommandLines& lines) {
  const auto tid = static_cast<pid_t>(Number(task, "tid"));
  const TaskInfo info = InfoOfTask(tid);
  task["comm"] = info.name;
  task["state"] = info.state;
  task["command"] = lines.Of(static_cast<pid_t>(Number(task, "tgid")));
  task["age_s"] = info.age_s < 0 ? json(nullptr) : json(info.age_s);
  if (info.state == "D") task["waits_in"] = WaitsIn(tid);
  task["parents"] = json::array();
  for (const Ancestor& one : AncestorsOf(info.parent)) {
    task["parents"].push_back({{"pid", one.pid}, {"comm", one.name}});
  }
}

void AddLeaverDetails(json& leaver) {
  const auto tid = static_cast<pid_t>(Number(leaver, "tid"));
  const TaskInfo info = InfoOfTask(tid);
  leaver["comm"] = info.name;
  leaver["state"] = info.state;
  leaver["waits_in"] = WaitsIn(tid);
}

// Those at or below the group, by the daemon's word: it knows which files are whose.
Result<json> HoldersIn(Client& client, std::int64_t group) {
  constexpr std::size_t kAtOnce = 5000;  // a request is at most 1 MiB
  const std::vector<Holder> all = HoldersOfHierarchies();
  json held = json::array();
  for (std::size_t begin = 0; begin < all.size(); begin += kAtOnce) {
    const std::size_t end = std::min(all.size(), begin + kAtOnce);
    json files = json::array();
    for (std::size_t i = begin; i < end; ++i) {
      files.push_back({{"dev", all[i].device}, {"ino", all[i].inode}});
    }
    auto answer = client.Call({{"op", "locate"}, {"id", group}, {"files", std::move(files)}});
    if (!answer) return Fail(answer.error());
    const json& paths = List(*answer, "paths");
    for (std::size_t i = begin; i < end && i - begin < paths.size(); ++i) {
      if (!paths[i - begin].is_string()) continue;
      held.push_back({{"pid", all[i].pid},
                      {"comm", CommandName(all[i].pid)},
                      {"what", all[i].what},
                      {"path", paths[i - begin]}});
    }
  }
  return held;
}

// ---- for people

std::string AgeText(const json& task) {
  if (!task.contains("age_s") || !task["age_s"].is_number()) return "?";
  const std::int64_t s = Number(task, "age_s");
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
  for (const json& parent : List(task, "parents")) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : " < ", parent.value("comm", "?"),
                        Number(parent, "pid"));
  }
  return text.empty() ? "none" : text;
}

std::string StateText(const json& task) {
  const std::string where = task.value("waits_in", "");
  const std::string word = StateWord(task.value("state", "?"));
  return where.empty() ? word : word + " in " + where;
}

std::size_t Processes(const json& tasks) {
  std::set<std::int64_t> tgids;
  for (const json& task : tasks) tgids.insert(Number(task, "tgid"));
  return tgids.size();
}

std::string Verdict(const json& why) {
  const std::string path = Shown(why, "path");
  const std::size_t tasks = List(why, "tasks").size();
  const std::size_t groups = List(why, "groups").size();
  const std::size_t awaited = List(why, "awaited").size();
  const std::string below =
      (groups == 0 ? "no groups" : Counted(groups, "group", "groups")) + " below";
  if (Flag(why, "root")) {
    return fmt::format(
        "{} is the root of a hierarchy: it holds every task that is nowhere else "
        "({} now), is never empty, and has {}.",
        path, Number(why, "own_tasks"), below);
  }
  if (tasks != 0) {
    return fmt::format("{} is not empty: {} in {}, {}.", path, Counted(tasks, "task", "tasks"),
                       Counted(Processes(List(why, "tasks")), "process", "processes"), below);
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

void PrintTasks(const json& why, bool all) {
  constexpr std::size_t kShown = 20;
  const json& tasks = List(why, "tasks");
  if (tasks.empty()) return;
  Table table({"PID", "TID", "STATE", "AGE", "GROUP", "COMMAND"});
  const std::size_t shown = all ? tasks.size() : std::min(tasks.size(), kShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const json& task = tasks[i];
    table.Add({std::to_string(Number(task, "tgid")), std::to_string(Number(task, "tid")),
               StateText(task), AgeText(task), Shown(task, "path"), CommandText(task)});
    // The threads of a process have the parents of their leader.
    if (i + 1 == shown || Number(tasks[i + 1], "tgid") != Number(task, "tgid")) {
      table.AddLine("       child of " + ParentsText(task));
    }
  }
  std::puts("\nTasks in it and below");
  table.Print();
  if (shown < tasks.size()) fmt::print("... and {} more; --all shows them\n", tasks.size() - shown);
}

void PrintGroups(const json& why, bool all) {
  constexpr std::size_t kShown = 20;
  const json& groups = List(why, "groups");
  if (groups.empty()) return;
  Table table({"GROUP", "TASKS"});
  const std::size_t shown = all ? groups.size() : std::min(groups.size(), kShown);
  for (std::size_t i = 0; i < shown; ++i) {
    table.Add({Shown(groups[i], "path"), std::to_string(Number(groups[i], "tasks"))});
  }
  std::puts("\nGroups below");
  table.Print();
  if (shown < groups.size()) {
    fmt::print("... and {} more; --all shows them\n", groups.size() - shown);
  }
}

void PrintAwaited(const json& why) {
  if (List(why, "awaited").empty()) return;
  Table table({"TID", "STATE", "GROUP", "COMMAND"});
  for (const json& leaver : List(why, "awaited")) {
    const std::string path = Shown(leaver, "path");
    table.Add({std::to_string(Number(leaver, "tid")), StateText(leaver),
               path.empty() ? "(removed)" : path, leaver.value("comm", "?")});
  }
  std::puts("\nEnded, but not through: the release is told when these have let go");
  table.Print();
}

void PrintHolders(const json& why) {
  if (List(why, "holders").empty()) return;
  Table table({"PID", "GROUP", "HOLDS", "COMMAND"});
  for (const json& holder : List(why, "holders")) {
    table.Add({std::to_string(Number(holder, "pid")), Shown(holder, "path"),
               holder.value("what", ""), holder.value("comm", "?")});
  }
  std::puts("\nOpen files and directories: these keep a mount busy, not the group");
  table.Print();
}

int Why(const Context& context, const std::string& path, bool all) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  auto why = CallOn(*client, {{"op", "why"}}, path);
  if (!why) return Complain(why.error());
  why->erase("ok");
  CommandLines lines;
  // The reference operator[] gives is the list itself; a root has none.
  if (why->contains("tasks")) {
    for (json& task : (*why)["tasks"]) AddDetails(task, lines);
    for (json& leaver : (*why)["awaited"]) AddLeaverDetails(leaver);
    auto holders = HoldersIn(*client, Number(*why, "id"));
    if (!holders && IsConnectionLost(holders.error())) return Complain(holders.error());
    (*why)["holders"] = holders ? *std::move(holders) : json::array();  // removed meanwhile
  }
  if (context.json) {
    PrintJson(*why);
    return kOk;
  }
  std::puts(Verdict(*why).c_str());
  PrintTasks(*why, all);
  PrintGroups(*why, all);
  PrintAwaited(*why);
  PrintHolders(*why);
  return kOk;
}

}  // namespace

Action SetUpWhy(CLI::App& parser) {
  struct Options {
    std::string path;
    bool all = false;
  };
  auto options = std::make_shared<Options>();
  parser.add_flag("-a,--all", options->all, "Show all tasks and groups, not only the first 20");
  parser.add_option("PATH", options->path, kPathHelp)->required();
  return [options](const Context& context) { return Why(context, options->path, options->all); };
}

}  // namespace corral::cli
