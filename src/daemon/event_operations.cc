// Operations that tell what happens: subscribe, events.
#include <cerrno>
#include <chrono>

#include "base/errors.h"
#include "daemon/handlers.h"

namespace corral::operation {
namespace {

const char* NameOf(FeedEntry::Kind kind) {
  switch (kind) {
    case FeedEntry::Kind::kPopulated: return "populated";
    case FeedEntry::Kind::kReleased: return "released";
    case FeedEntry::Kind::kNotified: return "notified";
    case FeedEntry::Kind::kRemoved: return "removed";
    case FeedEntry::Kind::kLost: return "lost";
  }
  return "?";
}

wire::Event EventOf(const FeedEntry& entry) {
  using std::chrono::duration_cast, std::chrono::microseconds;
  wire::Event event{.event = NameOf(entry.kind),
                    .time_us = duration_cast<microseconds>(entry.time.time_since_epoch()).count()};
  if (entry.kind == FeedEntry::Kind::kLost) {
    event.lost = entry.lost;
    return event;
  }
  event.id = entry.cgroup.value;
  event.hierarchy = entry.hierarchy;
  if (!entry.path.empty()) event.path = entry.path;
  if (entry.kind == FeedEntry::Kind::kPopulated) event.populated = entry.populated;
  if (entry.kind == FeedEntry::Kind::kNotified) event.agent = entry.agent;
  return event;
}

}  // namespace

// Answered once it is in force: who looks at the state after the answer misses nothing.
AnswerOf<wire::Subscribe> Subscribe(Request& rq, const wire::Subscribe& ask) {
  rq.session.subscriber.reset();
  wire::Subscribe::Answer answer;
  std::optional<EventFeed::Scope> scope;
  if (!ask.group.empty()) {
    const CgroupId id = TRY(CgroupOf(rq, ask.group));
    const CgroupInfo info = TRY(rq.instance.registry().Info(id));
    scope = {.cgroup = id,
             .hierarchy = info.hierarchy,
             .is_root = info.parent.value == 0,
             .path = info.path};
    answer = {.id = id.value, .path = FullPath(info)};
  }
  rq.session.subscriber =
      std::make_unique<EventFeed::Subscriber>(rq.instance.feed(), std::move(scope));
  if (rq.session.subscriber->fd() < 0) {
    rq.session.subscriber.reset();
    return Fail(EMFILE, "the daemon has no descriptor left to subscribe with");
  }
  return answer;
}

AnswerOf<wire::Events> Events(Request& rq, const wire::Events&) {
  if (!rq.session.subscriber) return Fail(EINVAL, "this connection has not subscribed");
  EventFeed::Subscriber& subscriber = *rq.session.subscriber;
  for (;;) {
    wire::Events::Answer answer;
    for (const FeedEntry& entry : subscriber.Take()) answer.events.push_back(EventOf(entry));
    if (!answer.events.empty()) return answer;
    TRY(AwaitReadable(rq, subscriber.fd()));
  }
}

}  // namespace corral::operation
