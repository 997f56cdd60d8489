// Operations that list groups and tasks: tasks, tree.
#include "base/errors.h"
#include "daemon/handlers.h"
#include "daemon/pieces.h"

namespace corral::operation {
namespace {

// A listing without the groups that have no task, themselves or below; the first one stays.
void LeaveOutIdle(std::vector<TreeNode>& nodes, std::vector<TreeTask>& tasks) {
  std::vector<char> kept(nodes.size());
  for (std::size_t i = nodes.size(); i-- > 0;) {
    if (i == 0 || nodes[i].tasks != 0) kept[i] = true;
    if (kept[i]) kept[nodes[i].parent] = true;
  }
  std::vector<std::size_t> now(nodes.size());
  std::vector<TreeNode> rest;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!kept[i]) continue;
    now[i] = rest.size();
    rest.push_back(std::move(nodes[i]));
    rest.back().parent = now[rest.back().parent];  // parents come first
  }
  for (TreeTask& task : tasks) task.node = now[task.node];
  nodes = std::move(rest);
}

}  // namespace

AnswerOf<wire::Tasks> Tasks(Request& rq, const wire::Tasks& ask) {
  const CgroupId id = TRY(CgroupOf(rq, ask.group));
  Registry& registry = rq.instance.registry();
  const CgroupInfo info = TRY(registry.Info(id));
  std::vector<TreeTask> tasks;
  std::vector<TreeNode> nodes =
      TRY(registry.Subtree(id, {.depth = ask.subtree ? SIZE_MAX : 0, .tasks = &tasks}));
  LeaveOutIdle(nodes, tasks);
  Pieces pieces(rq);
  std::size_t rows = 0;
  if (!AddGroups(pieces, nodes, FullPath(info), &rows) || !AddTasks(pieces, tasks)) {
    return PeerIsGone();
  }
  return wire::Tasks::Answer{.path = FullPath(info)};
}

AnswerOf<wire::Tree> Tree(Request& rq, const wire::Tree& ask) {
  Registry& registry = rq.instance.registry();
  std::vector<CgroupId> tops;
  const bool named = !ask.group.empty();
  if (named) {
    tops.push_back(TRY(CgroupOf(rq, ask.group)));
  } else {
    (void)rq.instance.mounts().size();  // sweeps
    for (const HierarchyInfo& info : registry.Hierarchies()) tops.push_back(info.root);
  }
  Pieces pieces(rq);
  std::size_t rows = 0;
  for (const CgroupId top : tops) {
    const auto info = registry.Info(top);
    const auto nodes = registry.Subtree(top, {.depth = ask.depth.value_or(SIZE_MAX)});
    if (info && nodes) {
      if (!AddGroups(pieces, *nodes, FullPath(*info), &rows)) return PeerIsGone();
    } else if (named) {
      return Fail(info ? nodes.error() : info.error());
    }  // else: that hierarchy ended meanwhile
  }
  return wire::Tree::Answer();
}

}  // namespace corral::operation
