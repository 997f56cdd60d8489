#include "control/proc_view.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <set>

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

Result<std::string> ProcFile::Read(std::size_t size, std::uint64_t offset) {
  if (offset == 0) {
    auto made = make_();
    if (!made) return made;
    text_ = std::move(*made);
  }
  return offset >= text_.size() ? std::string() : text_.substr(offset, size);
}

ProcView::ProcView(Registry& registry, const Host& host, HierarchyId built_in, Source source)
    : registry_(registry), host_(host), built_in_(built_in), source_(std::move(source)) {}

// ---- nodes

Result<Tgid> ProcView::ProcessOf(Tid tid) const {
  if (const auto place = registry_.tracker().Describe(tid)) return place->tgid;
  const auto task = host_.OpenTask(tid);  // a zombie, or on its way there
  const auto process = task ? (*task)->process() : Result<Tgid>(Fail(task.error()));
  if (!process) return Fail(ENOENT, "no task {}", tid.value);
  return *process;
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

Result<ProcNode> ProcView::Lookup(ProcNode parent, std::string_view name) const {
  if (!parent.is_directory()) return Fail(ENOTDIR, "not a directory");
  if (auto there = Exists(parent); !there) return Fail(there.error());
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
    const auto process = ProcessOf(parent.tid);
    if (!process) return Fail(process.error());
    node = {ProcNode::kThread, *number, *process};
  }
  if (auto there = Exists(node); !there) return Fail(there.error());
  return node;
}

Result<struct stat> ProcView::GetAttr(ProcNode node) const {
  if (auto there = Exists(node); !there) return Fail(there.error());
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
  const auto process = ProcessOf(caller);
  if (!process) return Fail(process.error());
  if (node.kind == ProcNode::kSelf) return fmt::format("{}", process->value);
  return fmt::format("{}/task/{}", process->value, caller.value);
}

Result<std::vector<DirEntry>> ProcView::ReadDir(ProcNode node) const {
  if (!node.is_directory()) return Fail(ENOTDIR, "not a directory");
  std::vector<DirEntry> entries{{".", node.number(), true}, {"..", ProcNode{}.number(), true}};
  if (!Exists(node)) return entries;
  const auto add = [&](std::string_view name, ProcNode entry) {
    entries.push_back(
        {std::string(name), entry.number(), entry.is_directory(), entry.is_link()});
  };
  if (node.kind == ProcNode::kProcess || node.kind == ProcNode::kThread) {
    for (const Name& file : kTaskFiles) add(file.name, {file.kind, node.tid, node.tgid});
    if (node.kind == ProcNode::kProcess) add("task", {ProcNode::kTasks, node.tid, {}});
    return entries;
  }
  const bool top = node.kind == ProcNode::kRoot;
  if (top) {
    for (const Name& known : kTopNames) add(known.name, {known.kind, {}, {}});
  }
  const auto of = top ? Result<Tgid>(Tgid{}) : ProcessOf(node.tid);
  std::set<std::uint32_t> numbers;
  registry_.tracker().ForEachTask([&](Tid tid, Place place) {
    if (top) {
      numbers.insert(place.tgid.value);
    } else if (of && place.tgid == *of) {
      numbers.insert(tid.value);
    }
  });
  for (const std::uint32_t number : numbers) {
    if (top) {
      add(fmt::format("{}", number), {ProcNode::kProcess, Tid{number}, {}});
    } else {
      add(fmt::format("{}", number), {ProcNode::kThread, Tid{number}, *of});
    }
  }
  return entries;
}

// ---- contents

Result<std::unique_ptr<ProcFile>> ProcView::Open(ProcNode node) const {
  if (node.is_directory()) return Fail(EISDIR, "a directory");
  if (node.kind == ProcNode::kCgroups) {
    return std::make_unique<ProcFile>([this] { return CgroupsTable(); });
  }
  if (node.kind == ProcNode::kMounts) {
    return std::make_unique<ProcFile>([this] { return source_.mounts(); });
  }
  // Held from here on: whoever gets the number later is another task (spec 12.1).
  auto opened = host_.OpenTask(node.tid);
  if (!opened) return Fail(ENOENT, "no task {}", node.tid.value);
  if (auto there = Exists(node); !there) return Fail(there.error());
  return std::make_unique<ProcFile>(
      [this, node, task = std::shared_ptr<TaskHandle>(std::move(*opened))]() -> Result<std::string> {
        auto text = node.kind == ProcNode::kContainer ? ContainerLine(node.tid)
                                                      : CgroupLines(node.tid);
        if (auto there = task->StillThere(); !there) return Fail(there.error());
        return text;
      });
}

// An exiting task reads `/` everywhere (spec 11.4).
Result<std::string> ProcView::PathIn(const HierarchyInfo& hierarchy, Tid tid) const {
  const auto cgroup = registry_.CgroupOf(tid, hierarchy.id);
  const auto path = cgroup ? registry_.PathOf(*cgroup) : Result<std::string>("/");
  return PathForReader(path.value_or("/"), DialectOf(hierarchy.dialect));
}

// In the v6 hierarchy if it is in use, else in the one mounted without options, else in the
// built-in one.
Result<std::string> ProcView::ContainerLine(Tid tid) const {
  source_.sweep();
  std::optional<HierarchyInfo> chosen;
  int chosen_rank = 0;
  for (const HierarchyInfo& info : registry_.Hierarchies()) {
    // Only v6's stays when nobody uses it.
    const bool v6 = DialectOf(info.dialect).one_hierarchy &&
                    (info.cgroups > 1 || source_.is_mounted(info.id));
    const bool no_options = info.name.empty() && info.subsystems == registry_.AllSubsystems();
    const int rank = v6 ? 3 : no_options ? 2 : info.id == built_in_ ? 1 : 0;
    if (rank <= chosen_rank) continue;
    chosen = info;
    chosen_rank = rank;
  }
  if (!chosen) return Fail(ESRCH, "no hierarchy");
  auto path = PathIn(*chosen, tid);
  if (!path) return path;
  return *path + "\n";
}

Result<std::string> ProcView::CgroupLines(Tid tid) const {
  source_.sweep();
  std::string lines;
  auto all = registry_.Hierarchies();
  std::reverse(all.begin(), all.end());
  for (const HierarchyInfo& info : all) {
    const auto path = PathIn(info, tid);
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
