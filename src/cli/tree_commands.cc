// corral tree, corral ls
#include <langinfo.h>

#include <clocale>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/client.h"

namespace corral::cli {
namespace {

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

// Of everything, or of one group, with so many levels below it.
Result<Listing> Fetch(const Context& context, const std::string& path,
                      std::optional<std::uint64_t> depth) {
  auto client = TRY(Client::ConnectOrRecover(context.instance));
  const wire::Tree ask{.depth = depth};
  return TRY(path.empty() ? client.List(ask) : ListOn(client, ask, path)).listing;
}

std::string About(const Listing::Group& group) {
  std::string about = Counted(group.tasks, "task", "tasks");
  if (group.notify) about += ", notify";
  return about;
}

// What is drawn before a group's name. Of groups that are far down a number says how deep they are:
// lines would be as much as the square of the depth.
class Branches {
 public:
  static constexpr std::size_t kDrawn = 40;

  explicit Branches(const Listing& listing) : listing_(listing), is_last_(listing.size()) {
    std::vector<char> seen(listing.size());
    for (std::size_t i = listing.size(); i-- > 0;) {
      if (listing.IsTop(i)) continue;
      is_last_[i] = !std::exchange(seen[listing[i].parent], true);
    }
  }

  // Rows one after the other.
  std::string Before(std::size_t row) {
    const std::size_t depth = listing_[row].depth;
    if (depth == 0) return "";
    if (depth > kDrawn) return fmt::format("{}({} down) ", lead_, depth);
    ends_.resize(depth - 1);
    lead_.resize(ends_.empty() ? 0 : ends_.back());
    const std::string before = lead_ + (is_last_[row] ? lines_.last : lines_.branch);
    lead_ += is_last_[row] ? lines_.none : lines_.down;
    ends_.push_back(lead_.size());
    return before;
  }

 private:
  const Listing& listing_;
  const Lines& lines_ = LinesOfTerminal();
  std::vector<char> is_last_;
  std::string lead_;
  std::vector<std::size_t> ends_;  // of each level's part of it
};

std::string RowJson(const Listing& listing, std::size_t row) {
  const Listing::Group& group = listing[row];
  const bool top = listing.IsTop(row);
  return fmt::format(
      R"({{"id": {}, "parent": {}, "depth": {}, "name": {}, "path": {}, "tasks": {}, )"
      R"("groups": {}, "populated": {}, "notify_on_release": {}}})",
      group.id, top ? "null" : std::to_string(listing[group.parent].id), group.depth,
      JsonText(JsonOf(group.name)), JsonText(listing.JsonPath(row)), group.tasks, group.children,
      group.populated, group.notify);
}

// A list of the groups of each hierarchy, one on a line: no reader has to take an object apart that
// is as deep as the tree.
void PrintTreesJson(const Listing& listing) {
  JsonWriter out;
  out.Begin("trees");
  for (std::size_t i = 0; i < listing.size(); ++i) {
    if (listing.IsTop(i)) {
      if (i != 0) out.End();
      out.BeginItem({{"hierarchy", JsonOf(listing.HierarchyOf(i))}}, "groups");
    }
    out.ItemText(RowJson(listing, i));
  }
  if (listing.size() != 0) out.End();
  out.End();
}

int Tree(const Context& context, const std::string& path) {
  auto listing = Fetch(context, path, std::nullopt);
  if (!listing) return Complain(listing.error());
  if (context.json) {
    PrintTreesJson(*listing);
    return kOk;
  }
  Branches branches(*listing);
  std::optional<Table> table;
  for (std::size_t i = 0; i < listing->size(); ++i) {
    const bool top = listing->IsTop(i);
    if (top) {
      if (table) {
        table->Print();
        Print("");
      }
      table.emplace(std::vector{"hierarchy " + Printable(listing->HierarchyOf(i))});
    }
    const std::string name = top ? listing->ShownPath(i) : Printable((*listing)[i].name);
    table->Add({branches.Before(i) + name, About((*listing)[i])});
  }
  if (table) table->Print();
  return kOk;
}

// With no group named: the hierarchies themselves.
int Ls(const Context& context, const std::string& path) {
  auto listing = Fetch(context, path, path.empty() ? 0 : 1);
  if (!listing) return Complain(listing.error());
  const std::size_t first = path.empty() ? 0 : 1;
  if (context.json) {
    JsonWriter out;
    out.Begin("groups");
    for (std::size_t i = first; i < listing->size(); ++i) out.ItemText(RowJson(*listing, i));
    out.End();
    return kOk;
  }
  Table table({"NAME", "TASKS", "GROUPS", "POPULATED", "NOTIFY"});
  for (std::size_t i = first; i < listing->size(); ++i) {
    const Listing::Group& group = (*listing)[i];
    table.Add({Printable(group.name), std::to_string(group.tasks), std::to_string(group.children),
               group.populated ? "yes" : "no", group.notify ? "yes" : "no"});
  }
  table.Print();
  return kOk;
}

Form WithOptionalPath(int (*run)(const Context&, const std::string&)) {
  auto path = std::make_shared<std::string>();
  return {{OptionalPathArgument(*path)},
          [path, run](const Context& context) { return run(context, *path); }};
}

}  // namespace

Form TreeForm() { return WithOptionalPath(Tree); }
Form LsForm() { return WithOptionalPath(Ls); }

}  // namespace corral::cli
