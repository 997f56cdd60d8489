// corral stat: what one group holds and has used.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/text.h"
#include "cli/command.h"
#include "cli/cpu_text.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/client.h"

namespace corral::cli {
namespace {

template <typename Counts>
std::string TasksText(const Counts& of) {
  return fmt::format("{} in {}", Counted(of.tasks, "task", "tasks"),
                     Counted(of.processes, "process", "processes"));
}

std::string CpuOf(const std::optional<wire::Cpu>& cpu) {
  return cpu ? CpuText(*cpu) : "not metered: no cpuacct is mounted";
}

// A file of one line stands behind its name; others go on below.
void AddFile(Table& table, const wire::Stat::File& file) {
  std::string label = Printable(file.name);
  if (file.error) {
    table.Add({label, Printable(*file.error)});
    return;
  }
  const std::string content = file.content.value_or("");
  for (std::size_t begin = 0; begin < content.size() || !label.empty();) {
    const std::size_t end = std::min(content.find('\n', begin), content.size());
    table.Add({std::exchange(label, ""), Printable(content.substr(begin, end - begin))});
    begin = end + 1;
  }
}

int Stat(const Context& context, const std::string& path) {
  auto client = Client::Connect(context.instance);
  if (!client) return Complain(client.error());
  const auto stat = CallOn(*client, wire::Stat(), path);
  if (!stat) return Complain(stat.error());
  if (context.json) {
    PrintJson(JsonOf(*stat));
    return kOk;
  }
  Table table({"group", Printable(stat->path)});
  table.Add({"groups", std::to_string(stat->groups)});
  table.Add({"tasks", TasksText(*stat)});
  table.Add({"with those below", TasksText(stat->subtree)});
  table.Add({"CPU", CpuOf(stat->cpu)});
  table.Add({"with those below", CpuOf(stat->subtree.cpu)});
  for (const wire::Stat::File& file : stat->files) AddFile(table, file);
  table.Print();
  return kOk;
}

}  // namespace

Form StatForm() { return FormWithPath(Stat); }

}  // namespace corral::cli
