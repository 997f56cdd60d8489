#include "control/kill.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <set>

#include "base/errors.h"

namespace corral {
namespace {

// Handles held at a time: each costs a descriptor.
constexpr std::size_t kBatch = 512;

using Handles = std::map<Tgid, std::unique_ptr<ProcessHandle>>;

Result<std::set<Tgid>> MemberProcesses(Registry& registry, const Machine& machine,
                                       CgroupId cgroup) {
  auto tasks = TRY(registry.SubtreeTasks(cgroup));
  std::set<Tgid> processes;
  for (const TaskMember& task : tasks) processes.insert(task.tgid);
  processes.erase(machine.OwnProcess());
  return processes;
}

// Handles on the next processes from `from` on, which is moved past them.
Result<Handles> OpenBatch(const Machine& machine, const std::set<Tgid>& processes,
                          std::set<Tgid>::const_iterator* from) {
  Handles handles;
  for (; *from != processes.end() && handles.size() < kBatch; ++*from) {
    auto handle = machine.OpenProcess(**from);
    if (handle) {
      handles.emplace(**from, std::move(*handle));
    } else if (handle.error().code == ESRCH) {
      continue;
    } else if (handles.empty()) {
      return Fail(handle.error());
    } else {
      break;  // out of descriptors, most likely: go on with what we hold
    }
  }
  return handles;
}

}  // namespace

Result<std::vector<Tgid>> KillSubtree(Registry& registry, const Machine& machine, CgroupId cgroup) {
  if (registry.IsRoot(cgroup)) return Fail(EPERM, "a top group cannot be killed");

  std::set<Tgid> signalled;
  bool found_new = true;
  while (found_new) {
    found_new = false;
    const auto listed = TRY(MemberProcesses(registry, machine, cgroup));

    for (auto next = listed.begin(); next != listed.end();) {
      auto handles = TRY(OpenBatch(machine, listed, &next));
      // Between the list and the handle the number may have become another process's. A
      // process that is a member *now* either is the one we hold, or ours is dead and the
      // signal reaches nobody.
      const auto members = TRY(MemberProcesses(registry, machine, cgroup));
      for (const auto& [tgid, handle] : handles) {
        if (!members.contains(tgid)) continue;
        // Also those that were signalled before: should the number have been recycled
        // meanwhile, this is somebody new.
        auto killed = handle->Kill();
        if (!killed && killed.error().code != ESRCH) return Fail(killed.error());
        if (!killed || signalled.insert(tgid).second) found_new = true;
      }
    }
  }
  return std::vector<Tgid>(signalled.begin(), signalled.end());
}

}  // namespace corral
