#include "daemon/health.h"

#include <fmt/format.h>

#include "daemon/daemon.h"

namespace corral {
namespace {

// Each: empty, or the sentence. A row in docs/operations.md for each name.
struct Condition {
  const char* name;
  std::string (*look)(Daemon& daemon);
};

std::string SpawnerDown(Daemon& daemon) { return daemon.AgentTrouble(); }

// Those of the counters that a resync does not mend.
std::string HooksMissed(Daemon& daemon) {
  const MissCounts misses = daemon.tracker().misses();
  if (misses.out_of_table) {
    return fmt::format(
        "{} times a task or group was beyond the tables and is not tracked: was "
        "kernel.pid_max raised?",
        misses.out_of_table);
  }
  if (misses.retries) {
    return fmt::format("{} tasks may be in a wrong group: see corral audit, and place them again",
                       misses.retries);
  }
  return "";
}

std::string PinsGone(Daemon& daemon) { return daemon.tracker().pins_trouble(); }

std::string RuntimeDirGone(Daemon& daemon) { return daemon.RuntimeTrouble(); }

std::string NotKept(Daemon& daemon) {
  const std::string& why = daemon.why_not_kept();
  return why.empty() ? "" : "groups do not survive an end of the daemon: " + why;
}

std::string ChangesNotKept(Daemon& daemon) { return daemon.StoreTrouble(); }

std::string Surroundings(Daemon& daemon) {
  std::string text;
  for (const NotLeft& left : daemon.surroundings()) {
    if (left.harms) text += (text.empty() ? "" : "; ") + left.text;
  }
  return text;
}

constexpr Condition kConditions[] = {
    {"spawner_down", SpawnerDown},  {"hooks_missed", HooksMissed},
    {"pins_gone", PinsGone},        {"runtime_dir_gone", RuntimeDirGone},
    {"not_kept", NotKept},          {"changes_not_kept", ChangesNotKept},
    {"surroundings", Surroundings},
};

}  // namespace

std::vector<HealthEntry> HealthOf(Daemon& daemon) {
  std::vector<HealthEntry> all = daemon.incidents().All();
  for (const auto& [name, look] : kConditions) {
    if (std::string text = look(daemon); !text.empty()) all.push_back({name, std::move(text)});
  }
  return all;
}

}  // namespace corral
