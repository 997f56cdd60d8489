// Operations that change a cgroup or what is in it: mkdir, rmdir, attach, leave, kill.
#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "daemon/handlers.h"
#include "wire/bytes.h"

namespace corral::operation {

namespace {

// One name below `parent`, made if it is missing; `fresh`: the first free NAME, NAME-2, ...
Result<CgroupId> MakeOne(Daemon& d, CgroupId parent, const std::string& name, bool fresh,
                         MkdirOptions options, bool* created) {
  constexpr int kNames = 1'000'000;
  for (int n = 1; n < kNames; ++n) {
    const std::string attempt = n == 1 ? name : fmt::format("{}-{}", name, n);
    auto made = d.tree().Mkdir({}, Inode::Directory(parent), attempt, 0755, options);
    if (made) {
      *created = true;
      return Inode{made->st_ino}.cgroup();
    }
    if (made.error().code != EEXIST) return Fail(made.error());
    if (!fresh) return d.registry().Child(parent, name);
  }
  return Fail(EEXIST, "no free name for '{}'", name);
}

// A task by the number it has in the peer's pid namespace (spec 7.5).
Result<Tid> TaskNamed(const Request& rq, std::uint32_t number) {
  if (rq.session.peer.value == 0) {
    return Fail(EPERM, "the peer is not visible from here; its numbers mean nothing");
  }
  const auto view = rq.daemon.tree().host().PidViewOf(rq.session.peer);
  return view ? view->HostTid(number) : Result<Tid>(Tid{number});
}

}  // namespace

Result<Json> Mkdir(Request& rq) {
  auto parent = TRY(CgroupOf(rq));
  const std::string name = FromJsonText(rq.json.at("name").get<std::string>());
  const MkdirOptions options{.auto_remove = Flag(rq, "auto_remove")};
  bool created = false;
  CgroupId at = parent;
  std::vector<CgroupId> made_here;
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty()) continue;
    const bool last = begin >= name.size();
    created = false;
    auto made = MakeOne(rq.daemon, at, part, last && Flag(rq, "fresh"), options, &created);
    if (!made) {  // nothing half done
      for (auto id = made_here.rbegin(); id != made_here.rend(); ++id) {
        (void)rq.daemon.registry().Remove(*id);
      }
      return Fail(made.error());
    }
    at = *made;
    if (created) made_here.push_back(at);
  }
  auto info = TRY(rq.daemon.registry().Info(at));
  return Json{{"id", at.value}, {"path", FullPath(info)}, {"created", created}};
}

Result<Json> Rmdir(Request& rq) {
  auto id = TRY(CgroupOf(rq));
  TRY(rq.daemon.registry().Remove(id));
  return Json::object();
}

Result<Json> Attach(Request& rq) {
  auto id = TRY(CgroupOf(rq));
  const std::uint64_t number = Number(rq.json, "tid");
  if (number > UINT32_MAX) return Fail(ESRCH, "no live task {}", number);
  const auto tid = TRY(TaskNamed(rq, static_cast<std::uint32_t>(number)));
  Registry& registry = rq.daemon.registry();
  auto done =
      Flag(rq, "process") ? registry.AttachProcess(id, tid, {}) : registry.Attach(id, tid, {});
  if (!done) return Fail(done.error());
  return Json::object();
}

// Out of every group: for the daemon of another instance, which must not be in a job of ours.
Result<Json> Leave(Request& rq) {
  const std::uint64_t number = Number(rq.json, "tid");
  if (number > UINT32_MAX) return Fail(ESRCH, "no live task {}", number);
  const auto tid = TRY(TaskNamed(rq, static_cast<std::uint32_t>(number)));
  Registry& registry = rq.daemon.registry();
  for (const HierarchyInfo& info : registry.Hierarchies()) {
    auto moved = registry.AttachProcess(info.root, tid, {});
    const bool ended = !moved && (moved.error().code == ENOENT || moved.error().code == ENODEV);
    if (!moved && !ended) return Fail(moved.error());
  }
  return Json::object();
}

Result<Json> Kill(Request& rq) {
  auto id = TRY(CgroupOf(rq));
  auto info = rq.daemon.registry().Info(id);
  if (info && info->parent.value == 0) {
    return Fail(EPERM, "{} holds every task of the machine; kill a cgroup below it",
                FullPath(*info));
  }
  auto killed = rq.daemon.tree().Kill(id);
  if (!killed) return Fail(killed.error());
  Json pids = Json::array();
  for (const Tgid tgid : *killed) pids.push_back(tgid.value);
  return Json{{"killed", pids}};
}

}  // namespace corral::operation
