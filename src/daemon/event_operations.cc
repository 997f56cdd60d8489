// Operations that tell what happens: subscribe, events.
#include <poll.h>

#include <cerrno>
#include <chrono>

#include "base/errors.h"
#include "daemon/handlers.h"
#include "wire/bytes.h"

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

Json ToJson(const FeedEntry& entry) {
  using std::chrono::duration_cast, std::chrono::microseconds;
  Json json = {{"event", NameOf(entry.kind)},
               {"time_us", duration_cast<microseconds>(entry.time.time_since_epoch()).count()}};
  if (entry.kind == FeedEntry::Kind::kLost) {
    json["lost"] = entry.lost;
    return json;
  }
  json["id"] = entry.cgroup.value;
  json["hierarchy"] = entry.hierarchy;
  json["path"] = entry.path.empty() ? Json(nullptr) : Json(ToJsonText(entry.path));
  if (entry.kind == FeedEntry::Kind::kPopulated) json["populated"] = entry.populated;
  if (entry.kind == FeedEntry::Kind::kNotified) json["agent"] = ToJsonText(entry.agent);
  return json;
}

}  // namespace

// Answered once it is in force: who looks at the state after the answer misses nothing.
Result<Json> Subscribe(Request& rq) {
  rq.session.subscriber.reset();
  Json answer = Json::object();
  std::optional<EventFeed::Scope> scope;
  if (NamesCgroup(rq)) {
    auto id = CgroupOf(rq);
    if (!id) return Fail(id.error());
    auto info = TRY(rq.daemon.registry().Info(*id));
    scope = {.cgroup = *id,
             .hierarchy = info.hierarchy,
             .is_root = info.parent.value == 0,
             .path = info.path};
    answer = {{"id", id->value}, {"path", FullPath(info)}};
  }
  rq.session.subscriber =
      std::make_unique<EventFeed::Subscriber>(rq.daemon.feed(), std::move(scope));
  if (rq.session.subscriber->fd() < 0) {
    rq.session.subscriber.reset();
    return Fail(EMFILE, "the daemon has no descriptor left to subscribe with");
  }
  return answer;
}

Result<Json> Events(Request& rq) {
  if (!rq.session.subscriber) return Fail(EINVAL, "this connection has not subscribed");
  EventFeed::Subscriber& subscriber = *rq.session.subscriber;
  for (;;) {
    Json events = Json::array();
    for (const FeedEntry& entry : subscriber.Take()) events.push_back(ToJson(entry));
    if (!events.empty()) return Json{{"events", std::move(events)}};
    pollfd fds[] = {{.fd = subscriber.fd(), .events = POLLIN, .revents = 0},
                    {.fd = rq.connection, .events = POLLRDHUP, .revents = 0},
                    {.fd = rq.daemon.shutdown_fd(), .events = POLLIN, .revents = 0}};
    ::poll(fds, 3, -1);
    // In this order: at the end of the daemon connections are shut down as well.
    if (fds[2].revents) return Fail(ESHUTDOWN, "the daemon ends");
    if (fds[1].revents) return Fail(ECANCELED, "the peer does not wait any more");
  }
}

}  // namespace corral::operation
