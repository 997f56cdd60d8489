// Operations about CPU time: open_bill, bill, stat, top.
#include <poll.h>

#include <cerrno>
#include <chrono>

#include "base/errors.h"
#include "daemon/handlers.h"
#include "daemon/pieces.h"

namespace corral::operation {
namespace {

wire::Cpu CpuOf(const CpuTime& time) {
  return {.total_ns = time.total,
          .user_ns = time.user,
          .system_ns = time.system,
          .ended_tasks = time.tasks};
}

// What is not charged yet is so within milliseconds; a task that hangs in its exit is not worth
// more waiting than this.
constexpr auto kPatience = std::chrono::seconds(5);
constexpr int kPauseMs = 2;

// How many are left that are not charged in full: 0, or somebody does not wait any longer.
Result<std::uint64_t> AwaitCharges(Request& rq, CgroupId cgroup) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const std::uint64_t uncharged = rq.instance.billing().Uncharged(cgroup);
    if (uncharged == 0 || std::chrono::steady_clock::now() > end) return uncharged;
    pollfd fds[] = {{.fd = rq.connection, .events = POLLRDHUP, .revents = 0},
                    {.fd = rq.instance.shutdown_fd(), .events = POLLIN, .revents = 0}};
    ::poll(fds, 2, kPauseMs);
    if (fds[1].revents) return uncharged;
    if (fds[0].revents) return Fail(ECANCELED, "the peer does not wait any more");
  }
}

}  // namespace

AnswerOf<wire::OpenBill> OpenBill(Request& rq, const wire::OpenBill& ask) {
  const CgroupId id = TRY(CgroupOf(rq, ask.group));
  const CgroupInfo info = TRY(rq.instance.registry().Info(id));
  if (rq.session.bill) return Fail(EBUSY, "this connection has a bill open already");
  rq.session.bill = TRY(rq.instance.billing().OpenBill(id));
  return wire::OpenBill::Answer{.path = FullPath(info)};
}

AnswerOf<wire::Bill> Bill(Request& rq, const wire::Bill& ask) {
  if (!rq.session.bill) return Fail(EINVAL, "no bill is open on this connection");
  const CgroupId cgroup = rq.session.bill->cgroup();
  const std::uint64_t uncharged =
      ask.settle ? TRY(AwaitCharges(rq, cgroup)) : rq.instance.billing().Uncharged(cgroup);
  return wire::Bill::Answer{.cpu = CpuOf(TRY(rq.session.bill->SoFar())),
                            .uncharged_tasks = uncharged};
}

namespace {

// What a subsystem's files of this cgroup say; an error instead of what cannot be read.
std::vector<wire::Stat::File> FilesOf(Request& rq, CgroupId cgroup) {
  constexpr std::size_t kLongest = 64 * 1024;
  const Caller root{.tid = rq.session.peer};
  std::vector<wire::Stat::File> files;
  for (const DirEntry& entry : rq.instance.tree().SubsystemFiles(cgroup)) {
    auto opened = rq.instance.tree().Open(root, Inode{entry.ino}, /*readable=*/true);
    auto content =
        opened ? (*opened)->Read(root.tid, kLongest, 0) : Result<std::string>(Fail(opened.error()));
    wire::Stat::File& file = files.emplace_back();
    file.name = entry.name;
    content ? file.content = *std::move(content) : file.error = content.error().message;
  }
  return files;
}

}  // namespace

AnswerOf<wire::Stat> Stat(Request& rq, const wire::Stat& ask) {
  const CgroupId id = TRY(CgroupOf(rq, ask.group));
  Registry& registry = rq.instance.registry();
  const CgroupInfo info = TRY(registry.Info(id));
  const auto tasks = TRY(registry.Tasks(id));
  const auto processes = TRY(registry.Processes(id));
  const auto all = TRY(registry.SubtreeTasks(id));
  wire::Stat::Answer answer{
      .id = id.value,
      .path = FullPath(info),
      .populated = info.populated,
      .groups = info.children,
      .tasks = tasks.size(),
      .processes = processes.size(),
      .cpu = std::nullopt,
      .subtree = {.tasks = all.size(), .processes = ProcessesOf(all).size(), .cpu = std::nullopt},
      .files = FilesOf(rq, id)};
  if (!rq.instance.billing().IsMetering()) return answer;
  const auto times = TRY(registry.CpuTimesBelow(id));
  answer.cpu = CpuOf(times.at(id).own);
  answer.subtree.cpu = CpuOf(times.at(id).subtree);
  return answer;
}

namespace {

// The groups at and below `top` with what they have run; one made since has nothing yet.
Result<void> AddUsers(Registry& registry, CgroupId top, Pieces& pieces, std::size_t* rows) {
  const CgroupInfo info = TRY(registry.Info(top));
  const auto nodes = TRY(registry.Subtree(top));
  const auto times = TRY(registry.CpuTimesBelow(top));
  const auto ran = [&](const TreeNode& node) -> Ran {
    const auto its = times.find(node.id);
    if (its == times.end()) return {};
    return {.own_ns = its->second.own.total, .subtree_ns = its->second.subtree.total};
  };
  if (!AddGroups(pieces, nodes, FullPath(info), rows, ran)) return PeerIsGone();
  return {};
}

}  // namespace

AnswerOf<wire::Top> Top(Request& rq, const wire::Top& ask) {
  if (!rq.session.metering) rq.session.metering = TRY(rq.instance.billing().StartMetering());
  Registry& registry = rq.instance.registry();
  Pieces pieces(rq);
  std::size_t rows = 0;
  if (!ask.group.empty()) {
    TRY(AddUsers(registry, TRY(CgroupOf(rq, ask.group)), pieces, &rows));
  } else {
    (void)rq.instance.mounts().size();  // sweeps
    for (const HierarchyInfo& info : registry.Hierarchies()) {
      auto added = AddUsers(registry, info.root, pieces, &rows);  // or it ended meanwhile
      if (!added && added.error().code == ECANCELED) return Fail(added.error());
    }
  }
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return wire::Top::Answer{.time_ns = std::chrono::nanoseconds(now).count()};
}

}  // namespace corral::operation
