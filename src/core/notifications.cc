// Notifications: from the decision to the start of the agent, and across a removal (spec 2,
// 10.7, 10.9).
#include <cerrno>
#include <utility>

#include "core/registry.h"

namespace corral {

// At most one waits to be announced, but where each emptying is told by itself.
void Registry::DecideNotificationLocked(Cgroup& cgroup) {
  const bool each = cgroup.hierarchy->rules.per_emptying;
  if (!each && !cgroup.notify_decided.empty()) return;
  cgroup.notify_decided.push_back(each ? BuildPath(cgroup, kMostTold + 1) : std::string());
}

void Registry::QueueNotificationsLocked(Cgroup& cgroup) {
  for (std::string& path : std::exchange(cgroup.notify_decided, {})) {
    if (cgroup.queued && !cgroup.hierarchy->rules.per_emptying) continue;  // spec 10.7
    cgroup.queued = true;
    ++cgroup.hierarchy->waiting;
    Waiting waiting{.cgroup = cgroup.id,
                    .hierarchy = cgroup.hierarchy->id,
                    .path = std::move(path),
                    .number = journal_ ? next_notification_++ : 0};
    if (journal_) {
      marked_.notifications.push_back(waiting.number);
      notifications_.emplace(waiting.number, waiting);
    }
    queue_.Push(std::move(waiting));
  }
}

// Takes over a cgroup that was just removed. What was decided for it may still have to wait
// for tasks on their way out (spec 10.10); it is announced like any other, but nobody finds it.
void Registry::DepartLocked(std::unique_ptr<Cgroup> cgroup) {
  const ReleaseRules& rules = cgroup->hierarchy->rules;
  if (!rules.outlives_removal) return;
  const auto path = [&] { return BuildPath(*cgroup, kMostTold + 1); };  // it still has its parent
  for (const std::uint64_t number : starting_) {  // should a crash have it started again
    Waiting& waiting = notifications_.at(number);
    if (waiting.cgroup != cgroup->id || !waiting.path.empty()) continue;
    waiting.path = path();
    marked_.notifications.push_back(number);
  }
  if (cgroup->queued && !rules.per_emptying) {  // what waits already is told for all
    if (journal_) marked_.last_paths.push_back(cgroup->id);
    last_paths_[cgroup->id] = path();
    return;
  }
  if (cgroup->notify_decided.empty()) return;
  for (std::string& told : cgroup->notify_decided) {
    if (told.empty()) told = path();
  }
  cgroup->parent = nullptr;  // it may be removed as well
  cgroup->settling = true;   // what was decided and not announced is in settling_ still
  ++cgroup->hierarchy->waiting;
  departed_.emplace(cgroup->id, std::move(cgroup));
}

Cgroup* Registry::FindSettlingLocked(CgroupId id) const {
  if (const auto found = cgroups_.find(id); found != cgroups_.end()) return found->second;
  const auto departed = departed_.find(id);
  return departed == departed_.end() ? nullptr : departed->second.get();
}

std::optional<Notification> Registry::BeginNotification(const Waiting& waiting) {
  Operation lock(*this);
  const auto live = hierarchies_.find(waiting.hierarchy);
  Hierarchy& hierarchy = live != hierarchies_.end() ? *live->second : *ended_.at(waiting.hierarchy);
  Notification told{.number = waiting.number,
                    .cgroup = waiting.cgroup,
                    .hierarchy_id = hierarchy.id,
                    .hierarchy = LabelLocked(hierarchy),
                    .path = waiting.path,
                    .agent = hierarchy.release_agent,
                    .agent_user = hierarchy.agent_user,
                    .dialect = hierarchy.dialect};
  if (--hierarchy.waiting == 0) ended_.erase(waiting.hierarchy);

  const auto found = cgroups_.find(waiting.cgroup);
  const auto last = last_paths_.extract(waiting.cgroup);
  if (found != cgroups_.end()) found->second->queued = false;
  if (told.path.empty() && found != cgroups_.end()) {
    told.path = BuildPath(*found->second);
  } else if (told.path.empty() && last) {
    told.path = last.mapped();
  }
  const bool dropped = told.path.empty();  // removed while it waited (spec 2)
  if (const auto kept = notifications_.find(waiting.number); kept != notifications_.end()) {
    marked_.notifications.push_back(waiting.number);
    if (last) marked_.last_paths.push_back(waiting.cgroup);
    if (last) kept->second.path = told.path;
    if (dropped) {
      EndNotificationLocked(kept->second);
    } else {
      starting_.insert(waiting.number);
    }
  }
  return dropped ? std::nullopt : std::optional(std::move(told));
}

bool Registry::StartsAgent(const Waiting& waiting) const {
  MutexLock lock(tree_mu_);
  const auto live = hierarchies_.find(waiting.hierarchy);
  const Hierarchy& hierarchy =
      live != hierarchies_.end() ? *live->second : *ended_.at(waiting.hierarchy);
  return !hierarchy.release_agent.empty();
}

void Registry::FinishNotification(std::uint64_t number) {
  Operation lock(*this);
  const auto kept = notifications_.find(number);
  if (kept != notifications_.end()) EndNotificationLocked(kept->second);
}

void Registry::EndNotificationLocked(const Waiting& waiting) {
  const std::uint64_t number = waiting.number;
  marked_.notifications.push_back(number);
  if (!hierarchies_.contains(waiting.hierarchy)) {  // the row of one that ended may go now
    marked_.hierarchies.push_back(waiting.hierarchy);
  }
  starting_.erase(number);
  notifications_.erase(number);
}

}  // namespace corral
