// Operations about CPU time: open_bill, bill, stat, top.
#include <poll.h>

#include <cerrno>
#include <chrono>

#include "base/errors.h"
#include "daemon/handlers.h"
#include "wire/bytes.h"

namespace corral::operation {
namespace {

Json ToJson(const CpuTime& time) {
  return {{"total_ns", time.total},
          {"user_ns", time.user},
          {"system_ns", time.system},
          {"ended_tasks", time.tasks}};
}

// What is not charged yet is so within milliseconds; a task that hangs in its exit is not worth
// more waiting than this.
constexpr auto kPatience = std::chrono::seconds(5);
constexpr int kPauseMs = 2;

// How many are left that are not charged in full: 0, or somebody does not wait any longer.
Result<std::uint64_t> AwaitCharges(Request& rq, CgroupId cgroup) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const std::uint64_t uncharged = rq.daemon.billing().Uncharged(cgroup);
    if (uncharged == 0 || std::chrono::steady_clock::now() > end) return uncharged;
    pollfd fds[] = {{.fd = rq.connection, .events = POLLRDHUP, .revents = 0},
                    {.fd = rq.daemon.shutdown_fd(), .events = POLLIN, .revents = 0}};
    ::poll(fds, 2, kPauseMs);
    if (fds[1].revents) return uncharged;
    if (fds[0].revents) return Fail(ECANCELED, "the peer does not wait any more");
  }
}

}  // namespace

Result<Json> OpenBill(Request& rq) {
  auto id = TRY(CgroupOf(rq));
  auto info = TRY(rq.daemon.registry().Info(id));
  if (rq.session.bill) return Fail(EBUSY, "this connection has a bill open already");
  auto bill = rq.daemon.billing().OpenBill(id);
  if (!bill) return Fail(bill.error());
  rq.session.bill = *std::move(bill);
  return Json{{"path", FullPath(info)}};
}

Result<Json> Bill(Request& rq) {
  if (!rq.session.bill) return Fail(EINVAL, "no bill is open on this connection");
  const CgroupId cgroup = rq.session.bill->cgroup();
  Result<std::uint64_t> uncharged =
      Flag(rq, "settle") ? AwaitCharges(rq, cgroup) : rq.daemon.billing().Uncharged(cgroup);
  if (!uncharged) return Fail(uncharged.error());
  auto time = TRY(rq.session.bill->SoFar());
  return Json{{"cpu", ToJson(time)}, {"uncharged_tasks", *uncharged}};
}

namespace {

// What a subsystem's files of this cgroup say; an error instead of what cannot be read.
Json FilesOf(Request& rq, CgroupId cgroup) {
  constexpr std::size_t kLongest = 64 * 1024;
  const Caller root{.tid = rq.session.peer};
  Json files = Json::array();
  for (const DirEntry& entry : rq.daemon.tree().SubsystemFiles(cgroup)) {
    Json file = {{"name", ToJsonText(entry.name)}};
    auto opened = rq.daemon.tree().Open(root, Inode{entry.ino}, /*readable=*/true);
    auto content =
        opened ? (*opened)->Read(root.tid, kLongest, 0) : Result<std::string>(Fail(opened.error()));
    if (content) {
      file["content"] = ToJsonText(*content);
    } else {
      file["error"] = ToJsonText(content.error().message);
    }
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace

Result<Json> Stat(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  Registry& registry = rq.daemon.registry();
  auto info = TRY(registry.Info(*id));
  auto tasks = registry.Tasks(*id);
  if (!tasks) return Fail(tasks.error());
  auto processes = registry.Processes(*id);
  if (!processes) return Fail(processes.error());
  auto all = TRY(registry.SubtreeTasks(*id));
  Json answer = {{"id", id->value},
                 {"path", FullPath(info)},
                 {"populated", info.populated},
                 {"groups", info.children},
                 {"tasks", tasks->size()},
                 {"processes", processes->size()},
                 {"subtree", {{"tasks", all.size()}, {"processes", ProcessesOf(all).size()}}},
                 {"cpu", nullptr},
                 {"files", FilesOf(rq, *id)}};
  if (!rq.daemon.billing().IsMetering()) return answer;
  auto times = TRY(registry.CpuTimesBelow(*id));
  answer["cpu"] = ToJson(times.at(*id).own);
  answer["subtree"]["cpu"] = ToJson(times.at(*id).subtree);
  return answer;
}

namespace {

// The groups at and below `top` with what they have run; one made since has nothing yet.
Result<void> AddUsers(Registry& registry, CgroupId top, Pieces& pieces, std::size_t* rows) {
  auto info = TRY(registry.Info(top));
  auto nodes = TRY(registry.Subtree(top));
  auto times = TRY(registry.CpuTimesBelow(top));
  const auto ran = [&](const TreeNode& node) -> Json::array_t {
    const auto its = times.find(node.id);
    if (its == times.end()) return {0, 0};
    return {its->second.own.total, its->second.subtree.total};
  };
  if (!AddGroups(pieces, nodes, FullPath(info), rows, ran)) return PeerIsGone();
  return {};
}

}  // namespace

Result<Json> Top(Request& rq) {
  if (!rq.session.metering) {
    auto metering = rq.daemon.billing().StartMetering();
    if (!metering) return Fail(metering.error());
    rq.session.metering = *std::move(metering);
  }
  Registry& registry = rq.daemon.registry();
  Pieces pieces(rq);
  std::size_t rows = 0;
  if (NamesCgroup(rq)) {
    auto id = TRY(CgroupOf(rq));
    if (auto added = AddUsers(registry, id, pieces, &rows); !added) return Fail(added.error());
  } else {
    (void)rq.daemon.mounts().size();  // sweeps
    for (const HierarchyInfo& info : registry.Hierarchies()) {
      auto added = AddUsers(registry, info.root, pieces, &rows);  // or it ended meanwhile
      if (!added && added.error().code == ECANCELED) return Fail(added.error());
    }
  }
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  Json answer = pieces.Rest();
  answer["time_ns"] = std::chrono::nanoseconds(now).count();
  return answer;
}

}  // namespace corral::operation
