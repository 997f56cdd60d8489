// Operations behind `corral why`: what keeps a group from being empty.
#include <cerrno>
#include <map>

#include "client/bytes.h"
#include "daemon/handlers.h"

namespace corral::operation {
namespace {

// Where a css_set is in one hierarchy: whether at or below a group, and its path.
class Below {
 public:
  Below(Registry& registry, const CgroupInfo& top) : registry_(registry), top_(top) {}

  // Nothing: elsewhere, or removed.
  std::optional<std::string> PathOf(CgroupId cgroup) const {
    auto info = registry_.Info(cgroup);
    if (!info || info->hierarchy != top_.hierarchy) return std::nullopt;
    const bool inside =
        top_.path == "/" || info->path == top_.path || info->path.starts_with(top_.path + "/");
    return inside ? std::optional(info->path) : std::nullopt;
  }

 private:
  Registry& registry_;
  const CgroupInfo& top_;
};

// Tasks that have ended for the group, and that its release still waits for (spec 10.10).
// Those of a group below that was removed meanwhile are awaited by the nearest one that is
// left; which that is cannot be told from here, so they count where tasks are missing.
Json Awaited(Registry& registry, const CgroupInfo& top, bool missing) {
  const Below below(registry, top);
  Json awaited = Json::array();
  for (const Leaver& leaver : registry.tracker().Leavers()) {
    const CgroupId at = registry.CgroupOfSet(leaver.set, top.hierarchy);
    if (const auto path = below.PathOf(at)) {
      awaited.push_back({{"tid", leaver.tid.value}, {"path", ToJsonText(*path)}});
    } else if (missing && !registry.Exists(at)) {
      awaited.push_back({{"tid", leaver.tid.value}, {"path", nullptr}});
    }
  }
  return awaited;
}

Json GroupsBelow(const std::vector<TreeNode>& nodes, const std::string& top) {
  Json groups = Json::array();
  const std::vector<std::string> paths = PathsOf(nodes, top);
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    groups.push_back({{"path", ToJsonText(paths[i])},
                      {"tasks", nodes[i].tasks},
                      {"populated", nodes[i].populated}});
  }
  return groups;
}

}  // namespace

Result<Json> Why(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  Registry& registry = rq.daemon.registry();
  auto info = registry.Info(*id);
  if (!info) return Fail(info.error());
  auto nodes = registry.Subtree(*id);
  if (!nodes) return Fail(nodes.error());
  const bool root = info->parent.value == 0;
  Json answer = {{"id", id->value},
                 {"path", FullPath(*info)},
                 {"root", root},
                 {"populated", nodes->front().populated},
                 {"notify_on_release", info->notify_on_release},
                 {"releases", info->releases},
                 {"groups", GroupsBelow(*nodes, info->path)}};
  if (root) {  // all tasks of the machine: counted, not listed
    answer["own_tasks"] = nodes->front().tasks;
    return answer;
  }
  std::size_t counted = 0;
  for (const TreeNode& node : *nodes) counted += node.tasks;
  auto tasks = TasksIn(registry, *info, true);
  if (!tasks) return Fail(tasks.error());
  answer["tasks"] = *std::move(tasks);
  answer["awaited"] = Awaited(registry, *info, counted == 0 && nodes->front().populated);
  return answer;
}

// To which groups at or below the one named the files belong that a look at /proc found.
Result<Json> Locate(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  auto info = rq.daemon.registry().Info(*id);
  if (!info) return Fail(info.error());
  const Below below(rq.daemon.registry(), *info);
  Json paths = Json::array();
  for (const Json& file : rq.json.at("files")) {
    const std::uint64_t device = Number(file, "dev");
    const Inode inode{Number(file, "ino")};
    const auto root = rq.daemon.mounts().RootOnDevice(device);
    // FUSE calls a mount's root 1.
    const CgroupId at = root && inode.number == 1 ? *root : inode.cgroup();
    const auto path = root ? below.PathOf(at) : std::nullopt;
    paths.push_back(path ? Json(ToJsonText(*path)) : Json(nullptr));
  }
  return Json{{"paths", std::move(paths)}};
}

}  // namespace corral::operation
