#include "control/proc_view.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <optional>
#include <set>

#include "base/errors.h"

namespace corral {
namespace {

// kind:4, tid:26, tgid:26; the kernel's tids have 22 bits at most.
constexpr unsigned kKindBits = 4;
constexpr unsigned kTidBits = 26;
constexpr std::uint64_t kTidMask = (1u << kTidBits) - 1;

struct Name {
  std::string_view name;
  ProcNode::Kind kind;
};
constexpr Name kTopNames[] = {{"self", ProcNode::kSelf},
                              {"thread-self", ProcNode::kThreadSelf},
                              {"cgroups", ProcNode::kCgroups},
                              {"mounts", ProcNode::kMounts}};
constexpr Name kTaskFiles[] = {{"container", ProcNode::kContainer}, {"cgroup", ProcNode::kCgroup}};

std::optional<Tid> NumberIn(std::string_view name) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  if (!whole || number == 0 || number > kTidMask || name.front() == '0') return std::nullopt;
  return Tid{number};
}

Result<std::uint64_t> Began(const Host& host, Tid tid) {
  const auto task = TRY(host.OpenTask(tid));
  return task->started();
}

}  // namespace

std::uint64_t ProcNode::number() const {
  return kind | std::uint64_t{tid.value} << kKindBits |
         std::uint64_t{tgid.value} << (kKindBits + kTidBits);
}

ProcNode ProcNode::Of(std::uint64_t number) {
  return {.kind = static_cast<Kind>(number & ((1u << kKindBits) - 1)),
          .tid = Tid{static_cast<std::uint32_t>(number >> kKindBits & kTidMask)},
          .tgid = Tgid{static_cast<std::uint32_t>(number >> (kKindBits + kTidBits) & kTidMask)}};
}

bool ProcNode::is_directory() const {
  return kind == kRoot || kind == kProcess || kind == kTasks || kind == kThread;
}

Result<std::string> ProcFile::Read(std::size_t size, std::uint64_t offset) {
  if (offset == 0) {
    auto made = make_();
    if (!made) return made;
    TRY(charge_.Resize(made->size()));
    text_ = std::move(*made);
  }
  return offset >= text_.size() ? std::string() : text_.substr(offset, size);
}

ProcView::ProcView(const Tree& tree, HierarchyId built_in, Source source)
    : tree_(tree),
      registry_(tree.registry()),
      host_(tree.host()),
      built_in_(built_in),
      source_(std::move(source)) {}

// ---- nodes

Result<Tgid> ProcView::ProcessOf(Tid tid) const {
  if (const auto process = registry_.ProcessOfLive(tid)) return *process;
  const auto task = host_.OpenTask(tid);  // a zombie, or on its way there
  const auto owner = task ? (*task)->owner() : Fail(task.error());
  if (!owner) return Fail(ENOENT, "no task {}", tid.value);
  return owner->process;
}

// A node below PID is there as long as the task is; below PID/task the task must be of that
// process.
Result<void> ProcView::Exists(ProcNode node) const {
  if (node.tid.value == 0) return {};
  const auto process = ProcessOf(node.tid);
  if (!process) return Fail(process.error());
  if (node.tgid.value != 0 && node.tgid != *process) {
    return Fail(ENOENT, "task {} is not of process {}", node.tid.value, node.tgid.value);
  }
  return {};
}

// What is in the directory of a process, or below it.
Result<void> ProcView::Shown(ProcNode node, const Sight& sight) const {
  if (node.tid.value == 0) return {};
  const Tid process = node.tgid.value != 0 ? Tid{node.tgid.value} : node.tid;
  switch (sight.Of(process)) {
    case Sight::kNothing: return Fail(ENOENT, "no process {}", process.value);
    case Sight::kName: return Fail(EPERM, "/proc hides process {}", process.value);
    case Sight::kAll: break;
  }
  return {};
}

Result<ProcNode> ProcView::Lookup(ProcNode parent, std::string_view name,
                                  const Caller& caller) const {
  if (!parent.is_directory()) return Fail(ENOTDIR, "not a directory");
  TRY(Exists(parent));
  const Sight sight(host_, registry_, caller);
  TRY(Shown(parent, sight));
  const bool of_task = parent.kind == ProcNode::kProcess || parent.kind == ProcNode::kThread;
  if (parent.kind == ProcNode::kRoot) {
    for (const Name& known : kTopNames) {
      if (known.name == name) return ProcNode{known.kind, {}, {}};
    }
  } else if (of_task) {
    for (const Name& known : kTaskFiles) {
      if (known.name == name) return ProcNode{known.kind, parent.tid, parent.tgid};
    }
    if (parent.kind == ProcNode::kProcess && name == "task") {
      return ProcNode{ProcNode::kTasks, parent.tid, {}};
    }
  }
  const auto number = of_task ? std::nullopt : NumberIn(name);
  if (!number) return Fail(ENOENT, "no '{}' here", name);
  ProcNode node{ProcNode::kProcess, *number, {}};
  if (parent.kind == ProcNode::kTasks) {
    const auto process = TRY(ProcessOf(parent.tid));
    node = {ProcNode::kThread, *number, process};
  }
  TRY(Exists(node));
  if (sight.Of(node.tid) == Sight::kNothing && node.kind == ProcNode::kProcess) {
    return Fail(ENOENT, "no process {}", node.tid.value);
  }
  return node;
}

