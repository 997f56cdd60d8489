// corral mkdir, corral kill, corral rm
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/text.h"
#include "cli/command.h"
#include "cli/kill_group.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/client.h"

namespace corral::cli {
namespace {

using nlohmann::json;

// ---- kill

int Kill(const Context& context, const std::string& path) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  auto group = CallOn(*client, wire::Info(), path);
  if (!group) return Complain(group.error());
  auto killed = KillGroup(*client, group->id);
  if (!killed) return Complain(killed.error());
  if (context.json) {
    json victims = json::array();
    for (const Victim& victim : *killed) {
      victims.push_back({{"pid", victim.pid}, {"command", victim.command}});
    }
    PrintJson({{"path", JsonOf(group->path)}, {"killed", victims}});
  } else if (killed->empty()) {
    Print(fmt::format("nothing to kill in {}", Printable(group->path)));
  } else {
    Print(fmt::format("killed {} in {}: {}", Counted(killed->size(), "process", "processes"),
                      Printable(group->path), NamesOf(*killed)));
  }
  return kOk;
}

// ---- rm

// EBUSY with the sentence that helps, EPERM for a root. Looked at first, so that a tree that is
// in use stays whole.
Result<void> CheckRemovable(const Listing& groups, bool recursive) {
  const std::string top = groups.ShownPath(0, /*with_hierarchy=*/true);
  const std::size_t below = groups.size() - 1;
  std::size_t tasks = 0;
  for (const Listing::Group& group : groups.groups()) tasks += group.tasks;
  if (groups[0].name.ends_with(":/")) {
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

// The rows of a listing, children before the group they are in and siblings as they come.
std::vector<std::size_t> LeavesFirst(const Listing& groups) {
  std::vector<std::size_t> order;
  std::vector<std::size_t> open;  // from the first row down to the last one seen
  for (std::size_t row = 0; row < groups.size(); ++row) {
    for (; open.size() > groups[row].depth; open.pop_back()) order.push_back(open.back());
    open.push_back(row);
  }
  order.insert(order.end(), open.rbegin(), open.rend());
  return order;
}

int Rm(const Context& context, const std::string& path, bool recursive) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  auto answer = ListOn(*client, wire::Tree(), path);
  if (!answer) return Complain(answer.error());
  const Listing& groups = answer->listing;
  if (groups.size() == 0) return Complain({ENOENT, Printable(path) + " is gone"});
  if (auto good = CheckRemovable(groups, recursive); !good) return Complain(good.error());
  const std::vector<std::size_t> order = LeavesFirst(groups);
  std::size_t removed = 0;
  for (const std::size_t i : order) {
    auto done = client->Call(wire::Rmdir{.group = wire::GroupName::Id(groups[i].id)});
    if (!done && done.error().code == EBUSY) {  // somebody came after we had looked
      return Complain(
          {EBUSY, fmt::format("{0} is in use by now ({1} removed); see `corral why {0}`",
                              groups.ShownPath(i, true), Counted(removed, "group", "groups"))});
    }
    if (!done && (done.error().code != ENOENT || groups.size() == 1)) {
      return Complain(done.error());
    }
    ++removed;
  }
  if (!context.json) return kOk;
  JsonWriter out;
  out.Begin("removed");
  for (const std::size_t i : order) out.Item(JsonOf(groups.PathOf(i, /*with_hierarchy=*/true)));
  out.End();
  return kOk;
}

// ---- mkdir

int Mkdir(const Context& context, const std::string& text) {
  auto named = NamedBy(text);
  if (!named) return Complain(named.error());
  const std::string& path = *named;
  const auto split = SplitHierarchyPath(path);
  const std::size_t begin = split ? split->path.find_first_not_of('/') : std::string::npos;
  if (begin == std::string::npos) {
    Say(fmt::format("mkdir: {} is not a new group's HIERARCHY:/path; inside a mount use mkdir(1)",
                    Printable(path)));
    return kUsage;
  }
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  const wire::Mkdir ask{.name = split->path.substr(begin)};
  auto made = CallOn(*client, ask, split->hierarchy + ":/");
  if (!made) return Complain(made.error());
  if (!made->created) {
    return Complain({EEXIST, Printable(made->path) + " is there already"});
  }
  if (context.json) PrintJson({{"path", JsonOf(made->path)}});
  return kOk;
}

}  // namespace

Form MkdirForm() {
  return FormWithPath(Mkdir, "HIERARCHY:/path; missing groups on the way are made, too");
}

Form KillForm() { return FormWithPath(Kill); }

Form RmForm() {
  struct Options {
    std::string path;
    bool recursive = false;
  };
  auto options = std::make_shared<Options>();
  return {
      {{"-r,--recursive", &options->recursive, "Also the groups below"},
       PathArgument(options->path)},
      [options](const Context& context) { return Rm(context, options->path, options->recursive); }};
}

}  // namespace corral::cli
