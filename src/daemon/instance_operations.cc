// Operations on the instance as a whole: ping, status, mount, audit, shutdown.
#include <unistd.h>

#include <cerrno>

#include "base/errors.h"
#include "base/log.h"
#include "daemon/handlers.h"
#include "daemon/version.h"
#include "wire/bytes.h"

namespace corral::operation {
namespace {

// Spec 3.14. Whoever may speak to us has uid 0, but that may be without the capability, or be
// the root of a user namespace of its own.
Result<void> CheckMayMount(const Request& rq) {
  const Tid peer = rq.session.peer;
  if (peer.value != 0 && rq.daemon.tree().host().IsSysAdmin(peer)) return {};
  return Fail(EPERM, "mounting needs CAP_SYS_ADMIN in the initial user namespace");
}

}  // namespace

// Who asks wants to know whether we get on with our work: a daemon that cannot have its tree for a
// moment is as good as hung.
Result<Json> Ping(Request& rq) {
  (void)rq.daemon.registry().Hierarchies();
  return Json{
      {"instance", rq.daemon.instance()}, {"daemon_pid", ::getpid()}, {"version", kVersion}};
}

Result<Json> Status(Request& rq) {
  Daemon& d = rq.daemon;
  Json hierarchies = Json::array();
  for (const HierarchyInfo& info : d.registry().Hierarchies()) {
    const std::size_t mounts = d.mounts().CountOf(info.id);
    if (!d.registry().Root(info.id)) continue;  // that look swept it away
    hierarchies.push_back({{"id", info.id.value},
                           {"name", info.name},
                           {"label", info.label},
                           {"subsystems", d.registry().NamesOf(info.subsystems)},
                           {"options", ToJsonText(d.mounts().OptionsText(info, /*escaped=*/true))},
                           {"built_in", info.built_in},
                           {"cgroups", info.cgroups},
                           {"mounts", mounts},
                           {"release_agent", ToJsonText(info.release_agent)}});
  }
  Json plugins = Json::array();
  for (const auto& [file, subsystem] : d.plugins()) {
    plugins.push_back({{"file", ToJsonText(file)}, {"subsystem", subsystem}});
  }
  const AgentCounts agents = d.agents().counts();
  const MissCounts misses = d.tracker().misses();
  Json hidden = Json::array();
  for (const Tgid process : d.tracker().hidden_processes()) hidden.push_back(process.value);
  Json health = Json::array();
  for (const auto& [name, text, since] : d.Health()) {
    health.push_back({{"name", name}, {"text", ToJsonText(text)}});
    if (since != 0) health.back()["since"] = since;
  }
  Json surroundings = Json::array();
  for (const auto& [name, text, harms] : d.surroundings()) {
    surroundings.push_back({{"name", name}, {"text", ToJsonText(text)}, {"harms", harms}});
  }
  return Json{{"instance", d.instance()},
              {"daemon_pid", ::getpid()},
              {"version", kVersion},
              {"health", health},
              {"surroundings", surroundings},
              {"tracker", d.tracker().name()},
              {"tid_capacity", d.tracker().tid_capacity()},
              {"hidden_processes", hidden},
              {"births_beyond_limits",
               {{"are", d.tracker().births_beyond_limits()},
                {"let_through", d.tracker().births_let_through()}}},
              {"not_kept", d.why_not_kept()},
              {"css_sets", d.registry().css_sets()},
              {"hierarchies", hierarchies},
              {"plugins", plugins},
              {"pending_notifications", d.registry().queue().size()},
              {"agents",
               {{"started", agents.started},
                {"refused", agents.refused},
                {"not_started", agents.not_started},
                {"succeeded", agents.succeeded},
                {"failed", agents.failed},
                {"unseen", agents.unseen},
                {"spawner_deaths", agents.spawner_deaths},
                {"running", agents.running},
                {"waiting", d.registry().queue().size()},
                {"limit", agents.limit}}},
              {"misses",
               {{"bells", misses.bells},
                {"out_of_table", misses.out_of_table},
                {"unknown_deaths", misses.unknown_deaths},
                {"adopted", misses.adopted},
                {"displaced", misses.displaced},
                {"retries", misses.retries},
                {"recursion", misses.recursion},
                {"hidden", misses.hidden}}}};
}

Result<Json> Acknowledge(Request& rq) {
  rq.daemon.incidents().Forget();
  return Json::object();
}

Result<Json> Mount(Request& rq) {
  TRY(CheckMayMount(rq));
  auto mounted = TRY(rq.daemon.mounts().Mount(FromJsonText(rq.json.value("options", "")),
                                              FromJsonText(rq.json.value("source", "none"))));
  rq.descriptor = std::move(mounted.descriptor);
  return Json{{"hierarchy", mounted.hierarchy}};
}

Result<Json> Remount(Request& rq) {
  TRY(CheckMayMount(rq));
  const auto options = TRY(rq.daemon.mounts().Remount(Number(rq.json, "dev"),
                                                      FromJsonText(rq.json.value("options", ""))));
  return Json{
      {"read_only", options.read_only}, {"nosuid", options.nosuid}, {"nodev", options.nodev}};
}

Result<Json> Audit(Request& rq) {
  const AuditReport report = rq.daemon.tracker().Audit();
  std::size_t cgroups = 0;
  for (const HierarchyInfo& info : rq.daemon.registry().Hierarchies()) cgroups += info.cgroups;
  Pieces pieces(rq);
  for (const std::string& one : report.differences) {
    if (!pieces.AddText("differences", ToJsonText(one))) return PeerIsGone();
  }
  Json answer = pieces.Rest();
  if (!answer.contains("differences")) answer["differences"] = Json::array();
  answer["tasks"] = report.tasks;
  answer["tracked"] = report.tracked;
  answer["unsettled"] = report.unsettled;
  answer["cgroups_checked"] = cgroups;
  return answer;
}

Result<Json> Shutdown(Request& rq) {
  TRY(rq.daemon.CheckShutdown(Flag(rq, "force")));
  log::Info("shutdown asked for");
  rq.daemon.RequestShutdown();
  return Json::object();
}

}  // namespace corral::operation
