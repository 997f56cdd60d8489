// Operations about what a group is like: info, and waiting until it is empty.
#include <cerrno>

#include "base/errors.h"
#include "base/event_fd.h"
#include "daemon/handlers.h"

namespace corral::operation {

AnswerOf<wire::Info> Info(Request& rq, const wire::Info& ask) {
  const CgroupId id = TRY(CgroupOf(rq, ask.group));
  Registry& registry = rq.instance.registry();
  const auto events = registry.Events(id);
  const CgroupInfo info = TRY(registry.Info(id));
  const auto tasks = registry.Tasks(id);
  return wire::Info::Answer{.id = id.value,
                            .hierarchy = info.hierarchy_name,
                            .path = FullPath(info),
                            .children = info.children,
                            .notify_on_release = info.notify_on_release,
                            .populated = events ? events->populated : info.populated,
                            .releases = info.releases,
                            .tasks = tasks ? tasks->size() : 0};
}

// Registered before the first look, so nothing is missed (spec 10.9, 10.10).
AnswerOf<wire::Wait> Wait(Request& rq, const wire::Wait& ask) {
  const CgroupId id = TRY(CgroupOf(rq, ask.group));
  Registry& registry = rq.instance.registry();
  const CgroupInfo info = TRY(registry.Info(id));
  if (info.parent.value == 0) {
    return Fail(EINVAL,
                "{} holds the machine's own tasks and is never empty; wait for a group "
                "below it",
                FullPath(info));
  }
  EventFd changed;
  if (changed.fd() < 0) return Fail(EMFILE, "the daemon has no descriptor left to wait with");
  Waiters::Entry entry(rq.instance.waiters(), id, changed);
  for (;;) {
    changed.Reset();
    const auto events = registry.Events(id);
    if (!events || !events->populated) {
      return wire::Wait::Answer{.path = FullPath(info), .existed = events.has_value()};
    }
    auto ready = AwaitReadable(rq, changed.fd());
    if (!ready && ready.error().code == ESHUTDOWN) {
      return Fail(ESHUTDOWN, "the daemon ends; {} may still have tasks", FullPath(info));
    }
    if (!ready) return Fail(ready.error());
  }
}

}  // namespace corral::operation
