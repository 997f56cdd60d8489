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

ProcView::ProcView(const Tree& tree, HierarchyId built_in, Source source)
    : tree_(tree),
      registry_(tree.registry()),
      machine_(tree.machine()),
      built_in_(built_in),
      source_(std::move(source)) {}

// ---- nodes

Result<Tgid> ProcView::ProcessOf(Tid tid) const {
  if (const auto process = registry_.ProcessOfLive(tid)) return *process;
  const auto task = machine_.OpenTask(tid);  // a zombie, or on its way there
  const auto owner = task ? (*task)->owner() : Fail(task.error());
  if (!owner) return Fail(ENOENT, "no task {}", tid.value);
  return owner->process;
}

// A node below PID is there as long as the task is; below PID/task the task must be of that
// process.
Result<void> ProcView::Exists(ProcNode node) const {
  if (node.tid.value == 0) return {};
  const auto process = TRY(ProcessOf(node.tid));
  if (node.tgid.value != 0 && node.tgid != process) {
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
  const Sight sight(machine_, registry_, caller);
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

std::vector<std::uint32_t> ProcView::NumbersAfter(Tgid of, std::uint32_t after) const {
  constexpr std::size_t kMost = 4096;
  const bool top = of.value == 0;
  std::set<std::uint32_t> numbers;
  registry_.ForEachTask([&](Tid tid, Tgid process) {
    if (!top && process != of) return;
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
  const Sight sight(machine_, registry_, caller);
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
  if (!of) return entries;
  auto after = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(std::max(from, kNumbers) - kNumbers, UINT32_MAX));
  for (bool more = true; more && entries.size() < most;) {
    const auto numbers = NumbersAfter(*of, after);
    for (const std::uint32_t number : numbers) {
      after = number;
      if (entries.size() == most) break;
      if (top && sight.Of(Tid{number}) == Sight::kNothing) continue;
      const ProcNode entry{top ? ProcNode::kProcess : ProcNode::kThread, Tid{number}, *of};
      add(fmt::format("{}", number), entry, kNumbers + number);
    }
    more = !numbers.empty();
  }
  return entries;
}

}  // namespace corral
