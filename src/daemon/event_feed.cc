#include "daemon/event_feed.h"

#include <algorithm>

namespace corral {
namespace {

constexpr std::size_t kMostTaken = 1024;
constexpr std::size_t kMostBytesTaken = std::size_t{4} << 20;

std::size_t SizeOf(const FeedEntry& entry) {
  return entry.hierarchy.size() + entry.path.size() + entry.agent.size();
}

bool IsAtOrBelow(const std::string& path, const std::string& top) {
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

FeedEntry::Kind KindOf(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::kChanged: return FeedEntry::Kind::kPopulated;
    case Event::Kind::kReleased: return FeedEntry::Kind::kReleased;
    case Event::Kind::kRemoved: return FeedEntry::Kind::kRemoved;
  }
  return FeedEntry::Kind::kLost;
}

}  // namespace

// ---- one subscriber

EventFeed::Subscriber::Subscriber(EventFeed& feed, std::optional<Scope> scope, std::size_t most)
    : feed_(feed), most_(most), scope_(std::move(scope)) {
  MutexLock lock(feed_.publish_mu_);
  feed_.registry_.TellPaths(true);
  feed_.PublishLocked();  // what happened before is not ours, and may have no paths
  feed_.LearnHierarchiesLocked();
  feed_.subscribers_.push_back(this);
}

EventFeed::Subscriber::~Subscriber() {
  MutexLock lock(feed_.publish_mu_);
  feed_.subscribers_.remove(this);
  if (feed_.subscribers_.empty()) feed_.registry_.TellPaths(false);
}

// A group may be renamed between an event and its telling: then the event has its former path.
void EventFeed::Subscriber::FollowScope(const Registry& registry) {
  former_path_.clear();
  if (!scope_ || scope_->is_root) return;
  auto path = registry.PathOf(scope_->cgroup);
  if (path && *path != scope_->path) former_path_ = std::exchange(scope_->path, *path);
}

std::optional<bool> EventFeed::Subscriber::Wants(HierarchyId hierarchy,
                                                 const std::string& path) const {
  if (!scope_) return true;
  if (scope_->hierarchy != hierarchy) return false;
  if (!scope_->is_root && path.empty()) return std::nullopt;
  return scope_->is_root || IsAtOrBelow(path, scope_->path) ||
         (!former_path_.empty() && IsAtOrBelow(path, former_path_));
}

void EventFeed::Subscriber::Push(FeedEntry entry) {
  MutexLock lock(queue_mu_);
  if (queue_.size() >= most_ || bytes_ + SizeOf(entry) > kMostBytes) {
    ++lost_;
    return;
  }
  if (lost_ != 0) {
    queue_.push_back(
        {.kind = FeedEntry::Kind::kLost, .time = entry.time, .lost = std::exchange(lost_, 0)});
  }
  bytes_ += SizeOf(entry);
  queue_.push_back(std::move(entry));
  signal_.Wake();
}

void EventFeed::Subscriber::Lose() {
  MutexLock lock(queue_mu_);
  ++lost_;
  signal_.Wake();
}

std::vector<FeedEntry> EventFeed::Subscriber::Take() {
  MutexLock lock(queue_mu_);
  std::vector<FeedEntry> taken;
  for (std::size_t bytes = 0;
       !queue_.empty() && taken.size() < kMostTaken && bytes < kMostBytesTaken;) {
    bytes += SizeOf(queue_.front());
    taken.push_back(std::move(queue_.front()));
    queue_.pop_front();
    bytes_ -= SizeOf(taken.back());
  }
  if (!queue_.empty()) return taken;
  if (lost_ != 0) {
    taken.push_back({.kind = FeedEntry::Kind::kLost,
                     .time = std::chrono::system_clock::now(),
                     .lost = std::exchange(lost_, 0)});
  }
  signal_.Reset();
  return taken;
}

// ---- telling

std::vector<Event> EventFeed::Collect() {
  MutexLock lock(publish_mu_);
  PublishLocked();
  return std::exchange(uncollected_, {});
}

// The release was put among the registry's events before the notification was queued: it is
// told with this call at the latest.
void EventFeed::Notified(const Notification& notification) {
  MutexLock lock(publish_mu_);
  PublishLocked();
  if (subscribers_.empty()) return;
  TellLocked(notification.hierarchy_id,
             {.kind = FeedEntry::Kind::kNotified,
              .time = std::chrono::system_clock::now(),
              .cgroup = notification.cgroup,
              .hierarchy = notification.hierarchy,
              .path = notification.path.size() <= kMostTold ? notification.path : std::string(),
              .agent = notification.agent});
}

void EventFeed::PublishLocked() {
  std::size_t at = uncollected_.size();
  for (Event& event : registry_.TakeEvents()) uncollected_.push_back(std::move(event));
  if (subscribers_.empty() || at == uncollected_.size()) return;
  const auto now = std::chrono::system_clock::now();
  LearnHierarchiesLocked();
  for (Subscriber* subscriber : subscribers_) subscriber->FollowScope(registry_);
  for (; at < uncollected_.size(); ++at) {  // it may grow meanwhile
    if (uncollected_[at].kind == Event::Kind::kChanged && !uncollected_[at].populated) continue;
    auto path = PathLocked(at);
    if (!path) continue;
    const Event& event = uncollected_[at];
    TellLocked(event.hierarchy, {.kind = KindOf(event.kind),
                                 .time = now,
                                 .cgroup = event.cgroup,
                                 .hierarchy = names_[event.hierarchy],
                                 .path = *std::move(path),
                                 .populated = event.populated.value_or(false)});
  }
}

// Changes come without a path: building one for each group of a deep tree is dear, and mostly
// nobody asks. A group that is gone by now has said so itself, with its path: among the
// events we hold or, as it was removed since we took them, the next ones. If it has not, it
// was the root of a hierarchy that ended.
std::optional<std::string> EventFeed::PathLocked(std::size_t at) {
  if (uncollected_[at].kind != Event::Kind::kChanged) return uncollected_[at].path;
  const CgroupId cgroup = uncollected_[at].cgroup;
  if (auto path = registry_.ToldPathOf(cgroup)) return *std::move(path);
  for (Event& event : registry_.TakeEvents()) uncollected_.push_back(std::move(event));
  const auto removed =
      std::find_if(uncollected_.begin() + static_cast<std::ptrdiff_t>(at), uncollected_.end(),
                   [&](const Event& event) {
                     return event.cgroup == cgroup && event.kind != Event::Kind::kChanged;
                   });
  if (removed == uncollected_.end()) return std::nullopt;
  return removed->path;
}

void EventFeed::TellLocked(HierarchyId hierarchy, const FeedEntry& entry) {
  for (Subscriber* subscriber : subscribers_) {
    const auto wanted = subscriber->Wants(hierarchy, entry.path);
    if (!wanted) {
      subscriber->Lose();
    } else if (*wanted) {
      subscriber->Push(entry);
    }
  }
}

void EventFeed::LearnHierarchiesLocked() {
  const std::vector<HierarchyInfo> all = registry_.Hierarchies();
  // Of those that are gone the last ones are remembered: ids only grow.
  constexpr std::size_t kRemembered = 64;
  while (names_.size() > all.size() + kRemembered) names_.erase(names_.begin());
  for (const HierarchyInfo& info : all) names_[info.id] = info.label;
}

}  // namespace corral
