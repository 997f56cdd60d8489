#include "core/notifications.h"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "core/core.h"

namespace corral {
namespace {

template <typename Map, typename Id>
auto* FindIn(const Map& all, const Id& id) {
  const auto found = all.find(id);
  return found == all.end() ? nullptr : &found->second;
}

}  // namespace

Notifications::Notifications(Core& core) : tree_(core.tree), persistence_(core.persistence) {}

// ---- of cgroups

// At most one waits to be announced, but where each emptying is told by itself.
void Notifications::Decide(Cgroup& cgroup) {
  const bool each = cgroup.hierarchy->rules.per_emptying;
  if (!each && !cgroup.notice.decided.empty()) return;
  cgroup.notice.decided.push_back(each ? BuildPath(cgroup, kMostTold + 1) : std::string());
}

void Notifications::Queue(Cgroup& cgroup) {
  for (std::string& path : std::exchange(cgroup.notice.decided, {})) {
    if (cgroup.notice.queued && !cgroup.hierarchy->rules.per_emptying) continue;  // spec 10.7
    cgroup.notice.queued = true;
    ++cgroup.hierarchy->waiting;
    Waiting waiting{.cgroup = cgroup.id,
                    .hierarchy = cgroup.hierarchy->id,
                    .path = std::move(path),
                    .number = persistence_.keeps() ? next_number_++ : 0};
    if (persistence_.keeps()) {
      persistence_.MarkNotification(waiting.number);
      kept_.emplace(waiting.number, waiting);
    }
    queue_.Push(std::move(waiting));
  }
}

// ---- across a removal

// What was decided for it may still have to wait for tasks on their way out (spec 10.10); it is
// announced like any other, but nobody finds it.
void Notifications::Depart(std::unique_ptr<Cgroup> cgroup) {
  const ReleaseRules& rules = cgroup->hierarchy->rules;
  if (!rules.outlives_removal) return;
  const auto path = [&] { return BuildPath(*cgroup, kMostTold + 1); };
  for (const std::uint64_t number : starting_) {  // should a crash have it started again
    Waiting& waiting = kept_.at(number);
    if (waiting.cgroup != cgroup->id || !waiting.path.empty()) continue;
    waiting.path = path();
    persistence_.MarkNotification(number);
  }
  if (cgroup->notice.queued && !rules.per_emptying) {  // what waits already is told for all
    persistence_.MarkLastPath(cgroup->id);
    last_paths_[cgroup->id] = path();
    return;
  }
  if (cgroup->notice.decided.empty()) return;
  for (std::string& told : cgroup->notice.decided) {
    if (told.empty()) told = path();
  }
  cgroup->parent = nullptr;         // it may be removed as well
  cgroup->release.settling = true;  // what was decided and not announced still settles
  TakeOverDeparted(std::move(cgroup));
}

bool Notifications::AnnounceDeparted(Cgroup& cgroup) {
  const auto departed = departed_.extract(cgroup.id);
  if (!departed) return false;
  Queue(cgroup);
  --cgroup.hierarchy->waiting;
  return true;
}

Cgroup* Notifications::FindOrDeparted(CgroupId id) const {
  if (const auto found = tree_.Find(id, ENOENT)) return *found;
  const auto* const departed = FindIn(departed_, id);
  return departed ? departed->get() : nullptr;
}

void Notifications::Depart(std::unique_ptr<Hierarchy> hierarchy) {
  if (IsOwed(*hierarchy)) TakeOverEnded(std::move(hierarchy));
}

Hierarchy* Notifications::FindOrEnded(HierarchyId id) const {
  if (const auto found = tree_.FindHierarchy(id)) return *found;
  const auto* const ended = FindIn(ended_, id);
  return ended ? ended->get() : nullptr;
}

// ---- of the agents' thread

std::optional<Notification> Notifications::Begin(const Waiting& waiting) {
  Hierarchy& hierarchy = *FindOrEnded(waiting.hierarchy);
  Notification told{.number = waiting.number,
                    .cgroup = waiting.cgroup,
                    .hierarchy_id = hierarchy.id,
                    .hierarchy = tree_.Label(hierarchy),
                    .path = waiting.path,
                    .agent = hierarchy.release_agent,
                    .agent_user = hierarchy.agent_user,
                    .dialect = hierarchy.dialect};
  --hierarchy.waiting;

  const auto found = tree_.Find(waiting.cgroup, ENOENT);
  const auto last = last_paths_.extract(waiting.cgroup);
  if (found) (*found)->notice.queued = false;
  if (told.path.empty() && found) {
    told.path = BuildPath(**found);
  } else if (told.path.empty() && last) {
    told.path = last.mapped();
  }
  const bool dropped = told.path.empty();  // removed while it waited (spec 2)
  if (const auto kept = kept_.find(waiting.number); kept != kept_.end()) {
    persistence_.MarkNotification(waiting.number);
    if (last) persistence_.MarkLastPath(waiting.cgroup);
    if (last) kept->second.path = told.path;
    if (dropped) {
      End(kept->second);
    } else {
      starting_.insert(waiting.number);
    }
  }
  ForgetUnlessOwed(waiting.hierarchy);
  return dropped ? std::nullopt : std::optional(std::move(told));
}

void Notifications::Finish(std::uint64_t number) {
  const auto kept = kept_.find(number);
  if (kept != kept_.end()) End(kept->second);
}

void Notifications::End(const Waiting& waiting) {
  const std::uint64_t number = waiting.number;
  const HierarchyId hierarchy = waiting.hierarchy;
  persistence_.MarkNotification(number);
  starting_.erase(number);
  kept_.erase(number);
  ForgetUnlessOwed(hierarchy);
}

// Of what is kept, not only what is being started: Begin() may have thrown between the two.
bool Notifications::IsOwed(const Hierarchy& hierarchy) const {
  return hierarchy.waiting != 0 || std::ranges::any_of(kept_, [&](const auto& kept) {
           return kept.second.hierarchy == hierarchy.id;
         });
}

void Notifications::ForgetUnlessOwed(HierarchyId id) {
  const auto ended = ended_.find(id);
  if (ended == ended_.end() || IsOwed(*ended->second)) return;
  persistence_.Mark(*ended->second);
  ended_.erase(ended);
}

void Notifications::ForgetAllUnlessOwed() {
  std::vector<HierarchyId> all;
  for (const auto& [id, hierarchy] : ended_) all.push_back(id);
  for (const HierarchyId id : all) ForgetUnlessOwed(id);
}

// ---- what is kept

const Waiting* Notifications::FindKept(std::uint64_t number) const { return FindIn(kept_, number); }

const std::string* Notifications::LastPathOf(CgroupId id) const { return FindIn(last_paths_, id); }

void Notifications::TakeOverEnded(std::unique_ptr<Hierarchy> hierarchy) {
  const HierarchyId id = hierarchy->id;
  ended_.emplace(id, std::move(hierarchy));
}

void Notifications::TakeOverDeparted(std::unique_ptr<Cgroup> cgroup) {
  ++cgroup->hierarchy->waiting;
  const CgroupId id = cgroup->id;
  departed_.emplace(id, std::move(cgroup));
}

void Notifications::TakeOverLastPath(CgroupId id, std::string_view path) { last_paths_[id] = path; }

// One that was being started when the process died is told again (spec 10.9). Should its cgroup
// have been queued anew meanwhile, that is one telling (spec 10.7).
Result<void> Notifications::TakeOver(Waiting waiting) {
  Hierarchy* const hierarchy = FindOrEnded(waiting.hierarchy);
  if (!hierarchy) {
    return Fail(EBADMSG, "it is of hierarchy {}, which is not there", waiting.hierarchy.value);
  }
  if (const auto cgroup = tree_.Find(waiting.cgroup, ENOENT)) {
    const bool again = std::exchange((*cgroup)->notice.queued, true);
    if (again && !hierarchy->rules.per_emptying) {
      persistence_.MarkNotification(waiting.number);
      return {};
    }
  }
  ++hierarchy->waiting;
  kept_.emplace(waiting.number, waiting);
  queue_.Push(std::move(waiting));
  return {};
}

}  // namespace corral
