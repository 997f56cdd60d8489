// Operations on the instance as a whole: ping, status, acknowledge, mount, remount, audit,
// shutdown.
#include <unistd.h>

#include <cerrno>

#include "base/errors.h"
#include "base/log.h"
#include "daemon/handlers.h"
#include "daemon/pieces.h"
#include "daemon/version.h"

namespace corral::operation {
namespace {

// Spec 3.14. Whoever may speak to us has uid 0, but that may be without the capability, or be
// the root of a user namespace of its own.
Result<void> CheckMayMount(const Request& rq) {
  const Tid peer = rq.session.peer;
  if (peer.value != 0 && rq.instance.tree().machine().IsSysAdmin(peer)) return {};
  return Fail(EPERM, "mounting needs CAP_SYS_ADMIN in the initial user namespace");
}

}  // namespace

// Who asks wants to know whether we get on with our work: a daemon that cannot have its tree for a
// moment is as good as hung.
AnswerOf<wire::Ping> Ping(Request& rq, const wire::Ping&) {
  (void)rq.instance.registry().Hierarchies();
  return wire::Ping::Answer{
      .instance = rq.instance.name(), .daemon_pid = ::getpid(), .version = kVersion};
}

// ---- status

namespace {

std::vector<wire::Status::Hierarchy> HierarchiesOf(Instance& instance) {
  Registry& registry = instance.registry();
  std::vector<wire::Status::Hierarchy> hierarchies;
  for (const HierarchyInfo& info : registry.Hierarchies()) {
    const std::size_t mounts = instance.mounts().CountOf(info.id);
    if (!registry.Root(info.id)) continue;  // that look swept it away
    hierarchies.push_back({.id = info.id.value,
                           .name = info.name,
                           .label = info.label,
                           .subsystems = registry.NamesOf(info.subsystems),
                           .options = instance.mounts().OptionsText(info, /*escaped=*/true),
                           .built_in = info.built_in,
                           .cgroups = info.cgroups,
                           .mounts = mounts,
                           .release_agent = info.release_agent});
  }
  return hierarchies;
}

wire::Status::Agents AgentsOf(const AgentCounts& counts, std::size_t waiting) {
  return {.started = counts.started,
          .refused = counts.refused,
          .not_started = counts.not_started,
          .succeeded = counts.succeeded,
          .failed = counts.failed,
          .unseen = counts.unseen,
          .spawner_deaths = counts.spawner_deaths,
          .running = counts.running,
          .waiting = waiting,
          .limit = counts.limit};
}

wire::Status::Misses MissesOf(const MissCounts& counts) {
  return {.bells = counts.bells,
          .out_of_table = counts.out_of_table,
          .unknown_deaths = counts.unknown_deaths,
          .adopted = counts.adopted,
          .displaced = counts.displaced,
          .retries = counts.retries,
          .recursion = counts.recursion,
          .hidden = counts.hidden};
}

}  // namespace

AnswerOf<wire::Status> Status(Request& rq, const wire::Status&) {
  Instance& instance = rq.instance;
  const TrackingLimits limits = instance.tracking_limits();
  const std::size_t waiting = instance.registry().queue().size();
  wire::Status::Answer answer{
      .instance = instance.name(),
      .daemon_pid = ::getpid(),
      .version = kVersion,
      .tracker = std::string(instance.tracker().name()),
      .tid_capacity = limits.tid_capacity,
      .births_beyond_limits = {.are = std::string(limits.births_beyond_limits),
                               .let_through = limits.births_let_through},
      .not_kept = instance.why_not_kept(),
      .css_sets = instance.registry().css_sets(),
      .hierarchies = HierarchiesOf(instance),
      .pending_notifications = waiting,
      .agents = AgentsOf(instance.agent_counts(), waiting),
      .misses = MissesOf(instance.tracker().misses())};
  for (const auto& [name, text, since] : instance.Health()) {
    answer.health.push_back({name, text, since != 0 ? std::optional(since) : std::nullopt});
  }
  for (const auto& [name, text, harms] : instance.surroundings()) {
    answer.surroundings.push_back({name, text, harms});
  }
  for (const Tgid process : limits.hidden_processes) {
    answer.hidden_processes.push_back(process.value);
  }
  for (const auto& [file, subsystem] : instance.plugins()) {
    answer.plugins.push_back({file, subsystem});
  }
  return answer;
}

AnswerOf<wire::Acknowledge> Acknowledge(Request& rq, const wire::Acknowledge&) {
  rq.instance.incidents().Forget();
  return wire::Done();
}

// ---- mounts

AnswerOf<wire::Mount> Mount(Request& rq, const wire::Mount& ask) {
  TRY(CheckMayMount(rq));
  auto mounted = TRY(rq.instance.mounts().Mount(ask.options, ask.source));
  rq.descriptor = std::move(mounted.descriptor);
  return wire::Mount::Answer{.hierarchy = mounted.hierarchy};
}

AnswerOf<wire::Remount> Remount(Request& rq, const wire::Remount& ask) {
  TRY(CheckMayMount(rq));
  const MountOptions options = TRY(rq.instance.mounts().Remount(ask.dev, ask.options));
  return wire::Remount::Answer{
      .read_only = options.read_only, .nosuid = options.nosuid, .nodev = options.nodev};
}

// ----

AnswerOf<wire::Audit> Audit(Request& rq, const wire::Audit&) {
  const AuditReport report = rq.instance.tracker().Audit();
  std::size_t cgroups = 0;
  for (const HierarchyInfo& info : rq.instance.registry().Hierarchies()) cgroups += info.cgroups;
  Pieces pieces(rq);
  for (const std::string& one : report.differences) {
    if (!pieces.AddText("differences", one)) return PeerIsGone();
  }
  return wire::Audit::Answer{.tasks = report.tasks,
                             .tracked = report.tracked,
                             .unsettled = report.unsettled,
                             .cgroups_checked = cgroups};
}

AnswerOf<wire::Shutdown> Shutdown(Request& rq, const wire::Shutdown& ask) {
  TRY(rq.instance.CheckShutdown(ask.force));
  log::Info("shutdown asked for");
  rq.instance.RequestShutdown();
  return wire::Done();
}

}  // namespace corral::operation
