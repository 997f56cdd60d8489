// Reading and writing control files (spec 6 to 9), and descriptors that are held (5.6, 7.3).
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "random/model.h"

namespace corral::random {
namespace {

constexpr unsigned kRead = 4, kWrite = 2;
constexpr std::size_t kLongestAgent = 4095;

const std::string kSpace = " \t\n\v\f\r";

std::string Trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return "";
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool IsList(std::string_view file) { return file == "tasks" || file == "cgroup.procs"; }

// The whole of `text` as a number whose base its beginning tells; 0 or an errno.
int StrictNumber(const std::string& text, unsigned long long* value) {
  const std::size_t first = text.starts_with('+') ? 1 : 0;
  if (first >= text.size() || !std::isdigit(static_cast<unsigned char>(text[first]))) return EINVAL;
  char* end = nullptr;
  errno = 0;
  *value = std::strtoull(text.c_str(), &end, 0);
  if (*end != '\0') return EINVAL;
  return errno;
}

}  // namespace

int ParsePidAs(const SpecDialect& dialect, const std::string& all, long* pid) {
  std::string text = all.substr(0, all.find('\0'));
  if (!dialect.strict_numbers) {
    char* end = nullptr;
    errno = 0;
    *pid = std::strtol(text.c_str(), &end, 10);
    if (end == text.c_str()) return EIO;
    return errno == ERANGE || *pid < 0 || *pid > INT_MAX ? ESRCH : 0;
  }
  text = Trimmed(text);
  if (text == "-0") text = "0";
  const bool negative = text.starts_with('-');
  unsigned long long value = 0;
  if (StrictNumber(negative ? text.substr(1) : text, &value) != 0 || value > INT_MAX) return EINVAL;
  *pid = static_cast<long>(value);
  return negative && value != 0 ? EINVAL : 0;
}

int ParseFlagAs(const SpecDialect& dialect, const std::string& text, bool* flag) {
  if (!dialect.strict_numbers) {
    const bool digit = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0]));
    *flag = digit && std::strtoull(text.c_str(), nullptr, 10) != 0;
    return 0;
  }
  unsigned long long value = 0;
  const int error =
      StrictNumber(text.ends_with('\n') ? text.substr(0, text.size() - 1) : text, &value);
  *flag = value != 0;
  return error;
}

std::optional<int> Model::TidOf(const std::string& name) const {
  if (const auto task = tasks_.find(name); task != tasks_.end()) return task->second.tid;
  if (const auto zombie = zombies_.find(name); zombie != zombies_.end()) return zombie->second.tid;
  return std::nullopt;
}

std::string Model::Expand(const std::string& text) const {
  return Substitute(text, [&](const std::string& name) -> std::optional<std::string> {
    if (const auto tid = TidOf(name)) return std::to_string(*tid);
    if (const auto tid = TidOf(name.substr(1)); tid && name[0] == 'x') {
      return fmt::format("{:x}", *tid);
    }
    const auto agent = options_.agents.find(name);
    return agent == options_.agents.end() ? std::nullopt : std::optional(agent->second);
  });
}

// ---- writes

// Spec 6.5: the length, whether the group is there, then what the file says.
int Model::WriteTo(ModelGroup* group, const ModelHierarchy& hierarchy, const std::string& file,
                   const std::string& text, const Writer& by) {
  if (text.empty()) return 0;  // not seen (spec 4.5)
  if (text.size() > hierarchy.dialect->longest_write) return E2BIG;
  if (!group) return ENODEV;
  if (!FileIn(*group, file)->writable) return EINVAL;
  if (file == "tasks") return WritePid(*group, text, false, by);
  if (file == "cgroup.procs") return WritePid(*group, text, true, by);
  if (file == "notify_on_release") return WriteFlag(*group, false, text);
  if (file == "cgroup.clone_children") return WriteFlag(*group, true, text);
  if (file == "release_agent") return WriteAgent(*group->hierarchy, text, by);
  if (FileIn(*group, file)->quota) return WriteQuota(*group, file, text, by.opener);
  return WriteKill(*group, text);
}

