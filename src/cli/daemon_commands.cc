// corral start, corral status, corral audit, corral shutdown
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/errors.h"
#include "cli/command.h"
#include "cli/output.h"
#include "client/client.h"
#include "client/start_daemon.h"
#include "wire/bytes.h"

namespace corral::cli {
namespace {

using nlohmann::json;

Result<json> Ask(const Context& context, const json& request) {
  auto client = TRY(Client::ConnectOrRecover(context.instance));
  auto answer = client.Call(request);
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

// The counts, and how many run now where some do.
std::string AgentsLine(json agents) {
  const auto running = Number(agents, "running");
  const auto limit = Number(agents, "limit");
  for (const char* now : {"running", "limit", "waiting"}) agents.erase(now);
  if (running == 0) return NonZero(agents);
  return fmt::format("{}; {} of at most {} run now", NonZero(agents), running, limit);
}

// That one runs already is as good, unless it would have to load something.
int Start(const Context& context, const std::vector<std::string>& options) {
  auto other = Client::Connect(context.instance);
  const bool runs = other.has_value();
  if (!runs && other.error().code == ETIMEDOUT) return Complain(other.error());
  if (runs) {  // one that hangs is not as good
    if (auto alive = other->Call({{"op", "ping"}}); !alive) return Complain(alive.error());
  }
  if (runs && !options.empty()) {
    return Complain({EALREADY, fmt::format("a daemon runs already for instance {}; it has its "
                                           "plug-ins and limits from its start: end it first",
                                           context.instance)});
  }
  if (!runs) {
    if (::geteuid() != 0) return Complain({EPERM, "only root may start a daemon"});
    auto started = StartDaemon(context.instance, options);
    if (!started) return Complain(started.error());
    if (!started->empty()) Say(*started);
  }
  if (context.json) PrintJson({{"instance", context.instance}, {"started", !runs}});
  return kOk;
}

// What is not well comes first, and decides how the command ends.
int Status(const Context& context, bool acknowledge) {
  if (acknowledge) {
    if (auto done = Ask(context, {{"op", "acknowledge"}}); !done) return Complain(done.error());
  }
  auto status = Ask(context, {{"op", "status"}});
  if (!status) return Complain(status.error());
  const json& health = List(*status, "health");
  const int end = health.empty() ? kOk : kFailed;
  if (context.json) {
    PrintJson(*status);
    return end;
  }
  for (const json& entry : health) {
    std::printf("NOT WELL              %s: %s\n", Shown(entry, "name").c_str(),
                Shown(entry, "text").c_str());
  }
  if (!health.empty()) std::puts("");
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
  std::printf("release agents        %s\n", AgentsLine(status->value("agents", none)).c_str());
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
  return end;
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
  auto max_agents = std::make_shared<std::optional<unsigned>>();
  parser
      .add_option("--max-agents", *max_agents,
                  "How many release agents may run at once; the rest wait (default: 32)")
      ->type_name("N")
      ->check(CLI::Range(1u, 10000u));  // as corrald
  return [plugins, max_agents](const Context& context) {
    std::vector<std::string> options;
    for (const std::string& file : *plugins) {
      options.insert(options.end(), {"--plugin", std::filesystem::absolute(file)});
    }
    if (*max_agents) options.insert(options.end(), {"--max-agents", std::to_string(**max_agents)});
    return Start(context, options);
  };
}

Action SetUpStatus(CLI::App& parser) {
  auto acknowledge = std::make_shared<bool>(false);
  parser.add_flag("--acknowledge", *acknowledge,
                  "What happened before now is known, and is not told again");
  return [acknowledge](const Context& context) { return Status(context, *acknowledge); };
}
Action SetUpAudit(CLI::App&) { return Audit; }

Action SetUpShutdown(CLI::App& parser) {
  auto force = std::make_shared<bool>(false);
  parser.add_flag("--force", *force, "Even with mounts and groups in use");
  return [force](const Context& context) { return Shutdown(context, *force); };
}

}  // namespace corral::cli
