// What the files of the proc view say.
#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/errors.h"
#include "control/proc_view.h"

namespace corral {
namespace {

Result<std::uint64_t> Began(const Machine& machine, Tid tid) {
  const auto task = TRY(machine.OpenTask(tid));
  return task->started();
}

// A newline in a name (v6, v11) is written as /proc/mounts writes it. Else whoever made the group
// could add lines of his own.
Result<std::string> OnOneLine(Result<std::string> path) {
  if (!path) return path;
  for (auto at = path->find('\n'); at != std::string::npos; at = path->find('\n', at)) {
    path->replace(at, 1, "\\012");
  }
  return path;
}

}  // namespace

Result<std::string> ProcFile::Read(std::size_t size, std::uint64_t offset) {
  if (offset == 0) {
    auto made = TRY(make_());
    TRY(charge_.Resize(made.size()));
    text_ = std::move(made);
  }
  return offset >= text_.size() ? std::string() : text_.substr(offset, size);
}

Result<std::unique_ptr<ProcFile>> ProcView::Open(ProcNode node, const Caller& caller) const {
  if (node.is_directory()) return Fail(EISDIR, "a directory");
  OpenBudget::Charge charge = tree_.budget().For(caller.uid);
  TRY(charge.Resize(0));
  if (node.kind == ProcNode::kCgroups) {
    return std::make_unique<ProcFile>([this] { return CgroupsTable(); }, std::move(charge));
  }
  if (node.kind == ProcNode::kMounts) {
    return std::make_unique<ProcFile>([this] { return source_.mounts(); }, std::move(charge));
  }
  const Sight sight(machine_, registry_, caller);
  TRY(Shown(node, sight));
  // Known again by when it began: whoever gets the number later is another task (spec 12.1).
  const auto began = Began(machine_, node.tid);
  if (!began) {
    return Fail(began.error().code == ESRCH ? ENOENT : began.error().code, "{}",
                began.error().message);
  }
  TRY(Exists(node));
  return std::make_unique<ProcFile>(
      [this, node, began = *began,
       reader = Reader{sight.who(), sight.MayFollow(node.tid)}]() -> Result<std::string> {
        auto text = node.kind == ProcNode::kContainer ? ContainerLine(node.tid, reader)
                                                      : CgroupLines(node.tid, reader);
        if (TRY(Began(machine_, node.tid)) != began) {
          return Fail(ESRCH, "task {} is another one by now", node.tid.value);
        }
        return text;
      },
      std::move(charge));
}

// An exiting task reads `/` everywhere (spec 11.4). EACCES: not the reader's to know.
Result<std::string> ProcView::PathIn(const HierarchyInfo& hierarchy, Tid tid,
                                     const Reader& reader) const {
  const auto cgroup = registry_.CgroupOf(tid, hierarchy.id);
  if (cgroup && !reader.follows && !tree_.MayReach(reader.who, *cgroup)) {
    return Fail(EACCES, "uid {} may not enter a directory above", reader.who.uid);
  }
  const auto path = cgroup ? registry_.PathOf(*cgroup) : Result<std::string>("/");
  return OnOneLine(PathForReader(path.value_or("/"), DialectOf(hierarchy.dialect)));
}

// In the v6 hierarchy if it is in use, else in the one mounted without options, else in the
// built-in one.
Result<std::string> ProcView::ContainerLine(Tid tid, const Reader& reader) const {
  source_.sweep();
  std::optional<HierarchyInfo> chosen;
  int chosen_rank = 0;
  for (const HierarchyInfo& info : registry_.Hierarchies()) {
    // Only v6's stays when nobody uses it.
    const bool v6 =
        DialectOf(info.dialect).one_hierarchy && (info.cgroups > 1 || source_.is_mounted(info.id));
    const bool no_options = info.name.empty() && info.subsystems == registry_.AllSubsystems();
    const int rank = v6 ? 3 : no_options ? 2 : info.id == built_in_ ? 1 : 0;
    if (rank <= chosen_rank) continue;
    chosen = info;
    chosen_rank = rank;
  }
  if (!chosen) return Fail(ESRCH, "no hierarchy");
  return TRY(PathIn(*chosen, tid, reader)) + "\n";
}

// A path that is not the reader's to know has no line, as if there were no such hierarchy: any
// other path would be wrong.
Result<std::string> ProcView::CgroupLines(Tid tid, const Reader& reader) const {
  source_.sweep();
  std::string lines;
  auto all = registry_.Hierarchies();
  std::reverse(all.begin(), all.end());
  for (const HierarchyInfo& info : all) {
    const auto path = PathIn(info, tid, reader);
    if (!path && path.error().code == EACCES) continue;
    if (!path) return path;
    std::string what = registry_.NamesOf(info.subsystems);
    if (!info.name.empty()) what += (what.empty() ? "name=" : ",name=") + info.name;
    lines += fmt::format("{}:{}:{}\n", info.id.value, what, *path);
  }
  return lines;
}

std::string ProcView::CgroupsTable() const {
  source_.sweep();
  std::string table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";
  for (const SubsystemInfo& info : registry_.Subsystems()) {
    table += fmt::format("{}\t{}\t{}\t1\n", info.name, info.hierarchy.value, info.cgroups);
  }
  return table;
}

}  // namespace corral
