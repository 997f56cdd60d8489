#include "core/groups.h"

#include <algorithm>
#include <cerrno>
#include <unordered_set>

#include "base/errors.h"
#include "core/operation.h"
#include "core/registry.h"

namespace corral {
namespace {

class Hold final : public TreeHold {
 public:
  explicit Hold(Core& core) NO_THREAD_SAFETY_ANALYSIS : core_(core) { core_.tree_mu.Lock(); }
  ~Hold() override NO_THREAD_SAFETY_ANALYSIS { core_.tree_mu.Unlock(); }

  std::vector<Tid> Tasks(const Css& css) const override NO_THREAD_SAFETY_ANALYSIS {
    auto found = core_.tree.Find(css.cgroup(), ENODEV);
    if (!found) return {};
    return core_.sets.TasksAt((*found)->hierarchy->id, (*found)->place());
  }
  std::vector<std::shared_ptr<Css>> Children(const Css& css) const override
      NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::shared_ptr<Css>> children;
    auto found = core_.tree.Find(css.cgroup(), ENODEV);
    if (!found) return children;
    const CssList& own = (*found)->css;
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (own[i].get() != &css) continue;
      for (const auto& [name, child] : (*found)->children) children.push_back(child->css[i]);
    }
    return children;
  }

 private:
  Core& core_;
};

class CoreGroups final : public Groups {
 public:
  CoreGroups(Registry& registry, Core& core) : registry_(registry), core_(core) {}

  std::vector<Tid> Tasks(const Css& css) const override {
    return registry_.Tasks(css.cgroup()).value_or(std::vector<Tid>());
  }
  std::vector<Tid> SubtreeTasks(const Css& css) const override {
    std::vector<Tid> tids;
    for (const TaskMember& task : Members(css)) tids.push_back(task.tid);
    return tids;
  }
  std::vector<Tgid> SubtreeProcesses(const Css& css) const override {
    return ProcessesOf(Members(css));
  }
  std::string PathOf(const Css& css) const override {
    return registry_.PathOf(css.cgroup()).value_or("");
  }
  std::unique_ptr<TreeHold> HoldTree() override { return std::make_unique<Hold>(core_); }
  Result<CgroupId> Clone(Subsystem& subsystem, Tid task) override {
    for (const SubsystemInfo& info : registry_.Subsystems()) {
      if (info.name == subsystem.name()) return registry_.Clone(info.hierarchy, task);
    }
    return Fail(ENOENT, "subsystem {} is not registered", subsystem.name());
  }
  Result<CpuTime> CpuTimeOf(const Css& css, bool subtree) override {
    return registry_.CpuTimeOf(css.cgroup(), subtree);
  }
  Result<std::unordered_map<CgroupId, CpuTime>> CpuTimes(const Css& top) override {
    const auto times = TRY(registry_.CpuTimesBelow(top.cgroup()));
    std::unordered_map<CgroupId, CpuTime> own;
    for (const auto& [id, time] : times) own.emplace(id, time.own);
    return own;
  }

  Result<void> LimitTasks(Css& css, std::uint64_t max) override {
    Operation operation(core_);
    return core_.birth_limits.Set(css, max);
  }
  std::uint64_t RefusedBirths(const Css& css) const override {
    TreeLock lock(core_.tree_mu);
    const auto found = core_.tree.Find(css.cgroup(), ENODEV);
    return found ? core_.birth_limits.RefusedIn(**found) : 0;
  }
  Result<std::uint64_t> TasksLetIn(const Css& css) const override;
  std::string Describe(const Css& css) const override;

 private:
  std::vector<TaskMember> Members(const Css& css) const {
    return registry_.SubtreeTasks(css.cgroup()).value_or(std::vector<TaskMember>());
  }
  std::string DescribeSet(CssSetId set, std::string_view state) const REQUIRES(the_tree);

  Registry& registry_;
  Core& core_;
};

// A list is not of one moment: one task may be in it that ended before another came in its place.
// Those that two lists have were all there when the first was done, and of these as many as
// fit were let in (docs/concurrency.md, 17.6).
Result<std::uint64_t> CoreGroups::TasksLetIn(const Css& css) const {
  std::uint64_t most = Css::kNoTaskLimit;
  for (const Css* at = &css; at; at = at->parent()) most = std::min(most, at->task_limit());
  const auto first = registry_.SubtreeTasks(css.cgroup());
  if (!first) return 0;
  const auto outside = TRY(core_.tracker.BirthsNotLetIn());  // after the list
  if (outside.empty() && first->size() <= most) return first->size();
  const auto second = registry_.SubtreeTasks(css.cgroup());
  if (!second) return 0;
  std::unordered_set<Tid> not_counted(outside.begin(), outside.end());
  std::unordered_set<Tid> still;
  for (const TaskMember& task : *second) still.insert(task.tid);
  std::uint64_t count = 0;
  for (const TaskMember& task : *first) {
    if (still.contains(task.tid) && !not_counted.contains(task.tid)) ++count;
  }
  return count;
}

// For developers: every css_set of a cgroup, its counter, and its other cgroups.
std::string CoreGroups::Describe(const Css& css) const {
  TreeLock lock(core_.tree_mu);
  auto found = core_.tree.Find(css.cgroup(), ENODEV);
  if (!found) return {};
  const Cgroup& cgroup = **found;
  std::string text;
  for (const auto& [set, leaves] : cgroup.release.judged) {
    text += DescribeSet(set, cgroup.release.in_use.contains(set) ? "in-use" : "idle");
  }
  for (const CssSetId set : cgroup.ghosts) text += DescribeSet(set, "leaving");
  return text;
}

std::string CoreGroups::DescribeSet(CssSetId set, std::string_view state) const {
  const SetCount count = core_.tracker.Count(set);
  std::string text =
      fmt::format("css_set {} {} count {} leaves {}", set.value, state, count.count, count.leaves);
  for (const Member& member : core_.sets.TupleOf(set)) {
    const auto other = core_.tree.Find(member.cgroup, ENODEV);
    text += fmt::format(" {}:{}", member.hierarchy.value,
                        other ? ShownPath(**other) : std::string("(removed)"));
  }
  return text + "\n";
}

}  // namespace

std::unique_ptr<Groups> MakeGroups(Registry& registry, Core& core) {
  return std::make_unique<CoreGroups>(registry, core);
}

}  // namespace corral
