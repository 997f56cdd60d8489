// Operations that change a cgroup or what is in it: mkdir, rmdir, attach, leave, kill.
#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "daemon/handlers.h"

namespace corral::operation {

namespace {

// One name below `parent`, made if it is missing; `fresh`: the first free NAME, NAME-2, ...
Result<CgroupId> MakeOne(Instance& instance, CgroupId parent, const std::string& name, bool fresh,
                         MkdirOptions options, bool* created) {
  constexpr int kNames = 1'000'000;
  for (int n = 1; n < kNames; ++n) {
    const std::string attempt = n == 1 ? name : fmt::format("{}-{}", name, n);
    auto made = instance.tree().Mkdir({}, Inode::Directory(parent), attempt, 0755, options);
    if (made) {
      *created = true;
      return Inode{made->st_ino}.cgroup();
    }
    if (made.error().code != EEXIST) return Fail(made.error());
    if (!fresh) return instance.registry().Child(parent, name);
  }
  return Fail(EEXIST, "no free name for '{}'", name);
}

// A task by the number it has in the peer's pid namespace (spec 7.5).
Result<Tid> TaskNamed(const Request& rq, std::uint64_t number) {
  if (number > UINT32_MAX) return Fail(ESRCH, "no live task {}", number);
  if (rq.session.peer.value == 0) {
    return Fail(EPERM, "the peer is not visible from here; its numbers mean nothing");
  }
  const auto view = rq.instance.tree().machine().PidViewOf(rq.session.peer);
  const auto tid = static_cast<std::uint32_t>(number);
  return view ? view->HostTid(tid) : Result<Tid>(Tid{tid});
}

}  // namespace

AnswerOf<wire::Mkdir> Mkdir(Request& rq, const wire::Mkdir& ask) {
  const CgroupId parent = TRY(CgroupOf(rq, ask.group));
  const MkdirOptions options{.auto_remove = ask.auto_remove};
  bool created = false;
  CgroupId at = parent;
  std::vector<CgroupId> made_here;
  for (std::size_t begin = 0; begin < ask.name.size();) {
    const std::size_t end = std::min(ask.name.find('/', begin), ask.name.size());
    const std::string part = ask.name.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty()) continue;
    const bool last = begin >= ask.name.size();
    created = false;
    auto made = MakeOne(rq.instance, at, part, last && ask.fresh, options, &created);
    if (!made) {  // nothing half done
      for (auto id = made_here.rbegin(); id != made_here.rend(); ++id) {
        (void)rq.instance.registry().Remove(*id);
      }
      return Fail(made.error());
    }
    at = *made;
    if (created) made_here.push_back(at);
  }
  const CgroupInfo info = TRY(rq.instance.registry().Info(at));
  return wire::Mkdir::Answer{.id = at.value, .path = FullPath(info), .created = created};
}

AnswerOf<wire::Rmdir> Rmdir(Request& rq, const wire::Rmdir& ask) {
  TRY(rq.instance.registry().Remove(TRY(CgroupOf(rq, ask.group))));
  return wire::Done();
}

AnswerOf<wire::Attach> Attach(Request& rq, const wire::Attach& ask) {
  const CgroupId id = TRY(CgroupOf(rq, ask.group));
  const Tid tid = TRY(TaskNamed(rq, ask.tid));
  Registry& registry = rq.instance.registry();
  TRY(ask.process ? registry.AttachProcess(id, tid, {}) : registry.Attach(id, tid, {}));
  return wire::Done();
}

// Out of every group: for the daemon of another instance, which must not be in a job of ours.
AnswerOf<wire::Leave> Leave(Request& rq, const wire::Leave& ask) {
  const Tid tid = TRY(TaskNamed(rq, ask.tid));
  Registry& registry = rq.instance.registry();
  for (const HierarchyInfo& info : registry.Hierarchies()) {
    auto moved = registry.AttachProcess(info.root, tid, {});
    const bool ended = !moved && (moved.error().code == ENOENT || moved.error().code == ENODEV);
    if (!moved && !ended) return Fail(moved.error());
  }
  return wire::Done();
}

AnswerOf<wire::Kill> Kill(Request& rq, const wire::Kill& ask) {
  const CgroupId id = TRY(CgroupOf(rq, ask.group));
  const auto info = rq.instance.registry().Info(id);
  if (info && info->parent.value == 0) {
    return Fail(EPERM, "{} holds every task of the machine; kill a group below it",
                FullPath(*info));
  }
  wire::Kill::Answer answer;
  for (const Tgid tgid : TRY(rq.instance.tree().Kill(id))) answer.killed.push_back(tgid.value);
  return answer;
}

}  // namespace corral::operation
