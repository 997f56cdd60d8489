// Limits on births that the tracker keeps by itself (spec 13.3): what the tree and a subsystem's
// limits mean in css_sets. Told to it as a whole when a limit changes, and when a css_set is made
// that is in one, or that has the number of one that was. A set or cgroup that is gone needs no
// telling: it has no task, and gets one only through a set made anew.
#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "core/registry.h"

namespace corral {

Result<void> Registry::LimitTasks(Css& css, std::uint64_t max) {
  Operation lock(*this);
  const Cgroup* const cgroup = TRY(FindLocked(css.cgroup(), ENODEV));
  const auto own =
      std::ranges::find_if(cgroup->css, [&](const auto& one) { return one.get() == &css; });
  if (own == cgroup->css.end() || !cgroup->parent) {
    return Fail(EINVAL, "no limit can be set there");
  }
  const auto number = static_cast<std::size_t>(own - cgroup->css.begin());
  const auto& subsystem = subsystems_.slots()[number].subsystem;
  if (limiter_ && limiter_ != subsystem) {
    return Fail(EBUSY, "births are limited by subsystem {} already", limiter_->name());
  }
  limiter_ = subsystem;
  const std::uint64_t before = SubsystemTable::ExchangeTaskLimit(css, max);
  auto told = PushLimitsLocked();
  if (!told && told.error().code != ENOTSUP) SubsystemTable::ExchangeTaskLimit(css, before);
  return told;
}

// For a set that was just made.
Result<void> Registry::LimitSetLocked(CssSetId set, const SetTuple& tuple) {
  if (!limiter_) return {};
  const std::size_t number = *subsystems_.Find(limiter_->name());
  const CgroupId place = PlaceIn(tuple, subsystems_.slots()[number].bound);
  bool limited = limited_sets_.contains(set);
  for (const Cgroup* at = place.value ? *FindLocked(place, ENODEV) : nullptr;
       !limited && at && at->parent; at = at->parent) {
    limited = at->css[number]->task_limit() != Css::kNoTaskLimit;
  }
  if (!limited) return {};
  auto told = PushLimitsLocked();
  return !told && told.error().code == ENOTSUP ? Result<void>() : told;
}

// Refused as a whole by the tracker: then what it had before holds.
Result<void> Registry::PushLimitsLocked() {
  const std::size_t number = *subsystems_.Find(limiter_->name());
  const HierarchyId bound = subsystems_.slots()[number].bound;
  TaskLimits all;
  bool any = false;
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
      TaskLimit& limit = all.limits[step.limit - 1];
      limit.end = static_cast<std::uint32_t>(all.sets.size());
      if (limit.first == limit.end) {  // no task can meet it; those inside went before it
        all.limits.pop_back();
        continue;
      }
      if (auto numbered = NumberLimitLocked(*step.cgroup); !numbered) return numbered;
      limit.number = step.cgroup->limit_number;
      continue;
    }
    Cgroup& cgroup = *step.cgroup;
    std::uint32_t limit = step.limit;
    const std::uint64_t max = cgroup.css[number]->task_limit();
    if (max != Css::kNoTaskLimit) {
      any = true;
      all.limits.push_back(
          {.max = max, .outer = limit, .first = static_cast<std::uint32_t>(all.sets.size())});
      limit = static_cast<std::uint32_t>(all.limits.size());
      steps.push_back({&cgroup, limit, true});
    }
    if (limit != 0) {
      for (const auto& [set, leaves] : cgroup.judged) all.sets.push_back({set, limit});
    }
    enter_children(cgroup, limit);
  }
  auto told = tracker_.LimitTasks(all);
  if (told) {
    limited_sets_.clear();
    for (const auto& [set, innermost] : all.sets) limited_sets_.insert(set);
  }
  if (!any || (!told && told.error().code == ENOTSUP)) limiter_ = nullptr;
  return told;
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
  ++numbered_limits_;
  cgroup.refused_before = tracker_.RefusedBirths(cgroup.limit_number);
  return {};
}

// Of a cgroup that is out of the tree.
void Registry::FreeLimitNumberLocked(const Cgroup& cgroup) {
  if (cgroup.limit_number == 0) return;
  free_limit_numbers_.push_back(cgroup.limit_number);
  if (--numbered_limits_ == 0 && limiter_) (void)PushLimitsLocked();  // births pay no more
}

std::uint64_t Registry::RefusedBirths(CgroupId id) const {
  MutexLock lock(tree_mu_);
  const auto found = FindLocked(id, ENODEV);
  if (!found || (*found)->limit_number == 0) return 0;
  return tracker_.RefusedBirths((*found)->limit_number) - (*found)->refused_before;
}

// A list is not of one moment: one task may be in it that ended before another came in its place.
// Those that two lists have were all there when the first was done, and of these as many as
// fit were let in (docs/concurrency.md, 17.6).
Result<std::uint64_t> Registry::TasksLetIn(const Css& css) const {
  std::uint64_t most = Css::kNoTaskLimit;
  for (const Css* at = &css; at; at = at->parent()) most = std::min(most, at->task_limit());
  const auto first = SubtreeTasks(css.cgroup());
  if (!first) return 0;
  const auto outside = tracker_.BirthsNotLetIn();  // after the list
  if (!outside) return Fail(outside.error());
  if (outside->empty() && first->size() <= most) return first->size();
  const auto second = SubtreeTasks(css.cgroup());
  if (!second) return 0;
  std::unordered_set<Tid> not_counted(outside->begin(), outside->end());
  std::unordered_set<Tid> still;
  for (const TaskMember& task : *second) still.insert(task.tid);
  std::uint64_t count = 0;
  for (const TaskMember& task : *first) {
    if (still.contains(task.tid) && !not_counted.contains(task.tid)) ++count;
  }
  return count;
}

}  // namespace corral
