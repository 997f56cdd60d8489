#include "core/events.h"

#include <iterator>
#include <utility>

#include "core/core.h"

namespace corral {

Events::Events(Core& core) : persistence_(core.persistence), wake_(core.wake) {}

void Events::SetPopulated(Cgroup& cgroup, bool populated) {
  if (cgroup.shown.populated_self == populated) return;
  const bool was = cgroup.populated();
  cgroup.shown.populated_self = populated;
  persistence_.Mark(cgroup);
  Cgroup* at = &cgroup;
  for (bool changed = at->populated() != was; changed;) {
    ++at->shown.serial;
    Emit(Event::Kind::kChanged, *at, at->populated());
    Cgroup* parent = at->parent;
    if (!parent) return;
    const bool parent_was = parent->populated();
    parent->shown.populated_children += at->populated() ? 1 : -1;
    changed = parent->populated() != parent_was;
    at = parent;
  }
}

void Events::CountRelease(Cgroup& cgroup) {
  ++cgroup.shown.releases;
  ++cgroup.shown.serial;
  Emit(Event::Kind::kChanged, cgroup);
  Emit(Event::Kind::kReleased, cgroup);
}

void Events::Emit(Event::Kind kind, const Cgroup& cgroup, std::optional<bool> populated) {
  emitted_.push_back({.kind = kind,
                      .cgroup = cgroup.id,
                      .hierarchy = cgroup.hierarchy->id,
                      .path = tells_paths_ && kind != Event::Kind::kChanged
                                  ? PathWithin(cgroup, kMostTold, kMostLevelsTold).value_or("")
                                  : std::string(),
                      .auto_remove = cgroup.auto_remove,
                      .populated = populated});
}

void Events::Publish() {
  if (emitted_.empty()) return;
  {
    MutexLock lock(events_mu_);
    std::move(emitted_.begin(), emitted_.end(), std::back_inserter(published_));
  }
  emitted_.clear();
  wake_();
}

std::vector<Event> Events::Take() {
  MutexLock lock(events_mu_);
  return std::exchange(published_, {});
}

EventsInfo ShownOf(const Cgroup& cgroup) {
  return {.populated = cgroup.populated(),
          .releases = cgroup.shown.releases,
          .serial = cgroup.shown.serial};
}

}  // namespace corral