int Model::WritePid(ModelGroup& group, const std::string& text, bool process, const Writer& by) {
  const SpecDialect& dialect = *group.hierarchy->dialect;
  long pid = 0;
  if (const int error = ParsePidAs(dialect, text, &pid)) return error;
  const bool self = pid == 0;
  const std::string name = self ? by.task : NameOf(static_cast<int>(pid));
  const auto live = tasks_.find(name);
  const auto zombie =
      std::ranges::find_if(zombies_, [&](const auto& entry) { return entry.second.tid == pid; });
  // The dead leader of living threads still stands for its process (spec 6.6).
  const bool for_others = process && zombie != zombies_.end() && LivesAnyOf(zombie->second.tid);
  if (live == tasks_.end() && zombie == zombies_.end()) return ESRCH;
  if (live == tasks_.end() && !for_others && !dialect.zombies_succeed) return ESRCH;
  const unsigned owner = live != tasks_.end() ? live->second.uid : zombie->second.uid;
  const auto fits = [&](unsigned uid) { return uid == 0 || uid == owner; };
  const bool may = fits(by.opener) && (!dialect.writer_fits_too || fits(by.writer));
  const bool always = self && dialect.writer_fits_too;
  if (!may && !always) return EACCES;
  if (live == tasks_.end() && !for_others) return 0;
  std::vector<std::string> moved;
  if (process && options_.mistake != Mistake::kOneThreadForAll) {
    moved = ThreadsOf(live != tasks_.end() ? live->second.tgid : zombie->second.tid);
  } else if (live != tasks_.end()) {
    moved = {name};
  }
  const bool comes = std::ranges::any_of(moved, [&](const std::string& one) {
    const auto& where = tasks_.at(one).where;
    const auto at = where.find(group.hierarchy);
    return at == where.end() ? group.parent != nullptr : at->second != &group;
  });
  if (comes && !group.has_cpus) return ENOSPC;  // cpuset refuses (spec 6.8)
  Move(moved, group);
  return 0;
}

int Model::WriteFlag(ModelGroup& group, bool clone, const std::string& text) {
  bool flag = false;
  if (const int error = ParseFlagAs(*group.hierarchy->dialect, text, &flag)) return error;
  (clone ? group.clone_children : group.notify) = flag;
  if (!clone) group.releasable = false;  // spec 9.3
  return 0;
}

int Model::WriteAgent(ModelHierarchy& hierarchy, std::string text, const Writer& by) {
  const bool may = by.opener == 0 && (!hierarchy.dialect->writer_fits_too || by.writer == 0);
  if (!may) return EPERM;  // spec 8.4
  if (hierarchy.dialect->strict_numbers) {
    text = Trimmed(text);
    if (text.size() > kLongestAgent) return E2BIG;
  } else {
    const bool counts_newline = hierarchy.dialect->unwritable_mode == 0644;  // v11
    if (counts_newline && text.size() > kLongestAgent) return ENOSPC;
    if (text.ends_with('\n')) text.pop_back();
    if (text.size() > kLongestAgent) return ENOSPC;
  }
  hierarchy.agent = text;
  return 0;
}

// By who may write in the parent, whatever the file's own mode says.
int Model::WriteQuota(ModelGroup& group, const std::string& file, const std::string& text,
                      unsigned opener) {
  if (!May(group.parent->directory, opener, kWrite, true)) return EACCES;
  const std::string word = Trimmed(text);
  if (word == "max") return group.quotas.erase(file), 0;
  const bool negative = word.starts_with('-');
  unsigned long long most = 0;
  if (const int error = StrictNumber(negative ? word.substr(1) : word, &most)) return error;
  if (most > 2147483647 || (negative && most != 0)) return ERANGE;
  group.quotas[file] = static_cast<long>(most);
  return 0;
}

int Model::WriteKill(ModelGroup& group, const std::string& text) {
  if (Trimmed(text) != "1") return EINVAL;
  std::set<int> processes;
  for (const auto& [name, task] : tasks_) {
    const auto at = task.where.find(group.hierarchy);
    if (at == task.where.end()) continue;
    for (const ModelGroup* up = at->second; up; up = up->parent) {
      if (up == &group) processes.insert(task.tgid);
    }
  }
  EndProcesses(processes);
  return 0;
}

Errnos Model::Write(const Step& step) {
  const ModelMount& mount = mounts_.at(step.arg(0));
  const auto opener = static_cast<unsigned>(std::stoul(step.arg(3)));
  const Spot spot = Walk(step.arg(0), step.arg(1), opener);
  if (spot.error) return {spot.error};
  if (!spot.exists()) return {ENOENT};
  if (spot.group) return {EISDIR};
  if (!May(OwnerOf(spot), opener, kWrite, false)) return {EACCES};
  if (mount.read_only) return {EROFS};
  return {WriteTo(spot.parent, *mount.hierarchy, spot.name, Expand(step.arg(2)),
                  {.task = "me", .opener = opener, .writer = step.uid})};
}

