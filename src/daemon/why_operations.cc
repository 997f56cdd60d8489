// Operations behind `corral why`: what keeps a group from being empty.
#include <cerrno>
#include <unordered_map>

#include "base/errors.h"
#include "daemon/handlers.h"
#include "wire/bytes.h"

namespace corral::operation {
namespace {

// Tasks that have ended for the group, and that its release still waits for (spec 10.10), with
// their row in the listing. Those of a group below that was removed meanwhile are awaited by the
// nearest one that is left; which that is cannot be told from here, so they count where tasks are
// missing.
Json Awaited(Registry& registry, const CgroupInfo& top, const std::vector<TreeNode>& nodes,
             bool missing) {
  std::unordered_map<CgroupId, std::size_t> row_of;
  for (std::size_t i = 0; i < nodes.size(); ++i) row_of.emplace(nodes[i].id, i);
  Json awaited = Json::array();
  for (const Leaver& leaver : registry.tracker().Leavers()) {
    const CgroupId at = registry.CgroupOfSet(leaver.set, top.hierarchy);
    if (const auto row = row_of.find(at); row != row_of.end()) {
      awaited.push_back({leaver.tid.value, row->second});
    } else if (missing && !registry.Exists(at)) {
      awaited.push_back({leaver.tid.value, nullptr});
    }
  }
  return awaited;
}

}  // namespace

Result<Json> Why(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  Registry& registry = rq.daemon.registry();
  auto info = TRY(registry.Info(*id));
  const bool root = info.parent.value == 0;
  std::vector<TreeTask> tasks;
  auto nodes = TRY(registry.Subtree(*id, {.tasks = root ? nullptr : &tasks}));
  Pieces pieces(rq);
  std::size_t rows = 0;
  if (!AddGroups(pieces, nodes, FullPath(info), &rows) || !AddTasks(pieces, tasks)) {
    return PeerIsGone();
  }
  Json answer = pieces.Rest();
  answer["id"] = id->value;
  answer["path"] = FullPath(info);
  answer["root"] = root;
  answer["populated"] = nodes.front().populated;
  answer["notify_on_release"] = info.notify_on_release;
  answer["releases"] = info.releases;
  if (!root) {  // the machine's own tasks are counted, not listed
    answer["awaited"] = Awaited(registry, info, nodes, tasks.empty() && nodes.front().populated);
  }
  return answer;
}

// To which groups the files belong that a look at /proc found.
Result<Json> Locate(Request& rq) {
  Json groups = Json::array();
  for (const Json& file : rq.json.at("files")) {
    const std::uint64_t device = Number(file, "dev");
    const Inode inode{Number(file, "ino")};
    const auto root = rq.daemon.mounts().RootOnDevice(device);
    // FUSE calls a mount's root 1.
    const CgroupId at = root && inode.number == 1 ? *root : inode.cgroup();
    const bool known = root && rq.daemon.registry().Exists(at);
    groups.push_back(known ? Json(at.value) : Json(nullptr));
  }
  return Json{{"groups", std::move(groups)}};
}

}  // namespace corral::operation
