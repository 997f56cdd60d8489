// corral start, corral status, corral audit, corral shutdown
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/errors.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "client/client.h"
#include "client/start_daemon.h"

namespace corral::cli {
namespace {

using nlohmann::json;

template <Operation Ask>
Result<typename Ask::Answer> AskDaemon(const Context& context, const Ask& ask) {
  auto client = TRY(Client::ConnectOrRecover(context.instance));
  return client.Call(ask);
}

// "name 3, other 1": the counts that are not 0, or `none`.
std::string NonZero(const json& counts) {
  std::string text;
  for (const auto& [name, value] : counts.items()) {
    if (value == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", name, value.get<std::int64_t>());
  }
  return text.empty() ? "none" : text;
}

// The counts, and how many run now where some do.
std::string AgentsLine(const wire::Status::Agents& agents) {
  json counts = JsonOf(agents);
  for (const char* now : {"running", "limit", "waiting"}) counts.erase(now);
  if (agents.running == 0) return NonZero(counts);
  return fmt::format("{}; {} of at most {} run now", NonZero(counts), agents.running, agents.limit);
}

struct StartOptions {
  std::vector<std::string> plugins;
  std::optional<unsigned> max_agents;
};

std::vector<std::string> WordsForDaemon(const StartOptions& options) {
  std::vector<std::string> words;
  for (const std::string& file : options.plugins) {
    words.insert(words.end(), {"--plugin", std::filesystem::absolute(file)});
  }
  if (options.max_agents) {
    words.insert(words.end(), {"--max-agents", std::to_string(*options.max_agents)});
  }
  return words;
}

// That one runs already is as good, unless it would have to load something.
int Start(const Context& context, const std::vector<std::string>& options) {
  auto other = Client::Connect(context.instance);
  const bool runs = other.has_value();
  if (!runs && other.error().code == ETIMEDOUT) return Complain(other.error());
  if (runs) {  // one that hangs is not as good
    if (auto alive = other->Call(wire::Ping()); !alive) return Complain(alive.error());
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

// One line of a status: what it is, and what it is like.
void PrintFact(std::string_view name, std::string_view text) {
  Print(fmt::format("{:<21} {}", name, text));
}

void PrintStatus(const wire::Status::Answer& status) {
  for (const wire::Status::Health& entry : status.health) {
    PrintFact("NOT WELL", Printable(entry.name) + ": " + Printable(entry.text));
  }
  if (!status.health.empty()) Print("");
  PrintFact("instance", Printable(status.instance));
  PrintFact("daemon",
            fmt::format("pid {}, version {}", status.daemon_pid, Printable(status.version)));
  PrintFact("tracker",
            fmt::format("{}, tids below {}", Printable(status.tracker), status.tid_capacity));
  for (const wire::Status::Plugin& plugin : status.plugins) {
    PrintFact("plug-in", Printable(plugin.subsystem) + ", " + Printable(plugin.file));
  }
  PrintFact("css_sets", std::to_string(status.css_sets));
  PrintFact("notifications waiting", std::to_string(status.pending_notifications));
  PrintFact("release agents", AgentsLine(status.agents));
  PrintFact("missed by hooks", NonZero(JsonOf(status.misses)));
  Print("");
  Table table({"ID", "HIERARCHY", "GROUPS", "MOUNTS", "AGENT", "OPTIONS"});
  for (const wire::Status::Hierarchy& one : status.hierarchies) {
    table.Add({std::to_string(one.id), Printable(one.name), std::to_string(one.cgroups),
               std::to_string(one.mounts),
               one.release_agent.empty() ? "-" : Printable(one.release_agent), one.options});
  }
  table.Print();
}

// What is not well comes first, and decides how the command ends.
int Status(const Context& context, bool acknowledge) {
  if (acknowledge) {
    if (auto done = AskDaemon(context, wire::Acknowledge()); !done) return Complain(done.error());
  }
  const auto status = AskDaemon(context, wire::Status());
  if (!status) return Complain(status.error());
  const int end = status->health.empty() ? kOk : kFailed;
  context.json ? PrintJson(JsonOf(*status)) : PrintStatus(*status);
  return end;
}

int Audit(const Context& context) {
  const auto audit = AskDaemon(context, wire::Audit());
  if (!audit) return Complain(audit.error());
  const std::vector<std::string>& differences = audit->differences;
  if (context.json) {
    PrintJson(JsonOf(*audit));
  } else {
    Print(fmt::format("tasks        {}", audit->tasks));
    Print(fmt::format("tracked      {}", audit->tracked));
    Print(fmt::format("groups       {}", audit->cgroups_checked));
    Print(fmt::format("differences  {}", differences.size()));
    for (const std::string& one : differences) Print("  " + one);
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
  auto answer = client->Call(wire::Shutdown{.force = force});
  if (!answer) return Complain(answer.error());
  if (auto ended = client->WaitForClose(); !ended) return Complain(ended.error());
  if (context.json) PrintJson({{"instance", context.instance}});
  return kOk;
}

}  // namespace

Form StartForm() {
  auto options = std::make_shared<StartOptions>();
  return {{{"--plugin",
            &options->plugins,
            "A shared object with a subsystem; may be repeated",
            {.offer = Offer::kFiles, .shown_as = "FILE"}},
           {"--max-agents",
            WholeNumber{&options->max_agents, 1, 10000},  // as corrald
            "How many release agents may run at once; the rest wait (default: 32)",
            {.shown_as = "N"}}},
          [options](const Context& context) { return Start(context, WordsForDaemon(*options)); }};
}

Form StatusForm() {
  auto acknowledge = std::make_shared<bool>(false);
  return {{{"--acknowledge", acknowledge.get(),
            "What happened before now is known, and is not told again"}},
          [acknowledge](const Context& context) { return Status(context, *acknowledge); }};
}

Form AuditForm() { return {{}, Audit}; }

Form ShutdownForm() {
  auto force = std::make_shared<bool>(false);
  return {{{"--force", force.get(), "Even with mounts and groups in use"}},
          [force](const Context& context) { return Shutdown(context, *force); }};
}

}  // namespace corral::cli