Errnos Model::Self(const Step& step) {
  const unsigned uid = tasks_.at(step.arg(0)).uid;
  const ModelMount& mount = mounts_.at(step.arg(1));
  const Spot spot = Walk(step.arg(1), step.arg(2), uid);
  if (spot.error) return {spot.error};
  if (!spot.exists()) return {ENOENT};
  if (spot.group) return {EISDIR};
  if (!May(OwnerOf(spot), uid, kWrite, false)) return {EACCES};
  if (mount.read_only) return {EROFS};
  return {WriteTo(spot.parent, *mount.hierarchy, spot.name, "0",
                  {.task = step.arg(0), .opener = uid, .writer = uid})};
}

// ---- reads

std::string Model::Content(const ModelGroup& group, std::string_view file) const {
  const auto flag = [](bool value) { return value ? "1\n" : "0\n"; };
  if (file == "notify_on_release") return flag(group.notify);
  if (file == "releasable") return flag(group.releasable);
  if (file == "cgroup.clone_children") return flag(group.clone_children);
  if (file == "cgroup.sane_behavior") return "0\n";
  if (file == "cgroup.kill") return "";
  if (FileIn(group, file)->quota) {
    const auto most = group.quotas.find(std::string(file));
    return most == group.quotas.end() ? "max\n" : std::to_string(most->second) + "\n";
  }
  if (file == "release_agent") return group.hierarchy->agent + "\n";
  if (file == "cgroup.events") {
    return "populated " + std::string(flag(SubtreeHasTasks(group))) + "releases " +
           std::to_string(group.releases) + "\n";
  }
  std::set<std::string> names;
  for (const auto& [name, task] : tasks_) {
    const auto at = task.where.find(group.hierarchy);
    if ((at == task.where.end() ? group.hierarchy->root.get() : at->second) != &group) continue;
    names.insert(file == "tasks" ? name : NameOf(task.tgid));
  }
  std::string text;
  for (const std::string& name : names) text += name + "\n";
  return text;
}

Errnos Model::Read(const Step& step) {
  const Spot spot = Walk(step.arg(0), step.arg(1), step.uid);
  if (spot.error) return {spot.error};
  if (!spot.exists()) return {ENOENT};
  if (spot.group) return {EISDIR};
  if (!May(OwnerOf(spot), step.uid, kRead, false)) return {EACCES};
  if (spot.name != "cgroup.events") read_text_ = Content(*spot.parent, spot.name);
  return {0};
}

Errnos Model::Open(const Step& step) {
  const ModelMount& mount = mounts_.at(step.arg(1));
  const Spot spot = Walk(step.arg(1), step.arg(2), step.uid);
  if (spot.error) return {spot.error};
  if (!spot.exists()) return {ENOENT};
  if (spot.group) return {EISDIR};
  if (!May(OwnerOf(spot), step.uid, kRead | kWrite, false)) return {EACCES};
  if (mount.read_only) return {EROFS};
  open_[step.arg(0)] = {.mount = step.arg(1),
                        .hierarchy = mount.hierarchy,
                        .group = spot.parent->id,
                        .file = spot.name,
                        .content = Content(*spot.parent, spot.name),
                        .opener = step.uid};
  return {0};
}

ModelGroup* Model::GroupById(const ModelHierarchy* hierarchy, int id) const {
  std::vector<ModelGroup*> left{hierarchy->root.get()};
  while (!left.empty()) {
    ModelGroup* at = left.back();
    left.pop_back();
    if (at->id == id) return at;
    for (const auto& [name, child] : at->children) left.push_back(child.get());
  }
  return nullptr;
}

Errnos Model::Pread(const Step& step) {
  ModelOpenFile& file = open_.at(step.arg(0));
  const SpecDialect& dialect = *file.hierarchy->dialect;
  const ModelGroup* group = GroupById(file.hierarchy, file.group);
  if (!group && !dialect.served_after_removal) return {ENODEV, 0};
  if (IsList(file.file)) {
    if (dialect.list_per_descriptor) read_text_ = file.content;
    return {0};
  }
  if (group) file.content = Content(*group, file.file);
  read_text_ = file.content;
  return {0};
}

Errnos Model::Pwrite(const Step& step) {
  const ModelOpenFile& file = open_.at(step.arg(0));
  return {WriteTo(GroupById(file.hierarchy, file.group), *file.hierarchy, file.file,
                  Expand(step.arg(1)), {.task = "me", .opener = file.opener, .writer = 0})};
}

Errnos Model::Close(const Step& step) {
  open_.erase(step.arg(0));
  return {0};
}

}  // namespace corral::random
