// Operations behind `corral why`: what keeps a group from being empty.
#include <unordered_map>

#include "base/errors.h"
#include "daemon/handlers.h"
#include "daemon/pieces.h"

namespace corral::operation {
namespace {

// Tasks that have ended for the group, and that its release still waits for (spec 10.10), with
// their row in the listing. Those of a group below that was removed meanwhile are awaited by the
// nearest one that is left; which that is cannot be told from here, so they count where tasks are
// missing.
std::vector<wire::Why::Awaited> Awaited(Instance& instance, const CgroupInfo& top,
                                        const std::vector<TreeNode>& nodes, bool missing) {
  std::unordered_map<CgroupId, std::size_t> row_of;
  for (std::size_t i = 0; i < nodes.size(); ++i) row_of.emplace(nodes[i].id, i);
  std::vector<wire::Why::Awaited> awaited;
  for (const Leaver& leaver : instance.tracker().Leavers()) {
    const CgroupId at = instance.registry().CgroupOfSet(leaver.set, top.hierarchy);
    if (const auto row = row_of.find(at); row != row_of.end()) {
      awaited.push_back({.tid = leaver.tid.value, .row = row->second});
    } else if (missing && !instance.registry().Exists(at)) {
      awaited.push_back({.tid = leaver.tid.value, .row = std::nullopt});
    }
  }
  return awaited;
}

}  // namespace

AnswerOf<wire::Why> Why(Request& rq, const wire::Why& ask) {
  const CgroupId id = TRY(CgroupOf(rq, ask.group));
  Registry& registry = rq.instance.registry();
  const CgroupInfo info = TRY(registry.Info(id));
  const bool root = info.parent.value == 0;
  std::vector<TreeTask> tasks;
  const auto nodes = TRY(registry.Subtree(id, {.tasks = root ? nullptr : &tasks}));
  Pieces pieces(rq);
  std::size_t rows = 0;
  if (!AddGroups(pieces, nodes, FullPath(info), &rows) || !AddTasks(pieces, tasks)) {
    return PeerIsGone();
  }
  wire::Why::Answer answer{.id = id.value,
                           .path = FullPath(info),
                           .root = root,
                           .populated = nodes.front().populated,
                           .notify_on_release = info.notify_on_release,
                           .releases = info.releases,
                           .awaited = std::nullopt};
  if (!root) {  // the machine's own tasks are counted, not listed
    answer.awaited = Awaited(rq.instance, info, nodes, tasks.empty() && answer.populated);
  }
  return answer;
}

// To which groups the files belong that a look at /proc found.
AnswerOf<wire::Locate> Locate(Request& rq, const wire::Locate& ask) {
  wire::Locate::Answer answer;
  for (const auto& [device, number] : ask.files) {
    const Inode inode{number};
    const auto root = rq.instance.mounts().RootOnDevice(device);
    // FUSE calls a mount's root 1.
    const CgroupId at = root && inode.number == 1 ? *root : inode.cgroup();
    const bool known = root && rq.instance.registry().Exists(at);
    answer.groups.push_back(known ? std::optional(at.value) : std::nullopt);
  }
  return answer;
}

}  // namespace corral::operation
