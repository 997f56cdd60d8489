// corral ps, corral wait
#include <memory>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/task_info.h"
#include "client/bytes.h"
#include "client/client.h"

namespace corral::cli {
namespace {

using nlohmann::json;

Result<json> Ask(const Context& context, json request, const std::string& path) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Fail(client.error());
  return CallOn(*client, std::move(request), path);
}

int Ps(const Context& context, const std::string& path, bool subtree) {
  auto answer = Ask(context, {{"op", "tasks"}, {"subtree", subtree}}, path);
  if (!answer) return Complain(answer.error());
  json tasks = json::array();
  for (json task : List(*answer, "tasks")) {
    const TaskInfo info = InfoOfTask(static_cast<pid_t>(Number(task, "tid")));
    task["state"] = info.state;
    task["comm"] = info.name;
    tasks.push_back(std::move(task));
  }
  if (context.json) {
    PrintJson({{"path", answer->value("path", "")}, {"tasks", tasks}});
    return kOk;
  }
  Table table({"PID", "TID", "STATE", "COMMAND", "GROUP"});
  for (const json& task : tasks) {
    table.Add({std::to_string(Number(task, "tgid")), std::to_string(Number(task, "tid")),
               Text(task, "state"), Text(task, "comm"), Shown(task, "path")});
  }
  table.Print();
  return kOk;
}

int Wait(const Context& context, const std::string& path) {
  auto answer = Ask(context, {{"op", "wait"}}, path);
  if (!answer) return Complain(answer.error());
  if (context.json) {
    PrintJson({{"path", answer->value("path", "")}, {"existed", Flag(*answer, "existed")}});
  }
  return kOk;  // removed meanwhile: empty it was
}

}  // namespace

Action SetUpPs(CLI::App& parser) {
  struct Options {
    std::string path;
    bool subtree = false;
  };
  auto options = std::make_shared<Options>();
  parser.add_flag("-r,--recursive", options->subtree, "Also the groups below");
  parser.add_option("PATH", options->path, kPathHelp)->required();
  return [options](const Context& context) { return Ps(context, options->path, options->subtree); };
}

Action SetUpWait(CLI::App& parser) {
  auto path = std::make_shared<std::string>();
  parser.add_option("PATH", *path, kPathHelp)->required();
  return [path](const Context& context) { return Wait(context, *path); };
}

}  // namespace corral::cli
