// corral top: groups by what they use, again and again.
#include <algorithm>
#include <cmath>
#include <memory>
#include <unordered_map>

#include "cli/command.h"
#include "cli/cpu_text.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/top_screen.h"
#include "client/client.h"

namespace corral::cli {
namespace {

using nlohmann::json;

struct TopOptions {
  std::string path;
  std::string sort = "path";
  double interval = 1;
  bool once = false;
};

struct Row {
  json group;  // as the daemon tells it
  std::string path;
  double own = 0;  // percent of one CPU, since the look before
  double subtree = 0;
};

Result<json> Look(Client& client, const std::string& path) {
  const json request = {{"op", "top"}};
  return path.empty() ? client.Call(request) : CallOn(client, request, path);
}

double Percent(std::int64_t now, std::int64_t before, std::int64_t time) {
  if (time <= 0 || now < before) return 0;
  return static_cast<double>(now - before) * 100 / static_cast<double>(time);
}

std::vector<Row> RowsOf(const json& before, const json& now) {
  std::unordered_map<std::int64_t, const json*> known;
  for (const json& group : List(before, "groups")) known[Number(group, "id")] = &group;
  const std::int64_t time = Number(now, "time_ns") - Number(before, "time_ns");
  std::vector<Row> rows;
  for (const json& group : List(now, "groups")) {
    Row& row = rows.emplace_back();
    row.group = group;
    row.path = Text(group, "path");
    // A new one has run all of it since.
    const auto at = known.find(Number(group, "id"));
    const json none = json::object();
    const json& then = at == known.end() ? none : *at->second;
    row.own = Percent(Number(group, "own_ns"), Number(then, "own_ns"), time);
    row.subtree = Percent(Number(group, "subtree_ns"), Number(then, "subtree_ns"), time);
  }
  return rows;
}

void Sort(std::vector<Row>& rows, const std::string& by) {
  if (by == "path") {
    // A group, then all below it: before what has another character in the slash's place.
    std::ranges::sort(rows, {}, [](const Row& row) {
      std::string key = row.path;
      std::ranges::replace(key, '/', '\0');
      return key;
    });
    return;
  }
  std::ranges::stable_sort(rows, std::ranges::greater(), [&](const Row& row) {
    return by == "cpu" ? row.subtree : static_cast<double>(Number(row.group, "tasks"));
  });
}

std::vector<std::string> LinesOf(const std::vector<Row>& rows) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{:>7} {:>7} {:>7} {:>12}  {}", "TASKS", "CPU%", "+BELOW", "TIME",
                              "GROUP"));
  for (const Row& row : rows) {
    lines.push_back(fmt::format("{:>7} {:>7.1f} {:>7.1f} {:>12}  {}", Number(row.group, "tasks"),
                                row.own, row.subtree,
                                SecondsText(Number(row.group, "subtree_ns")),
                                Shown(row.group, "path")));
  }
  return lines;
}

void PrintFrame(const std::vector<Row>& rows, double seconds) {
  json groups = json::array();
  for (const Row& row : rows) {
    json group = row.group;
    group["cpu_percent"] = row.own;
    group["subtree_cpu_percent"] = row.subtree;
    groups.push_back(std::move(group));
  }
  PrintJsonLine(stdout, {{"seconds", seconds}, {"groups", std::move(groups)}});
}

int Top(const Context& context, const TopOptions& options) {
  auto client = Client::Connect(context.instance);
  if (!client) return Complain(client.error());
  auto before = Look(*client, options.path);
  if (!before) return Complain(before.error());
  Result<json> now;
  {
    TopScreen screen(!context.json && !options.once);
    const std::chrono::milliseconds pause(std::llround(options.interval * 1000));
    while (screen.Pause(pause)) {
      now = Look(*client, options.path);
      if (!now) break;  // said when the screen is the old one again
      std::vector<Row> rows = RowsOf(*before, *now);
      Sort(rows, options.sort);
      if (context.json) {
        PrintFrame(rows, static_cast<double>(Number(*now, "time_ns") -
                                             Number(*before, "time_ns")) / 1e9);
      } else {
        screen.Show(LinesOf(rows));
      }
      if (options.once) break;
      before = std::move(now);
      now = json();
    }
  }
  return now ? kOk : Complain(now.error());
}

}  // namespace

Action SetUpTop(CLI::App& parser) {
  auto options = std::make_shared<TopOptions>();
  parser.add_flag("--once", options->once, "Show one interval and end");
  parser.add_option("--sort", options->sort, "path (the default), cpu or tasks")
      ->check(CLI::IsMember({"path", "cpu", "tasks"}));
  parser.add_option("--interval", options->interval, "Seconds between two looks (default: 1)")
      ->check(CLI::Range(0.1, 3600.0));
  parser.add_option("PATH", options->path,
                    "This group and those below it: a directory inside a mount, or "
                    "HIERARCHY:/path (default: every hierarchy)");
  return [options](const Context& context) { return Top(context, *options); };
}

}  // namespace corral::cli
