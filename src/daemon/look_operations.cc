// Operations that look at a cgroup, or wait for it: info, tasks, tree, wait.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "base/errors.h"
#include "base/event_fd.h"
#include "daemon/handlers.h"
#include "wire/bytes.h"

namespace corral::operation {

Result<Json> Info(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  Registry& registry = rq.daemon.registry();
  auto events = registry.Events(*id);
  auto info = TRY(registry.Info(*id));
  auto tasks = registry.Tasks(*id);
  return Json{{"id", id->value},
              {"hierarchy", info.hierarchy_name},
              {"path", FullPath(info)},
              {"children", info.children},
              {"notify_on_release", info.notify_on_release},
              {"populated", events ? events->populated : info.populated},
              {"releases", info.releases},
              {"tasks", tasks ? tasks->size() : 0}};
}

// ---- listings

bool Pieces::Put(const char* list, Json item, std::size_t size) {
  constexpr std::size_t kLong = 256 << 10;
  constexpr std::size_t kForEach = 64;  // about what numbers and punctuation take
  piece_[list].push_back(std::move(item));
  size_ += size + kForEach;
  if (size_ < kLong || !rq_.send_piece) return true;
  piece_["ok"] = true;
  piece_["more"] = true;
  const bool sent = rq_.send_piece(piece_);
  piece_ = Json::object();
  size_ = 0;
  return sent;
}

bool Pieces::AddRow(const char* list, Json::array_t row) {
  std::size_t size = 0;
  for (const Json& cell : row) {
    if (cell.is_string()) size += cell.get_ref<const std::string&>().size();
  }
  return Put(list, std::move(row), size);
}

bool Pieces::AddText(const char* list, std::string text) {
  const std::size_t size = text.size();
  return Put(list, std::move(text), size);
}

std::unexpected<Error> PeerIsGone() { return Fail(ECANCELED, "the peer does not read any more"); }

bool AddGroups(Pieces& pieces, const std::vector<TreeNode>& nodes, const std::string& top,
               std::size_t* rows, const std::function<Json::array_t(const TreeNode&)>& more) {
  const std::size_t first = *rows;
  *rows += nodes.size();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const TreeNode& node = nodes[i];
    Json::array_t row = {i == 0 ? Json(nullptr) : Json(first + node.parent),
                         node.id.value,
                         i == 0 ? top : ToJsonText(node.name),
                         node.tasks,
                         node.children,
                         node.populated,
                         node.notify_on_release};
    if (more) std::ranges::move(more(node), std::back_inserter(row));
    if (!pieces.AddRow("groups", std::move(row))) return false;
  }
  return true;
}

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

bool AddTasks(Pieces& pieces, const std::vector<TreeTask>& tasks) {
  for (const TreeTask& task : tasks) {
    if (!pieces.AddRow("tasks", {task.tid.value, task.tgid.value, task.node})) return false;
  }
  return true;
}

Result<Json> Tasks(Request& rq) {
  auto id = TRY(CgroupOf(rq));
  auto info = TRY(rq.daemon.registry().Info(id));
  std::vector<TreeTask> tasks;
  auto nodes = TRY(rq.daemon.registry().Subtree(
      id, {.depth = Flag(rq, "subtree") ? SIZE_MAX : 0, .tasks = &tasks}));
  LeaveOutIdle(nodes, tasks);
  Pieces pieces(rq);
  std::size_t rows = 0;
  if (!AddGroups(pieces, nodes, FullPath(info), &rows) || !AddTasks(pieces, tasks)) {
    return PeerIsGone();
  }
  Json answer = pieces.Rest();
  answer["path"] = FullPath(info);
  return answer;
}

Result<Json> Tree(Request& rq) {
  Registry& registry = rq.daemon.registry();
  const ListOptions options{.depth =
                                rq.json.contains("depth") ? Number(rq.json, "depth") : SIZE_MAX};
  std::vector<CgroupId> tops;
  const bool named = NamesCgroup(rq);
  if (named) {
    auto id = TRY(CgroupOf(rq));
    tops.push_back(id);
  } else {
    (void)rq.daemon.mounts().size();  // sweeps
    for (const HierarchyInfo& info : registry.Hierarchies()) tops.push_back(info.root);
  }
  Pieces pieces(rq);
  std::size_t rows = 0;
  for (const CgroupId top : tops) {
    auto info = registry.Info(top);
    auto nodes = registry.Subtree(top, options);
    if (info && nodes) {
      if (!AddGroups(pieces, *nodes, FullPath(*info), &rows)) return PeerIsGone();
    } else if (named) {
      return Fail(info ? nodes.error() : info.error());
    }  // else: that hierarchy ended meanwhile
  }
  return pieces.Rest();
}

// Registered before the first look, so nothing is missed (spec 10.9, 10.10).
Result<Json> Wait(Request& rq) {
  auto id = TRY(CgroupOf(rq));
  Registry& registry = rq.daemon.registry();
  auto info = TRY(registry.Info(id));
  if (info.parent.value == 0) {
    return Fail(EINVAL,
                "{} holds the machine's own tasks and is never empty; wait for a cgroup "
                "below it",
                FullPath(info));
  }
  EventFd changed;
  if (changed.fd() < 0) return Fail(EMFILE, "the daemon has no descriptor left to wait with");
  Waiters::Entry entry(rq.daemon.waiters(), id, changed);
  for (;;) {
    changed.Reset();
    auto events = registry.Events(id);
    if (!events) return Json{{"path", FullPath(info)}, {"existed", false}};
    if (!events->populated) return Json{{"path", FullPath(info)}, {"existed", true}};
    pollfd fds[] = {{.fd = changed.fd(), .events = POLLIN, .revents = 0},
                    {.fd = rq.connection, .events = POLLRDHUP, .revents = 0},
                    {.fd = rq.daemon.shutdown_fd(), .events = POLLIN, .revents = 0}};
    ::poll(fds, 3, -1);
    // In this order: at the end of the daemon connections are shut down as well.
    if (fds[2].revents) {
      return Fail(ESHUTDOWN, "the daemon ends; {} may still have tasks", FullPath(info));
    }
    if (fds[1].revents) return Fail(ECANCELED, "the peer does not wait any more");
  }
}

}  // namespace corral::operation
