// Operations that look at a cgroup, or wait for it: info, tasks, tree, wait.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "client/bytes.h"
#include "daemon/handlers.h"

namespace corral::operation {

Result<Json> Info(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  Registry& registry = rq.daemon.registry();
  auto events = registry.Events(*id);
  auto info = registry.Info(*id);
  if (!info) return Fail(info.error());
  auto tasks = registry.Tasks(*id);
  return Json{{"id", id->value},
              {"hierarchy", info->hierarchy_name},
              {"path", FullPath(*info)},
              {"children", info->children},
              {"notify_on_release", info->notify_on_release},
              {"populated", events ? events->populated : info->populated},
              {"releases", info->releases},
              {"tasks", tasks ? tasks->size() : 0}};
}

std::vector<std::string> PathsOf(const std::vector<TreeNode>& nodes, const std::string& top) {
  std::vector<std::string> paths{top};
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    const std::string& up = paths[nodes[i].parent];
    paths.push_back((up == "/" ? "" : up) + "/" + nodes[i].name);
  }
  return paths;
}

Result<Json> TasksIn(Registry& registry, const CgroupInfo& top, bool subtree) {
  struct Of {
    CgroupId cgroup;
    std::string path;
  };
  std::map<CssSetId, Of> sets;  // asked for once each
  auto members = registry.SubtreeTasks(top.id);
  if (!members) return Fail(members.error());
  Json tasks = Json::array();
  for (const TaskMember& task : *members) {
    auto known = sets.find(task.set);
    if (known == sets.end()) {
      const CgroupId at = registry.CgroupOfSet(task.set, top.hierarchy);
      known = sets.emplace(task.set, Of{at, ToJsonText(registry.PathOf(at).value_or("?"))}).first;
    }
    if (known->second.cgroup != top.id && !subtree) continue;
    tasks.push_back(
        {{"tid", task.tid.value}, {"tgid", task.tgid.value}, {"path", known->second.path}});
  }
  return tasks;
}

Result<Json> Tasks(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  auto info = rq.daemon.registry().Info(*id);
  if (!info) return Fail(info.error());
  auto tasks = TasksIn(rq.daemon.registry(), *info, Flag(rq, "subtree"));
  if (!tasks) return Fail(tasks.error());
  return Json{{"path", FullPath(*info)}, {"tasks", *std::move(tasks)}};
}

namespace {

// Not recursive: a tree may be deep. Parents come before their children, so from the end each
// node is complete when it is put into its parent.
Result<Json> TreeOf(Registry& registry, CgroupId top) {
  auto info = registry.Info(top);
  if (!info) return Fail(info.error());
  auto nodes = registry.Subtree(top);
  if (!nodes) return Fail(nodes.error());
  const std::vector<std::string> paths = PathsOf(*nodes, info->path);
  std::vector<Json::array_t> children(nodes->size());  // last first
  for (std::size_t i = nodes->size(); i-- > 0;) {
    const TreeNode& node = (*nodes)[i];
    std::reverse(children[i].begin(), children[i].end());
    Json json = {{"name", node.name.empty() ? "/" : ToJsonText(node.name)},
                 {"path", ToJsonText(paths[i])},
                 {"id", node.id.value},
                 {"tasks", node.tasks},
                 {"populated", node.populated},
                 {"notify_on_release", node.notify_on_release},
                 {"children", std::move(children[i])}};
    if (i == 0) return Json{{"hierarchy", info->hierarchy_name}, {"root", std::move(json)}};
    children[node.parent].push_back(std::move(json));
  }
  return Fail(ENOENT, "cgroup {} is gone", top.value);
}

}  // namespace

Result<Json> Tree(Request& rq) {
  Registry& registry = rq.daemon.registry();
  std::vector<CgroupId> tops;
  bool named = false;
  if (NamesCgroup(rq)) {
    auto id = CgroupOf(rq);
    if (!id) return Fail(id.error());
    tops.push_back(*id);
    named = true;
  } else {
    (void)rq.daemon.mounts().size();  // sweeps
    for (const HierarchyInfo& info : registry.Hierarchies()) tops.push_back(info.root);
  }
  Json trees = Json::array();
  for (const CgroupId top : tops) {
    auto tree = TreeOf(registry, top);
    if (tree) {
      trees.push_back(std::move(*tree));
    } else if (named) {
      return Fail(tree.error());
    }  // else: that hierarchy ended meanwhile
  }
  return Json{{"trees", std::move(trees)}};
}

// Registered before the first look, so nothing is missed (spec 10.9, 10.10).
Result<Json> Wait(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  Registry& registry = rq.daemon.registry();
  auto info = registry.Info(*id);
  if (!info) return Fail(info.error());
  if (info->parent.value == 0) {
    return Fail(EINVAL, "{} holds the machine's own tasks and is never empty; wait for a cgroup "
                "below it", FullPath(*info));
  }
  Waiters::Waiter waiter(rq.daemon.waiters(), *id);
  if (waiter.fd() < 0) return Fail(EMFILE, "the daemon has no descriptor left to wait with");
  for (;;) {
    waiter.Reset();
    auto events = registry.Events(*id);
    if (!events) return Json{{"path", FullPath(*info)}, {"existed", false}};
    if (!events->populated) return Json{{"path", FullPath(*info)}, {"existed", true}};
    pollfd fds[] = {{.fd = waiter.fd(), .events = POLLIN, .revents = 0},
                    {.fd = rq.connection, .events = POLLRDHUP, .revents = 0},
                    {.fd = rq.daemon.shutdown_fd(), .events = POLLIN, .revents = 0}};
    ::poll(fds, 3, -1);
    // In this order: at the end of the daemon connections are shut down as well.
    if (fds[2].revents) {
      return Fail(ESHUTDOWN, "the daemon ends; {} may still have tasks", FullPath(*info));
    }
    if (fds[1].revents) return Fail(ECANCELED, "the peer does not wait any more");
  }
}

}  // namespace corral::operation
