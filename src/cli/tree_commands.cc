// corral tree, corral ls
#include <langinfo.h>

#include <clocale>
#include <memory>
#include <string_view>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/bytes.h"
#include "client/client.h"

namespace corral::cli {
namespace {

using nlohmann::json;

struct Lines {
  const char* branch;
  const char* last;
  const char* down;
  const char* none;
};
constexpr Lines kUnicode{"├─ ", "└─ ", "│  ", "   "};
constexpr Lines kAscii{"|- ", "`- ", "|  ", "   "};

const Lines& LinesOfTerminal() {
  std::setlocale(LC_CTYPE, "");
  return std::string_view(nl_langinfo(CODESET)) == "UTF-8" ? kUnicode : kAscii;
}

// The trees an answer holds, of everything or of one group.
Result<json> FetchTrees(const Context& context, const std::string& path) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Fail(client.error());
  const json request = {{"op", "tree"}};
  auto answer = path.empty() ? client->Call(request) : CallOn(*client, request, path);
  if (!answer) return Fail(answer.error());
  return List(*answer, "trees");
}

std::string About(const json& node) {
  std::string about = Counted(static_cast<std::size_t>(Number(node, "tasks")), "task", "tasks");
  if (Flag(node, "notify_on_release")) about += ", notify";
  return about;
}

// Without recursion: trees may be 200 levels deep and far more (spec 5.7).
void PrintNodes(const json& root, Table& table) {
  const Lines& lines = LinesOfTerminal();
  struct Pending {
    const json* node;
    std::string lead;  // before the node's own branch
    bool last;
    bool top;
  };
  std::vector<Pending> pending{{&root, "", true, true}};
  while (!pending.empty()) {
    const Pending at = pending.back();
    pending.pop_back();
    std::string lead = at.lead;
    std::string name = Shown(*at.node, at.top ? "path" : "name");
    if (!at.top) {
      name = lead + (at.last ? lines.last : lines.branch) + name;
      lead += at.last ? lines.none : lines.down;
    }
    table.Add({name, About(*at.node)});
    const json& children = List(*at.node, "children");
    for (std::size_t i = children.size(); i-- > 0;) {
      pending.push_back({&children[i], lead, i + 1 == children.size(), false});
    }
  }
}

int Tree(const Context& context, const std::string& path) {
  auto trees = FetchTrees(context, path);
  if (!trees) return Complain(trees.error());
  if (context.json) {
    PrintJson({{"trees", *trees}});
    return kOk;
  }
  bool first = true;
  for (const json& tree : *trees) {
    if (!first) std::puts("");
    first = false;
    Table table({"hierarchy " + Shown(tree, "hierarchy")});
    if (tree.contains("root")) PrintNodes(tree["root"], table);
    table.Print();
  }
  return kOk;
}

int Ls(const Context& context, const std::string& path) {
  auto trees = FetchTrees(context, path);
  if (!trees) return Complain(trees.error());
  // With no group named: the hierarchies themselves.
  json rows = json::array();
  for (const json& tree : *trees) {
    const json root = tree.value("root", json::object());
    if (path.empty()) {
      rows.push_back(root);
      rows.back()["name"] = Text(tree, "hierarchy") + ":/";
    } else {
      for (const json& child : List(root, "children")) rows.push_back(child);
    }
  }
  if (context.json) {
    for (json& row : rows) row.erase("children");
    PrintJson({{"groups", rows}});
    return kOk;
  }
  Table table({"NAME", "TASKS", "GROUPS", "POPULATED", "NOTIFY"});
  for (const json& row : rows) {
    table.Add({Shown(row, "name"), std::to_string(Number(row, "tasks")),
               std::to_string(List(row, "children").size()), Flag(row, "populated") ? "yes" : "no",
               Flag(row, "notify_on_release") ? "yes" : "no"});
  }
  table.Print();
  return kOk;
}

Action WithPath(CLI::App& parser, int (*run)(const Context&, const std::string&)) {
  auto path = std::make_shared<std::string>();
  parser.add_option("PATH", *path, kPathHelp);
  return [path, run](const Context& context) { return run(context, *path); };
}

}  // namespace

Action SetUpTree(CLI::App& parser) { return WithPath(parser, Tree); }
Action SetUpLs(CLI::App& parser) { return WithPath(parser, Ls); }

}  // namespace corral::cli
