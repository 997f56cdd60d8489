// EventFeed: what happens to groups, told in order to everyone who subscribed.
//
// One for a daemon. The looker collects the registry's events through it, the agent's thread
// tells it of notifications; both only put entries into queues, so a subscriber that is slow,
// stopped or dead costs them nothing. A queue is bounded; what does not fit is counted, and
// the count stands in the stream where the entries would have been: nothing is lost silently.
//
//   EventFeed::Subscriber all(feed, std::nullopt);  // from here on nothing is missed
//   ... poll(all.fd()) ...
//   for (const FeedEntry& entry : all.Take()) ...
#ifndef CORRAL_DAEMON_EVENT_FEED_H_
#define CORRAL_DAEMON_EVENT_FEED_H_

#include <corral/ids.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/event_fd.h"
#include "base/mutex.h"
#include "core/registry.h"

namespace corral {

struct FeedEntry {
  enum class Kind {
    kPopulated,  // whether the group or one below it has tasks
    kReleased,   // the group was released (spec 10.1), notify_on_release or not
    kNotified,   // its release agent is about to be started
    kRemoved,    // the group is gone
    kLost,       // `lost` entries did not fit
  };
  Kind kind = Kind::kLost;
  std::chrono::system_clock::time_point time;
  CgroupId cgroup;
  std::string hierarchy;
  std::string path;        // as it was then; begins with '/'; empty: longer than kMostTold
  bool populated = false;  // kPopulated
  std::string agent;       // kNotified
  std::uint64_t lost = 0;  // kLost
};

class EventFeed {
 public:
  // What may wait for one subscriber.
  static constexpr std::size_t kMostEntries = 65'536;
  static constexpr std::size_t kMostBytes = std::size_t{32} << 20;

  // Whose events: those of a group and of all below it. It is followed when it is renamed.
  struct Scope {
    CgroupId cgroup;
    HierarchyId hierarchy;
    bool is_root = false;
    std::string path;
  };

  // Registered as long as it lives. Taken from by one thread.
  class Subscriber {
   public:
    // Nothing in `scope`: every hierarchy.
    Subscriber(EventFeed& feed, std::optional<Scope> scope, std::size_t most = kMostEntries);
    ~Subscriber();
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    int fd() const { return signal_.fd(); }  // readable when Take() has something
    // The next entries, oldest first: at most 1,024, or 4 MiB of names.
    std::vector<FeedEntry> Take();

   private:
    friend class EventFeed;
    // Nothing: it cannot be told from a path that is not there.
    std::optional<bool> Wants(HierarchyId hierarchy, const std::string& path) const;
    void FollowScope(const Registry& registry);
    void Push(FeedEntry entry);
    void Lose();

    EventFeed& feed_;
    const std::size_t most_;
    EventFd signal_;
    // Guarded by the feed's publish_mu_.
    std::optional<Scope> scope_;
    std::string former_path_;  // of the scope, before it was renamed; empty: it was not

    Mutex queue_mu_;  // a leaf
    std::deque<FeedEntry> queue_ GUARDED_BY(queue_mu_);
    std::size_t bytes_ GUARDED_BY(queue_mu_) = 0;
    std::uint64_t lost_ GUARDED_BY(queue_mu_) = 0;  // since the last entry that fitted
  };

  explicit EventFeed(Registry& registry) : registry_(registry) { registry_.TellPaths(false); }

  // Takes the registry's events, tells the subscribers, and returns those that nobody has
  // collected yet. By the looker.
  std::vector<Event> Collect();

  // An agent is about to be started. The release it belongs to is told before it.
  void Notified(const Notification& notification);

 private:
  void PublishLocked() REQUIRES(publish_mu_);
  void TellLocked(HierarchyId hierarchy, const FeedEntry& entry) REQUIRES(publish_mu_);
  void LearnHierarchiesLocked() REQUIRES(publish_mu_);
  // Empty: too long. Nothing: the event is of the root of a hierarchy that ended.
  std::optional<std::string> PathLocked(std::size_t at) REQUIRES(publish_mu_);

  Registry& registry_;
  // Order: what is taken from the registry first is told first. Before the registry's locks.
  Mutex publish_mu_;
  std::vector<Event> uncollected_ GUARDED_BY(publish_mu_);
  std::list<Subscriber*> subscribers_ GUARDED_BY(publish_mu_);
  // A hierarchy may be gone when its last event is told.
  std::map<HierarchyId, std::string> names_ GUARDED_BY(publish_mu_);
};

}  // namespace corral

#endif  // CORRAL_DAEMON_EVENT_FEED_H_
