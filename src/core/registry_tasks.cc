// Registry: tasks: who goes where, who is where.
#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/errors.h"
#include "core/operation.h"
#include "core/registry.h"

namespace corral {

// ---- moves

void Registry::KeepInRoots(std::set<Tgid> processes) {
  TreeLock lock(core_->tree_mu);
  core_->moves.KeepInRoots(std::move(processes));
}

Result<void> Registry::Attach(CgroupId id, Tid tid, const AttachGuard& guard) {
  Operation operation(*core_);
  Cgroup& to = *TRY(core_->tree.Find(id, ENODEV));
  const auto still = core_->tracker.HoldTasks();
  const Place place = TRY(core_->tracker.Describe(tid));
  TRY(core_->moves.CheckMayGo(to, place.tgid));
  core_->releases.Judge(to);
  std::vector<Moves::Moved> moved;
  auto done = core_->moves.MoveTask(to, tid, place.tgid, &moved);
  return core_->moves.Finish(to, std::move(done), moved, guard);
}

Result<Tgid> Registry::ProcessOf(Tid tid) const { return Moves::ProcessOf(core_->tracker, tid); }

namespace {

// A process of which no live task is seen is gone, or was inside exec each time (I6): a few
// pauses tell. They are made without any lock.
constexpr int kProcessLooks = 20;
constexpr auto kPause = std::chrono::microseconds(500);

void Pause() {
  Mutex mu;
  CondVar never;
  MutexLock lock(mu);
  never.WaitFor(mu, kPause);
}

}  // namespace

Result<void> Registry::AttachProcess(CgroupId id, Tid tid, const AttachGuard& guard) {
  std::optional<Tgid> process;
  for (int look = 0; look < kProcessLooks; ++look) {
    if (look != 0) Pause();
    Operation operation(*core_);
    Cgroup& to = *TRY(core_->tree.Find(id, ENODEV));
    const auto still = core_->tracker.HoldTasks();
    if (!process) process = TRY(ProcessOf(tid));
    TRY(core_->moves.CheckMayGo(to, *process));
    core_->releases.Judge(to);
    std::vector<Moves::Moved> moved;
    const auto seen = core_->moves.MoveProcess(to, *process, &moved);
    if (seen && *seen == Moves::Seen::kNobody) continue;
    auto done = seen ? Result<void>() : Result<void>(Fail(seen.error()));
    return core_->moves.Finish(to, std::move(done), moved, guard);
  }
  return Fail(ESRCH, "no live process {}", process->value);
}

Result<Tgid> Registry::ProcessOfLive(Tid tid) const {
  return TRY(core_->tracker.Describe(tid)).tgid;
}

void Registry::ForEachTask(const std::function<void(Tid, Tgid)>& fn) const {
  core_->tracker.ForEachTask([&](Tid tid, Place place) { fn(tid, place.tgid); });
}

// Spec 13.7.
Result<CgroupId> Registry::Clone(HierarchyId id, Tid tid) {
  Operation operation(*core_);
  Hierarchy& hierarchy = *TRY(core_->tree.FindHierarchy(id));
  const auto still = core_->tracker.HoldTasks();
  const Place place = TRY(core_->tracker.Describe(tid));
  Cgroup& parent = core_->tree.CgroupIn(hierarchy, core_->sets.PlaceIn(place.set, id));
  std::string name = fmt::format("task_{}", tid.value);
  for (int again = 2; parent.children.contains(name); ++again) {
    name = fmt::format("task_{}_{}", tid.value, again);
  }
  Cgroup& made = *TRY(core_->tree_changes.Mkdir(parent, name, {}, /*clone=*/true));
  std::vector<Moves::Moved> moved;
  auto done = core_->moves.CheckMayGo(made, place.tgid);
  if (done) done = core_->moves.MoveTask(made, tid, place.tgid, &moved);
  done = core_->moves.Finish(made, std::move(done), moved, {});
  if (done) return made.id;
  // Nothing of it stays, and nobody is told: it never was there for anybody, nor had a task.
  TRY(core_->tree_changes.TakeBack(made, TreeChanges::References::kKeepIt));
  return Fail(done.error());
}

// ---- listing

namespace {

struct Spot {
  HierarchyId hierarchy;
  CgroupId place;
};

Result<Spot> SpotOf(Core& core, CgroupId id) {
  TreeLock lock(core.tree_mu);
  const Cgroup& cgroup = *TRY(core.tree.Find(id, ENODEV));
  return Spot{cgroup.hierarchy->id, cgroup.place()};
}

}  // namespace

Result<std::vector<Tid>> Registry::Tasks(CgroupId id) const {
  const Spot spot = TRY(SpotOf(*core_, id));
  return core_->sets.TasksAt(spot.hierarchy, spot.place);
}

std::vector<Tgid> ProcessesOf(const std::vector<TaskMember>& tasks) {
  std::vector<Tgid> tgids;
  for (const TaskMember& task : tasks) tgids.push_back(task.tgid);
  std::sort(tgids.begin(), tgids.end());
  tgids.erase(std::unique(tgids.begin(), tgids.end()), tgids.end());
  return tgids;
}

Result<std::vector<Tgid>> Registry::Processes(CgroupId id) const {
  const Spot spot = TRY(SpotOf(*core_, id));
  std::vector<TaskMember> tasks;
  core_->sets.ForEachTaskIn(
      spot.hierarchy, [&](CgroupId at) { return at == spot.place; },
      [&](Tid tid, Place at) {
        tasks.push_back({tid, at.tgid, at.set});
      });
  return ProcessesOf(tasks);
}

Result<std::vector<TaskMember>> Registry::SubtreeTasks(CgroupId id) const {
  TreeLock lock(core_->tree_mu);
  const Cgroup& top = *TRY(core_->tree.Find(id, ENODEV));
  std::vector<TaskMember> tasks;
  CgroupTree::KnownBelow known;
  core_->sets.ForEachTaskIn(
      top.hierarchy->id,
      [&](CgroupId at) REQUIRES(the_tree) { return core_->tree.IsBelow(at, top, known); },
      [&](Tid tid, Place place) {
        tasks.push_back({.tid = tid, .tgid = place.tgid, .set = place.set});
      });
  return tasks;
}

Result<CgroupId> Registry::CgroupOf(Tid tid, HierarchyId id) const {
  TreeLock lock(core_->tree_mu);
  Hierarchy& hierarchy = *TRY(core_->tree.FindHierarchy(id));
  const Place place = TRY(core_->tracker.Describe(tid));
  const CgroupId cgroup = core_->sets.PlaceIn(place.set, id);
  return cgroup.value ? cgroup : hierarchy.root.id;
}

CgroupId Registry::CgroupOfSet(CssSetId set, HierarchyId hierarchy) const {
  const CgroupId cgroup = core_->sets.PlaceIn(set, hierarchy);
  return cgroup.value ? cgroup : Root(hierarchy).value_or(CgroupId{});
}

// As Events() for each cgroup, with one walk for all of them. A task is told with the cgroups of
// the same moment.
Result<std::vector<TreeNode>> Registry::Subtree(CgroupId id, const ListOptions& options) {
  bool open = false;
  {
    Operation operation(*core_);
    for (Cgroup* const cgroup : WithAllBelow(*TRY(core_->tree.Find(id, ENOENT)))) {
      if (cgroup->shown.populated_self) core_->releases.Judge(*cgroup);
      open |= cgroup->release.settling;
    }
  }
  if (open) Settle();

  TreeLock lock(core_->tree_mu);
  const Cgroup& top = *TRY(core_->tree.Find(id, ENOENT));
  const HierarchyId hierarchy = top.hierarchy->id;
  std::vector<TreeNode> nodes;
  std::unordered_map<CgroupId, std::size_t> node_at;  // by place in tuples
  struct Step {
    const Cgroup* cgroup;
    std::size_t parent;
    std::size_t depth;
  };
  std::vector<Step> todo{{&top, 0, 0}};
  while (!todo.empty()) {
    const auto [cgroup, parent, depth] = todo.back();
    todo.pop_back();
    const std::size_t at = nodes.size();
    node_at.emplace(cgroup->place(), at);
    nodes.push_back({.id = cgroup->id,
                     .parent = parent,
                     .name = cgroup->name,
                     .children = cgroup->children.size(),
                     .populated = cgroup->populated(),
                     .notify_on_release = cgroup->notify_on_release});
    if (depth == options.depth) continue;
    for (auto child = cgroup->children.rbegin(); child != cgroup->children.rend(); ++child) {
      todo.push_back({child->second.get(), at, depth + 1});
    }
  }
  std::vector<TaskMember> members;
  std::unordered_map<CssSetId, std::size_t> in_set;
  core_->sets.ForEachTaskIn(
      hierarchy, [&](CgroupId at) { return node_at.contains(at); },
      [&](Tid tid, Place place) {
        ++in_set[place.set];
        if (options.tasks) members.push_back({tid, place.tgid, place.set});
      });
  std::unordered_map<CssSetId, std::size_t> node_of;
  for (const auto& [set, count] : in_set) {
    const std::size_t at = node_of[set] = node_at.at(core_->sets.PlaceIn(set, hierarchy));
    nodes[at].tasks += count;
  }
  for (const TaskMember& task : members) {
    options.tasks->push_back({task.tid, task.tgid, node_of.at(task.set)});
  }
  return nodes;
}

}  // namespace corral
