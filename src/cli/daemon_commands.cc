// corral start, corral status, corral audit, corral shutdown
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/output.h"
#include "client/bytes.h"
#include "client/client.h"
#include "client/start_daemon.h"

namespace corral::cli {
namespace {

using nlohmann::json;

Result<json> Ask(const Context& context, const json& request) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Fail(client.error());
  auto answer = client->Call(request);
  if (answer) answer->erase("ok");
  return answer;
}

// "name 3, other 1": the counts that are not 0, or `none`.
std::string NonZero(const json& counts) {
  std::string text;
  if (!counts.is_object()) return "none";
  for (const auto& [name, value] : counts.items()) {
    if (!value.is_number() || value == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", name, value.get<std::int64_t>());
  }
  return text.empty() ? "none" : text;
}

// That one runs already is as good, unless it would have to load something.
int Start(const Context& context, const std::vector<std::string>& plugins) {
  auto other = Client::Connect(context.instance);
  const bool runs = other.has_value();
  if (!runs && other.error().code == ETIMEDOUT) return Complain(other.error());
  if (runs) {  // one that hangs is not as good
    if (auto alive = other->Call({{"op", "ping"}}); !alive) return Complain(alive.error());
  }
  if (runs && !plugins.empty()) {
    return Complain({EALREADY, fmt::format("a daemon runs already for instance {}; plug-ins are "
                                           "loaded when it starts: end it with corral shutdown",
                                           context.instance)});
  }
  if (!runs) {
    if (::geteuid() != 0) return Complain({EPERM, "only root may start a daemon"});
    if (auto started = StartDaemon(context.instance, plugins); !started) {
      return Complain(started.error());
    }
  }
  if (context.json) PrintJson({{"instance", context.instance}, {"started", !runs}});
  return kOk;
}

int Status(const Context& context) {
  auto status = Ask(context, {{"op", "status"}});
  if (!status) return Complain(status.error());
  if (context.json) {
    PrintJson(*status);
    return kOk;
  }
  const json none = json::object();
  std::printf("instance              %s\n", Shown(*status, "instance").c_str());
  std::printf("daemon                pid %lld, version %s\n",
              static_cast<long long>(Number(*status, "daemon_pid")),
              Shown(*status, "version").c_str());
  std::printf("tracker               %s, tids below %lld\n", Shown(*status, "tracker").c_str(),
              static_cast<long long>(Number(*status, "tid_capacity")));
  for (const json& plugin : List(*status, "plugins")) {
    std::printf("plug-in               %s, %s\n", Shown(plugin, "subsystem").c_str(),
                Shown(plugin, "file").c_str());
  }
  std::printf("css_sets              %lld\n", static_cast<long long>(Number(*status, "css_sets")));
  std::printf("notifications waiting %lld\n",
              static_cast<long long>(Number(*status, "pending_notifications")));
  std::printf("release agents        %s\n", NonZero(status->value("agents", none)).c_str());
  std::printf("missed by hooks       %s\n\n", NonZero(status->value("misses", none)).c_str());

  Table table({"ID", "HIERARCHY", "GROUPS", "MOUNTS", "AGENT", "OPTIONS"});
  for (const json& hierarchy : List(*status, "hierarchies")) {
    const json& mounts = hierarchy.value("mounts", json(0));
    const std::string agent = Shown(hierarchy, "release_agent");
    table.Add({std::to_string(Number(hierarchy, "id")), Shown(hierarchy, "name"),
               std::to_string(Number(hierarchy, "cgroups")),
               std::to_string(mounts.is_array() ? mounts.size() : mounts.get<std::size_t>()),
               agent.empty() ? "-" : agent, Text(hierarchy, "options")});
  }
  table.Print();
  return kOk;
}

int Audit(const Context& context) {
  auto audit = Ask(context, {{"op", "audit"}});
  if (!audit) return Complain(audit.error());
  const json& differences = List(*audit, "differences");
  if (context.json) {
    PrintJson(*audit);
  } else {
    std::printf("tasks        %lld\n", static_cast<long long>(Number(*audit, "tasks")));
    std::printf("tracked      %lld\n", static_cast<long long>(Number(*audit, "tracked")));
    std::printf("groups       %lld\n", static_cast<long long>(Number(*audit, "cgroups_checked")));
    std::printf("differences  %zu\n", differences.size());
    for (const json& one : differences) {
      Print("  " + (one.is_string() ? FromJsonText(one.get<std::string>()) : one.dump()));
    }
  }
  return differences.empty() ? kOk : kFailed;
}

int Shutdown(const Context& context, bool force) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client && client.error().code == ECONNREFUSED) {
    Say("nothing is running for instance " + context.instance);
    return kOk;
  }
  if (!client) return Complain(client.error());
  auto answer = client->Call({{"op", "shutdown"}, {"force", force}});
  if (!answer) return Complain(answer.error());
  if (auto ended = client->WaitForClose(); !ended) return Complain(ended.error());
  if (context.json) PrintJson({{"instance", context.instance}});
  return kOk;
}

}  // namespace

Action SetUpStart(CLI::App& parser) {
  auto plugins = std::make_shared<std::vector<std::string>>();
  parser.add_option("--plugin", *plugins, "A shared object with a subsystem; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  return [plugins](const Context& context) {
    for (std::string& file : *plugins) file = std::filesystem::absolute(file);
    return Start(context, *plugins);
  };
}

Action SetUpStatus(CLI::App&) { return Status; }
Action SetUpAudit(CLI::App&) { return Audit; }

Action SetUpShutdown(CLI::App& parser) {
  auto force = std::make_shared<bool>(false);
  parser.add_flag("--force", *force, "Even with mounts and groups in use");
  return [force](const Context& context) { return Shutdown(context, *force); };
}

}  // namespace corral::cli
