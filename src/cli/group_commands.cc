// corral mkdir, corral kill, corral rm
#include <cerrno>
#include <memory>

#include "cli/command.h"
#include "cli/kill_group.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/bytes.h"
#include "client/client.h"

namespace corral::cli {
namespace {

using nlohmann::json;

// ---- kill

int Kill(const Context& context, const std::string& path) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  auto group = CallOn(*client, {{"op", "info"}}, path);
  if (!group) return Complain(group.error());
  auto killed = KillGroup(*client, static_cast<std::uint64_t>(Number(*group, "id")));
  if (!killed) return Complain(killed.error());
  if (context.json) {
    json victims = json::array();
    for (const Victim& victim : *killed) {
      victims.push_back({{"pid", victim.pid}, {"command", victim.command}});
    }
    PrintJson({{"path", group->value("path", "")}, {"killed", victims}});
  } else if (killed->empty()) {
    fmt::print("nothing to kill in {}\n", Shown(*group, "path"));
  } else {
    fmt::print("killed {} in {}: {}\n", Counted(killed->size(), "process", "processes"),
               Shown(*group, "path"), NamesOf(*killed));
  }
  return kOk;
}

// ---- rm

struct Group {
  std::uint64_t id;
  std::string name;  // HIERARCHY:/path, bytes
  std::size_t tasks;
};

// A group and all below it, children before their parents. Without recursion: trees are deep.
std::vector<Group> LeavesFirst(const json& tree) {
  const std::string hierarchy = Text(tree, "hierarchy") + ":";
  std::vector<Group> groups;
  std::vector<const json*> todo{&tree.at("root")};
  while (!todo.empty()) {
    const json& node = *todo.back();
    todo.pop_back();
    groups.push_back({.id = static_cast<std::uint64_t>(Number(node, "id")),
                      .name = hierarchy + Text(node, "path"),
                      .tasks = static_cast<std::size_t>(Number(node, "tasks"))});
    for (const json& child : List(node, "children")) todo.push_back(&child);
  }
  return {groups.rbegin(), groups.rend()};
}

// EBUSY with the sentence that helps, EPERM for a root. Looked at first, so that a tree that is
// in use stays whole.
Result<void> CheckRemovable(const std::vector<Group>& groups, bool recursive) {
  const std::string top = Printable(groups.back().name);
  const std::size_t below = groups.size() - 1;
  std::size_t tasks = 0;
  for (const Group& group : groups) tasks += group.tasks;
  if (groups.back().name.ends_with(":/")) {
    return Fail(EPERM,
                "{} is the root of a hierarchy: it goes with its last mount; name a group "
                "below it",
                top);
  }
  if (below != 0 && !recursive) {
    return Fail(EBUSY, "{} has {} below it; remove {} as well with -r, or see `corral why {}`", top,
                Counted(below, "group", "groups"), below == 1 ? "it" : "them", top);
  }
  if (tasks != 0) {
    return Fail(EBUSY, "{} holds {}; see `corral why {}`", top, Counted(tasks, "task", "tasks"),
                top);
  }
  return {};
}

int Rm(const Context& context, const std::string& path, bool recursive) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  auto answer = CallOn(*client, {{"op", "tree"}}, path);
  if (!answer) return Complain(answer.error());
  if (List(*answer, "trees").empty()) return Complain({ENOENT, Printable(path) + " is gone"});
  const std::vector<Group> groups = LeavesFirst(List(*answer, "trees")[0]);
  if (auto good = CheckRemovable(groups, recursive); !good) return Complain(good.error());
  json removed = json::array();
  for (const Group& group : groups) {
    auto done = client->Call({{"op", "rmdir"}, {"id", group.id}});
    if (!done && done.error().code == EBUSY) {  // somebody came after we had looked
      return Complain(
          {EBUSY, fmt::format("{0} is in use by now ({1} removed); see `corral why {0}`",
                              Printable(group.name), Counted(removed.size(), "group", "groups"))});
    }
    if (!done && (done.error().code != ENOENT || groups.size() == 1)) {
      return Complain(done.error());
    }
    removed.push_back(ToJsonText(group.name));
  }
  if (context.json) PrintJson({{"removed", removed}});
  return kOk;
}

// ---- mkdir

int Mkdir(const Context& context, const std::string& path) {
  const auto split = SplitHierarchyPath(path);
  const std::size_t begin = split ? split->path.find_first_not_of('/') : std::string::npos;
  if (begin == std::string::npos) {
    Say(fmt::format("mkdir: {} is not a new group's HIERARCHY:/path; inside a mount use mkdir(1)",
                    Printable(path)));
    return kUsage;
  }
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  auto made = CallOn(*client, {{"op", "mkdir"}, {"name", ToJsonText(split->path.substr(begin))}},
                     split->hierarchy + ":/");
  if (!made) return Complain(made.error());
  if (!Flag(*made, "created")) {
    return Complain({EEXIST, Shown(*made, "path") + " is there already"});
  }
  if (context.json) PrintJson({{"path", made->value("path", "")}});
  return kOk;
}

}  // namespace

Action SetUpMkdir(CLI::App& parser) {
  auto path = std::make_shared<std::string>();
  parser.add_option("PATH", *path, "HIERARCHY:/path; missing groups on the way are made, too")
      ->required();
  return [path](const Context& context) { return Mkdir(context, *path); };
}

Action SetUpKill(CLI::App& parser) {
  auto path = std::make_shared<std::string>();
  parser.add_option("PATH", *path, kPathHelp)->required();
  return [path](const Context& context) { return Kill(context, *path); };
}

Action SetUpRm(CLI::App& parser) {
  struct Options {
    std::string path;
    bool recursive = false;
  };
  auto options = std::make_shared<Options>();
  parser.add_flag("-r,--recursive", options->recursive, "Also the groups below");
  parser.add_option("PATH", options->path, kPathHelp)->required();
  return
      [options](const Context& context) { return Rm(context, options->path, options->recursive); };
}

}  // namespace corral::cli