Result<struct stat> ProcView::GetAttr(ProcNode node) const {
  TRY(Exists(node));
  struct stat out {};
  out.st_ino = node.number();
  out.st_nlink = node.is_directory() ? 2 : 1;
  out.st_mode = node.is_directory() ? S_IFDIR | 0555
                : node.is_link()    ? S_IFLNK | 0777
                                    : S_IFREG | 0444;
  // As in control files: sendfile and cp copy no more than the size says.
  constexpr off_t kPage = 4096;
  if (S_ISREG(out.st_mode)) out.st_size = 16 * kPage;
  out.st_blksize = kPage;
  return out;
}

Result<std::string> ProcView::ReadLink(ProcNode node, Tid caller) const {
  if (!node.is_link()) return Fail(EINVAL, "not a link");
  const auto process = TRY(ProcessOf(caller));
  if (node.kind == ProcNode::kSelf) return fmt::format("{}", process.value);
  return fmt::format("{}/task/{}", process.value, caller.value);
}

// Of the processes, or of a process's tasks: the lowest above `after`, so many as are worth a walk.
std::vector<std::uint32_t> ProcView::NumbersAfter(ProcNode node, std::uint32_t after) const {
  constexpr std::size_t kMost = 4096;
  const bool top = node.kind == ProcNode::kRoot;
  const auto of = top ? Result<Tgid>(Tgid{}) : ProcessOf(node.tid);
  if (!of) return {};
  std::set<std::uint32_t> numbers;
  registry_.ForEachTask([&](Tid tid, Tgid process) {
    if (!top && process != *of) return;
    const std::uint32_t number = top ? process.value : tid.value;
    if (number <= after) return;
    numbers.insert(number);
    if (numbers.size() > kMost) numbers.erase(std::prev(numbers.end()));
  });
  return {numbers.begin(), numbers.end()};
}

// Places: 1 after ".", 2 after "..", then one for each name, and one for each number.
Result<std::vector<DirEntry>> ProcView::ReadDir(ProcNode node, const Caller& caller,
                                                std::uint64_t from, std::size_t most) const {
  constexpr std::uint64_t kNames = 3, kNumbers = 16;
  if (!node.is_directory()) return Fail(ENOTDIR, "not a directory");
  const Sight sight(host_, registry_, caller);
  TRY(Shown(node, sight));
  std::vector<DirEntry> entries;
  const auto add = [&](std::string_view name, ProcNode entry, std::uint64_t place) {
    if (place <= from || entries.size() == most) return;
    entries.push_back({.name = std::string(name),
                       .ino = entry.number(),
                       .is_directory = entry.is_directory(),
                       .is_link = entry.is_link(),
                       .next = place});
  };
  add(".", node, 1);
  add("..", {}, 2);
  if (!Exists(node)) return entries;
  std::uint64_t place = kNames;
  if (node.kind == ProcNode::kProcess || node.kind == ProcNode::kThread) {
    for (const Name& file : kTaskFiles) add(file.name, {file.kind, node.tid, node.tgid}, place++);
    if (node.kind == ProcNode::kProcess) add("task", {ProcNode::kTasks, node.tid, {}}, place);
    return entries;
  }
  const bool top = node.kind == ProcNode::kRoot;
  if (top) {
    for (const Name& known : kTopNames) add(known.name, {known.kind, {}, {}}, place++);
  }
  const auto of = top ? Result<Tgid>(Tgid{}) : ProcessOf(node.tid);
  auto after = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(std::max(from, kNumbers) - kNumbers, UINT32_MAX));
  for (bool more = of.has_value(); more && entries.size() < most;) {
    const auto numbers = NumbersAfter(node, after);
    for (const std::uint32_t number : numbers) {
      after = number;
      if (entries.size() == most) break;
      if (top && sight.Of(Tid{number}) == Sight::kNothing) continue;
      const ProcNode entry{top ? ProcNode::kProcess : ProcNode::kThread, Tid{number},
                           top ? Tgid{} : *of};
      add(fmt::format("{}", number), entry, kNumbers + number);
    }
    more = !numbers.empty();
  }
  return entries;
}

// ---- contents

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
  const Sight sight(host_, registry_, caller);
  TRY(Shown(node, sight));
  // Known again by when it began: whoever gets the number later is another task (spec 12.1).
  const auto began = Began(host_, node.tid);
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
        const auto now = Began(host_, node.tid);
        if (!now) return Fail(now.error());
        if (*now != began) return Fail(ESRCH, "task {} is another one by now", node.tid.value);
        return text;
      },
      std::move(charge));
}

// An exiting task reads `/` everywhere (spec 11.4). EACCES: not the reader's to know.
// A newline in a name (v6, v11) would begin a line that its maker wrote: as /proc/mounts has it.
static Result<std::string> OnOneLine(Result<std::string> path) {
  if (!path) return path;
  for (auto at = path->find('\n'); at != std::string::npos; at = path->find('\n', at)) {
    path->replace(at, 1, "\\012");
  }
  return path;
}

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
  auto path = PathIn(*chosen, tid, reader);
  if (!path) return path;
  return *path + "\n";
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
