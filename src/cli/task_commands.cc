// corral ps, corral wait
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/hang_watch.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/task_info.h"
#include "client/client.h"

namespace corral::cli {
namespace {

int Ps(const Context& context, const std::string& path, bool subtree) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  auto answer = ListOn(*client, wire::Tasks{.subtree = subtree}, path);
  if (!answer) return Complain(answer.error());
  const Listing& listing = answer->listing;
  if (context.json) {
    JsonWriter out;
    out.Member("path", JsonOf(answer->more.path));
    out.Begin("tasks");
    for (const Listing::Task& task : listing.tasks()) {
      const TaskInfo info = InfoOfTask(static_cast<pid_t>(task.tid));
      out.Item({{"tid", task.tid},
                {"tgid", task.tgid},
                {"group", listing[task.group].id},
                {"path", listing.JsonPath(task.group)},
                {"state", info.state},
                {"comm", info.name}});
    }
    out.End();
    return kOk;
  }
  Table table({"PID", "TID", "STATE", "COMMAND", "GROUP"});
  for (const Listing::Task& task : listing.tasks()) {
    const TaskInfo info = InfoOfTask(static_cast<pid_t>(task.tid));
    table.Add({std::to_string(task.tgid), std::to_string(task.tid), info.state, info.name,
               listing.ShownPath(task.group)});
  }
  table.Print();
  return kOk;
}

int Wait(const Context& context, const std::string& path) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  // What answers at once comes first: a daemon that hangs already is not waited for.
  auto group = CallOn(*client, wire::Info(), path);
  if (!group) return Complain(group.error());
  auto answer = CallAndWait(*client, wire::Wait{.group = wire::GroupName::Id(group->id)});
  const bool gone = !answer && (answer.error().code == ENOENT || answer.error().code == ENODEV);
  if (gone) answer = wire::Wait::Answer{.path = group->path};
  if (!answer) return Complain(answer.error());
  if (context.json) PrintJson(JsonOf(*answer));
  return kOk;  // removed meanwhile: empty it was
}

}  // namespace

Form PsForm() {
  struct Options {
    std::string path;
    bool subtree = false;
  };
  auto options = std::make_shared<Options>();
  return {
      {{"-r,--recursive", &options->subtree, "Also the groups below"}, PathArgument(options->path)},
      [options](const Context& context) { return Ps(context, options->path, options->subtree); }};
}

Form WaitForm() { return FormWithPath(Wait); }

}  // namespace corral::cli
