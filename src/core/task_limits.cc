// Limits on births that the tracker keeps by itself (spec 13.3): what the tree and a subsystem's
// limits mean in css_sets. Told to it as a whole whenever it changes: when a limit does, and when a
// css_set is made. A set or cgroup that is gone needs no telling: it has no task, and gets one only
// through a set made anew.
#include <algorithm>

#include "core/registry.h"

namespace corral {

Result<void> Registry::LimitTasks(const Subsystem& subsystem) {
  Operation lock(*this);
  if (limiter_ && limiter_.get() != &subsystem) {
    return Fail(ENOTSUP, "births are limited by subsystem {} already", limiter_->name());
  }
  for (const SubsystemTable::Slot& slot : subsystems_.slots()) {
    if (slot.subsystem.get() == &subsystem) limiter_ = slot.subsystem;
  }
  auto done = PushLimitsLocked();
  if (!done && done.error().code == ENOTSUP) limiter_ = nullptr;
  return done;
}

// Refused as a whole by the tracker: then what it had before holds.
Result<void> Registry::PushLimitsLocked() {
  const std::size_t number = *subsystems_.Find(limiter_->name());
  const HierarchyId bound = subsystems_.slots()[number].bound;
  TaskLimits all;
  // Down the tree by hand: it may be deeper than a stack is.
  struct Step {
    Cgroup* cgroup;
    std::uint32_t limit;  // 1 + index of the one it is in
    bool leave = false;   // everything below it was seen
  };
  std::vector<Step> steps;
  const auto enter_children = [&](Cgroup& of, std::uint32_t limit) {
    for (const auto& [name, child] : of.children) steps.push_back({child.get(), limit});
  };
  if (bound.value) enter_children((*FindHierarchyLocked(bound))->root, 0);
  while (!steps.empty()) {
    const Step step = steps.back();
    steps.pop_back();
    if (step.leave) {
      all.limits[step.limit - 1].end = static_cast<std::uint32_t>(all.sets.size());
      continue;
    }
    Cgroup& cgroup = *step.cgroup;
    std::uint32_t limit = step.limit;
    const auto max = subsystems_.TaskLimit(number, *cgroup.css[number]);
    if (!max) return Fail(max.error());
    if (*max) {
      if (auto numbered = NumberLimitLocked(cgroup); !numbered) return numbered;
      all.limits.push_back({.max = **max,
                            .number = cgroup.limit_number,
                            .outer = limit,
                            .first = static_cast<std::uint32_t>(all.sets.size())});
      limit = static_cast<std::uint32_t>(all.limits.size());
      steps.push_back({&cgroup, limit, true});
    }
    if (limit != 0) {
      for (const auto& [set, leaves] : cgroup.judged) all.sets.push_back({set, limit});
    }
    enter_children(cgroup, limit);
  }
  return tracker_.LimitTasks(all);
}

Result<void> Registry::NumberLimitLocked(Cgroup& cgroup) {
  if (cgroup.limit_number != 0) return {};
  if (!free_limit_numbers_.empty()) {
    cgroup.limit_number = free_limit_numbers_.back();
    free_limit_numbers_.pop_back();
  } else if (next_limit_number_ < tracker_.set_capacity()) {
    cgroup.limit_number = next_limit_number_++;
  } else {
    return Fail(ENOSPC, "more than {} cgroups have a limit of tasks", next_limit_number_ - 1);
  }
  cgroup.refused_before = tracker_.RefusedBirths(cgroup.limit_number);
  return {};
}

void Registry::FreeLimitNumberLocked(Cgroup& cgroup) {
  if (cgroup.limit_number != 0) free_limit_numbers_.push_back(cgroup.limit_number);
}

std::uint64_t Registry::RefusedBirths(CgroupId id) const {
  MutexLock lock(tree_mu_);
  const auto found = FindLocked(id, ENODEV);
  if (!found || (*found)->limit_number == 0) return 0;
  return tracker_.RefusedBirths((*found)->limit_number) - (*found)->refused_before;
}

}  // namespace corral
