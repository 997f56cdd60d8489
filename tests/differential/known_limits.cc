#include "differential/known_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace corral::differential {
namespace {

// The reasons. Numbers are those of the behaviour's specification.
constexpr std::string_view kSocket =
    "the socket's mode refuses others before the daemon can say EPERM";
constexpr std::string_view kDirect = "FUSE takes O_DIRECT and changes nothing";
constexpr std::string_view kSize = "a file has a size, or sendfile would copy nothing (4.1, 14)";
constexpr std::string_view kPoll =
    "FUSE says readable and writable; lists never change for a poller";
constexpr std::string_view kPrivateMapping = "FUSE maps privately what it cannot share (14)";
constexpr std::string_view kAttributes = "extended attributes are not kept: EOPNOTSUPP (4.5)";
constexpr std::string_view kTimes = "no operation on contents changes timestamps (4.4)";
constexpr std::string_view kAgent = "an agent has a session of its own and /dev/null (10.4, 14)";
constexpr std::string_view kLongName = "FUSE takes names of at most 1024 bytes (14)";
constexpr std::string_view kSeek =
    "a FUSE server is not told of a seek; the read behind it says ENODEV";
constexpr std::string_view kEmptyWrite = "an empty write is not seen by a FUSE server (4.5, 14)";
constexpr std::string_view kBuffer =
    "what was read once is served on (2); the kernel keeps a line of it";

constexpr KnownLimit kKnownLimits[] = {
    {"EndsOfHierarchies", "mount by another", kSocket},
    {"OpenFlags", "O_DIRECT of a/notify_on_release", kDirect},
    {"OpenFlags", "O_DIRECT of cgroup.sane_behavior", kDirect},
    {"Positions", "seek to the end", kSize},
    {"Positions", "seek for data", kSize},
    {"Positions", "seek for a hole", kSize},
    {"Positions", "seek far beyond", kSize},
    {"ReadingInPieces", "seek to the end", kSize},
    {"Mapping", "size", kSize},
    {"Copying", "copy_file_range inside", kSize},
    {"Positions", "poll of a list", kPoll},
    {"Mapping", "mmap private", kPrivateMapping},
    {"ExtendedAttributes", "user.x of a", kAttributes},
    {"ExtendedAttributes", "trusted.x of a", kAttributes},
    {"ExtendedAttributes", "security.x of a", kAttributes},
    {"ExtendedAttributes", "system.posix_acl_access of a", kAttributes},
    {"ExtendedAttributes", "list of a", kAttributes},
    {"ExtendedAttributes", "user.x of a/tasks", kAttributes},
    {"ExtendedAttributes", "trusted.x of a/tasks", kAttributes},
    {"ExtendedAttributes", "security.x of a/tasks", kAttributes},
    {"ExtendedAttributes", "system.posix_acl_access of a/tasks", kAttributes},
    {"ExtendedAttributes", "list of a/tasks", kAttributes},
    {"ChangingAttributes", "changed by O_TRUNC", kTimes},
    {"HowTheAgentRuns", "session", kAgent},
    {"HowTheAgentRuns", "descriptors", kAgent},
    {"Names", "1025 bytes", kLongName},
    {"Names", "2000 bytes", kLongName},
    {"Names", "4000 bytes", kLongName},
    {"RemovedCgroups", "tasks, seek", kSeek},
    {"RemovedCgroups", "tasks, write nothing", kEmptyWrite},
    {"RemovedCgroups", "cgroup.procs, seek", kSeek},
    {"RemovedCgroups", "cgroup.procs, write nothing", kEmptyWrite},
    {"RemovedCgroups", "notify_on_release, seek", kSeek},
    {"RemovedCgroups", "notify_on_release, write nothing", kEmptyWrite},
    {"RemovedCgroups", "cgroup.clone_children, seek", kSeek},
    {"RemovedCgroups", "cgroup.clone_children, write nothing", kEmptyWrite},
    {"RemovedAfterReading", "a list read partly, from the start", kSeek},
    {"RemovedAfterReading", "a list read partly, read on", kBuffer},
};

bool IsOf(const KnownLimit& limit, std::string_view scenario, std::string_view step) {
  return limit.scenario == scenario && limit.step == step;
}

}  // namespace

std::vector<std::string> Unexplained(std::string_view scenario,
                                     const std::vector<Difference>& differences) {
  std::vector<std::string> complaints;
  for (const Difference& difference : differences) {
    const bool known = std::ranges::any_of(
        kKnownLimits, [&](const auto& limit) { return IsOf(limit, scenario, difference.step); });
    if (known) continue;
    complaints.push_back(fmt::format("{}, step '{}':\n  kernel: {}\n  corral: {}", scenario,
                                     difference.step, difference.kernel, difference.corral));
  }
  for (const KnownLimit& limit : kKnownLimits) {
    if (limit.scenario != scenario) continue;
    const bool seen = std::ranges::any_of(differences, [&](const auto& difference) {
      return IsOf(limit, scenario, difference.step);
    });
    if (seen) continue;
    complaints.push_back(
        fmt::format("{}, step '{}': listed as a known limit ({}), but there is no difference",
                    scenario, limit.step, limit.why));
  }
  return complaints;
}

}  // namespace corral::differential
