// corral stat: what one group holds and has used.
#include <algorithm>
#include <memory>
#include <utility>

#include "cli/command.h"
#include "cli/cpu_text.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/client.h"
#include "wire/bytes.h"

namespace corral::cli {
namespace {

using nlohmann::json;

std::string TasksText(const json& of) {
  return fmt::format(
      "{} in {}", Counted(static_cast<std::size_t>(Number(of, "tasks")), "task", "tasks"),
      Counted(static_cast<std::size_t>(Number(of, "processes")), "process", "processes"));
}

std::string CpuOf(const json& of) {
  const auto cpu = of.find("cpu");
  if (cpu == of.end() || !cpu->is_object()) return "not metered: no cpuacct is mounted";
  return CpuText(*cpu);
}

// A file of one line stands behind its name; others go on below.
void AddFile(Table& table, const json& file) {
  std::string label = Shown(file, "name");
  if (file.contains("error")) {
    table.Add({label, Shown(file, "error")});
    return;
  }
  const std::string content = Text(file, "content");
  for (std::size_t begin = 0; begin < content.size() || !label.empty();) {
    const std::size_t end = std::min(content.find('\n', begin), content.size());
    table.Add({std::exchange(label, ""), Printable(content.substr(begin, end - begin))});
    begin = end + 1;
  }
}

int Stat(const Context& context, const std::string& path) {
  auto client = Client::Connect(context.instance);
  if (!client) return Complain(client.error());
  auto answer = CallOn(*client, {{"op", "stat"}}, path);
  if (!answer) return Complain(answer.error());
  if (context.json) {
    answer->erase("ok");
    PrintJson(*answer);
    return kOk;
  }
  const json subtree = answer->value("subtree", json::object());
  Table table({"group", Shown(*answer, "path")});
  table.Add({"groups", std::to_string(Number(*answer, "groups"))});
  table.Add({"tasks", TasksText(*answer)});
  table.Add({"with those below", TasksText(subtree)});
  table.Add({"CPU", CpuOf(*answer)});
  table.Add({"with those below", CpuOf(subtree)});
  for (const json& file : List(*answer, "files")) AddFile(table, file);
  table.Print();
  return kOk;
}

}  // namespace

Action SetUpStat(CLI::App& parser) {
  auto path = std::make_shared<std::string>();
  parser.add_option("PATH", *path, kPathHelp)->required();
  return [path](const Context& context) { return Stat(context, *path); };
}

}  // namespace corral::cli
