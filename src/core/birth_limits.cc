#include "core/birth_limits.h"

#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "core/core.h"

namespace corral {

BirthLimits::BirthLimits(Core& core)
    : tracker_(core.tracker), subsystems_(core.subsystems), tree_(core.tree) {}

Result<void> BirthLimits::Set(Css& css, std::uint64_t max) {
  const Cgroup* const cgroup = TRY(tree_.Find(css.cgroup(), ENODEV));
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
  auto told = Push();
  if (!told && told.error().code != ENOTSUP) SubsystemTable::ExchangeTaskLimit(css, before);
  return told;
}

std::uint64_t BirthLimits::RefusedIn(const Cgroup& cgroup) const {
  if (cgroup.limit.number == 0) return 0;
  return tracker_.RefusedBirths(cgroup.limit.number) - cgroup.limit.refused_before;
}

Result<void> BirthLimits::SetMade(CssSetId set, const SetTuple& tuple) {
  if (!limiter_) return {};
  const std::size_t number = *subsystems_.Find(limiter_->name());
  const CgroupId place = PlaceIn(tuple, subsystems_.slots()[number].bound);
  bool limited = limited_sets_.contains(set);
  for (const Cgroup* at = place.value ? *tree_.Find(place, ENODEV) : nullptr;
       !limited && at && at->parent; at = at->parent) {
    limited = at->css[number]->task_limit() != Css::kNoTaskLimit;
  }
  if (!limited) return {};
  auto told = Push();
  return !told && told.error().code == ENOTSUP ? Result<void>() : told;
}

// Refused as a whole by the tracker: then what it had before holds.
Result<void> BirthLimits::Push() {
  const Limits all = TRY(Collect());
  auto told = tracker_.LimitTasks(all.for_tracker);
  if (told) {
    limited_sets_.clear();
    for (const auto& [set, innermost] : all.for_tracker.sets) limited_sets_.insert(set);
  }
  if (!all.any || (!told && told.error().code == ENOTSUP)) limiter_ = nullptr;
  return told;
}

// Down the tree by hand: it may be deeper than a stack is.
Result<BirthLimits::Limits> BirthLimits::Collect() {
  const std::size_t number = *subsystems_.Find(limiter_->name());
  const HierarchyId bound = subsystems_.slots()[number].bound;
  Limits found;
  TaskLimits& all = found.for_tracker;
  struct Step {
    Cgroup* cgroup;
    std::uint32_t limit;  // 1 + index of the one it is in
    bool leave = false;   // everything below it was seen
  };
  std::vector<Step> steps;
  const auto enter_children = [&](Cgroup& of, std::uint32_t limit) {
    for (const auto& [name, child] : of.children) steps.push_back({child.get(), limit});
  };
  if (bound.value) enter_children((*tree_.FindHierarchy(bound))->root, 0);
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
      limit.number = TRY(NumberOf(*step.cgroup));
      continue;
    }
    Cgroup& cgroup = *step.cgroup;
    std::uint32_t limit = step.limit;
    const std::uint64_t max = cgroup.css[number]->task_limit();
    if (max != Css::kNoTaskLimit) {
      found.any = true;
      all.limits.push_back(
          {.max = max, .outer = limit, .first = static_cast<std::uint32_t>(all.sets.size())});
      limit = static_cast<std::uint32_t>(all.limits.size());
      steps.push_back({&cgroup, limit, true});
    }
    if (limit != 0) {
      for (const auto& [set, leaves] : cgroup.release.judged) all.sets.push_back({set, limit});
    }
    enter_children(cgroup, limit);
  }
  return found;
}

// Given when it is first asked for.
Result<std::uint32_t> BirthLimits::NumberOf(Cgroup& cgroup) {
  LimitState& limit = cgroup.limit;
  if (limit.number != 0) return limit.number;
  if (!free_numbers_.empty()) {
    limit.number = free_numbers_.back();
    free_numbers_.pop_back();
  } else if (next_number_ < tracker_.set_capacity()) {
    limit.number = next_number_++;
  } else {
    return Fail(ENOSPC, "more than {} groups have a limit of tasks", next_number_ - 1);
  }
  limit.refused_before = tracker_.RefusedBirths(limit.number);
  return limit.number;
}

void BirthLimits::Free(const Cgroup& cgroup) {
  if (cgroup.limit.number == 0) return;
  free_numbers_.push_back(cgroup.limit.number);
  const bool none_left = free_numbers_.size() == next_number_ - 1;
  if (none_left && limiter_) (void)Push();  // births pay no more
}

}  // namespace corral
