// corral top: groups by what they use, again and again.
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/errors.h"
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

struct Looked {
  Listing listing;
  std::int64_t time_ns = 0;
};

struct Row {
  std::size_t group;  // in the listing
  double own = 0;     // percent of one CPU, since the look before
  double subtree = 0;
};

Result<Looked> Look(Client& client, const std::string& path) {
  const wire::Top ask;
  auto answer = TRY(path.empty() ? client.List(ask) : ListOn(client, ask, path));
  return Looked{std::move(answer.listing), answer.more.time_ns};
}

double Percent(std::uint64_t now, std::uint64_t before, std::int64_t time) {
  if (time <= 0 || now < before) return 0;
  return static_cast<double>(now - before) * 100 / static_cast<double>(time);
}

std::vector<Row> RowsOf(const Looked& before, const Looked& now) {
  std::unordered_map<std::uint64_t, const Listing::Group*> known;
  for (const Listing::Group& group : before.listing.groups()) known[group.id] = &group;
  const std::int64_t time = now.time_ns - before.time_ns;
  const Listing::Group none;  // a new one has run all of it since
  std::vector<Row> rows;
  for (std::size_t i = 0; i < now.listing.size(); ++i) {
    const Listing::Group& group = now.listing[i];
    const auto at = known.find(group.id);
    const Listing::Group& then = at == known.end() ? none : *at->second;
    rows.push_back({.group = i,
                    .own = Percent(group.own_ns, then.own_ns, time),
                    .subtree = Percent(group.subtree_ns, then.subtree_ns, time)});
  }
  return rows;
}

// By path they are as they come: each followed by all below it.
void Sort(std::vector<Row>& rows, const Listing& listing, const std::string& by) {
  if (by == "path") return;
  std::ranges::stable_sort(rows, std::ranges::greater(), [&](const Row& row) {
    return by == "cpu" ? row.subtree : static_cast<double>(listing[row.group].tasks);
  });
}

std::vector<std::string> LinesOf(const std::vector<Row>& rows, const Listing& listing) {
  std::vector<std::string> lines;
  lines.push_back(
      fmt::format("{:>7} {:>7} {:>7} {:>12}  {}", "TASKS", "CPU%", "+BELOW", "TIME", "GROUP"));
  for (const Row& row : rows) {
    const Listing::Group& group = listing[row.group];
    lines.push_back(fmt::format("{:>7} {:>7.1f} {:>7.1f} {:>12}  {}", group.tasks, row.own,
                                row.subtree, SecondsText(group.subtree_ns),
                                listing.ShownPath(row.group, /*with_hierarchy=*/true)));
  }
  return lines;
}

void PrintFrame(const std::vector<Row>& rows, const Listing& listing, double seconds) {
  json groups = json::array();
  for (const Row& row : rows) {
    const Listing::Group& group = listing[row.group];
    groups.push_back({{"id", group.id},
                      {"path", JsonOf(listing.PathOf(row.group, /*with_hierarchy=*/true))},
                      {"tasks", group.tasks},
                      {"own_ns", group.own_ns},
                      {"subtree_ns", group.subtree_ns},
                      {"cpu_percent", row.own},
                      {"subtree_cpu_percent", row.subtree}});
  }
  PrintJsonLine(stdout, {{"seconds", seconds}, {"groups", std::move(groups)}});
}

int Top(const Context& context, const TopOptions& options) {
  auto client = Client::Connect(context.instance);
  if (!client) return Complain(client.error());
  auto before = Look(*client, options.path);
  if (!before) return Complain(before.error());
  Result<Looked> now;
  {
    TopScreen screen(!context.json && !options.once);
    const std::chrono::milliseconds pause(std::llround(options.interval * 1000));
    while (screen.Pause(pause)) {
      now = Look(*client, options.path);
      if (!now) break;  // said when the screen is the old one again
      std::vector<Row> rows = RowsOf(*before, *now);
      Sort(rows, now->listing, options.sort);
      if (context.json) {
        PrintFrame(rows, now->listing, static_cast<double>(now->time_ns - before->time_ns) / 1e9);
      } else {
        screen.Show(LinesOf(rows, now->listing));
      }
      if (options.once) break;
      before = std::move(now);
      now = Looked();
    }
  }
  return now ? kOk : Complain(now.error());
}

}  // namespace

Form TopForm() {
  auto options = std::make_shared<TopOptions>();
  return {{{"--once", &options->once, "Show one interval and end"},
           {"--sort", OneOf{&options->sort, {"path", "cpu", "tasks"}},
            "path (the default), cpu or tasks"},
           {"--interval", Fraction{&options->interval, 0.1, 3600},
            "Seconds between two looks (default: 1)"},
           OptionalPathArgument(options->path, kPathOrAllHelp)},
          [options](const Context& context) { return Top(context, *options); }};
}

}  // namespace corral::cli
