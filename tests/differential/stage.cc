#include "differential/stage.h"

#include <dirent.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/check.h"

namespace corral::differential {
namespace {

std::string UniqueHierarchy() {
  static int serial = 0;
  return fmt::format("corral-diff-{}-{:03}", ::getpid(), serial++);
}

std::string Replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

// By descriptors: paths in a deep tree are longer than any path may be.
void EmptyAt(int directory, int top_tasks) {
  const Fd copy(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::vector<std::string> names;
  DIR* entries = copy ? ::fdopendir(::dup(copy.get())) : nullptr;
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries)) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.push_back(name);
  }
  ::closedir(entries);
  for (const std::string& name : names) {
    const Fd child(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!child) continue;
    EmptyAt(child.get(), top_tasks);
    const Fd tasks(::openat(child.get(), "tasks", O_RDONLY | O_CLOEXEC));
    std::string list, more;
    while (tasks && !(more = ReadFd(tasks.get())).empty() && more.front() != 'E') list += more;
    for (const pid_t tid : Tids(list)) {
      const std::string text = std::to_string(tid);
      if (::write(top_tasks, text.data(), text.size()) < 0) continue;  // it has just ended
    }
    ::unlinkat(directory, name.c_str(), AT_REMOVEDIR);
  }
}

void EmptyMount(const std::string& dir) {
  const Fd top(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Fd tasks(::openat(top.get(), "tasks", O_WRONLY | O_CLOEXEC));
  EmptyAt(top.get(), tasks.get());
}

// Named hierarchies that the kernel has, and whose names start so.
std::vector<std::string> HierarchiesInProc(const std::string& start) {
  std::vector<std::string> names;
  std::ifstream lines("/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = line.find(":name=" + start);
    if (at != line.npos) names.push_back(line.substr(at + 6, line.find(':', at + 1) - at - 6));
  }
  return names;
}

}  // namespace

std::string Text(Tid tid) { return std::to_string(tid.value); }

Stage::Stage(Subject& subject, std::string work, Transcript& transcript)
    : subject_(subject),
      work_(std::move(work)),
      top_(work_ + "/mnt"),
      hierarchy_(UniqueHierarchy()),
      transcript_(transcript),
      agent_(work_ + "/agent", subject.PlaceFile("self"), hierarchy_) {
  CORRAL_CHECK(::mkdir(top_.c_str(), 0755) == 0);
}

// A zombie holds what it was in, so tasks go too, and only then the kernel can let go. A hierarchy
// that is unmounted while removed cgroups are still taken apart lives on: mount it again, and look
// again.
Stage::~Stage() {
  EndMounts();
  puppets_.reset();
  for (int i = 0; i < 50; ++i) {
    const std::vector<std::string> left = HierarchiesInProc(hierarchy_);
    if (left.empty()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10 * i));
    for (const std::string& name : left) Mount("name=" + name);
    EndMounts();
  }
}

void Stage::EndMounts() {
  for (const std::string& name : Entries(work_)) {
    const std::string dir = Work(name);
    if (name == "." || name == "..") continue;
    // A directory may have several mounts on it.
    for (int i = 0; i < 4 && !subject_.ShownOptions(dir).starts_with("("); ++i) {
      EmptyMount(dir);
      ::umount2(dir.c_str(), MNT_DETACH);
    }
  }
}

std::string Stage::Substituted(std::string options) const {
  return Replaced(Replaced(std::move(options), "$N", hierarchy_), "$A", agent_.path());
}

int Stage::Mount(const std::string& options, const std::string& where) {
  ::mkdir(Work(where).c_str(), 0755);
  return subject_.Mount(Substituted(options), Work(where));
}

int Stage::Remount(const std::string& options, const std::string& where) {
  return subject_.Remount(Substituted(options), Work(where));
}

int Stage::Umount(const std::string& where) {
  return ::umount2(Work(where).c_str(), 0) == 0 ? 0 : errno;
}

std::string Stage::ShownOptions(const std::string& where) const {
  return Replaced(Replaced(subject_.ShownOptions(Work(where)), hierarchy_, "$N"), agent_.path(),
                  "$A");
}

void Stage::Note(const std::string& step, const std::string& observation) {
  transcript_.Note(step, observation);
}

void Stage::Mkdir(const std::string& path) {
  if (::mkdir(At(path).c_str(), 0755) != 0) {
    throw std::runtime_error("mkdir " + path + ": " + ErrnoName(errno));
  }
}

Tid Stage::Start(const std::string& name, Ids ids) {
  const Tid task = Named(puppets_->Start(), name);
  puppets_->SetIds(task, static_cast<std::uint16_t>(ids.real),
                   static_cast<std::uint16_t>(ids.effective),
                   static_cast<std::uint16_t>(ids.saved));
  return task;
}

Tid Stage::Named(Tid task, const std::string& name) {
  names_[static_cast<pid_t>(task.value)] = name;
  return task;
}

void Stage::End(Tid process) {
  puppets_->Kill(puppets_->ProcessOf(process));
  puppets_->ReapOwn(process);
  Forget(process);
}

std::string Stage::Names(const std::string& list) const {
  std::string text;
  const std::vector<pid_t> tids = Tids(list);
  for (const pid_t tid : tids) {
    const auto at = names_.find(tid);
    text += (text.empty() ? "" : " ") + (at == names_.end() ? "?" : at->second);
  }
  if (tids.empty() && !list.empty()) return list;  // an errno
  if (!std::ranges::is_sorted(tids)) text += " (not ascending)";
  return text.empty() ? "empty" : text;
}

std::string Stage::KnownNames(const std::string& list) const {
  std::string known;
  for (const pid_t tid : Tids(list)) {
    if (names_.contains(tid)) known += std::to_string(tid) + "\n";
  }
  return Names(known);
}

bool Stage::Lists(const std::string& path, Tid task) const {
  const std::vector<pid_t> tids = Tids(Read(At(path)));
  return std::ranges::find(tids, static_cast<pid_t>(task.value)) != tids.end();
}

std::string Stage::PlaceIn(const std::string& file) const {
  std::istringstream lines(Read(file));
  const std::string name = ":name=" + hierarchy_ + ":";
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    if (const auto at = line.find(name); at != line.npos) return line.substr(at + name.size());
    last = line;
  }
  return last.find(':') == last.npos ? last : "no line of it";
}

std::string Stage::Place(Tid process, Tid thread) const {
  return PlaceIn(subject_.PlaceFile(Text(process), static_cast<pid_t>(thread.value)));
}

std::string Stage::OwnPlace() const { return PlaceIn(subject_.PlaceFile("self")); }

std::string Stage::Child(const std::function<std::string()>& look) const {
  int ends[2];
  CORRAL_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  CORRAL_CHECK(child >= 0);
  if (child == 0) {
    ::close(ends[0]);
    const std::string told = look();
    ::_exit(::write(ends[1], told.data(), told.size()) == static_cast<ssize_t>(told.size()) ? 0
                                                                                            : 1);
  }
  ::close(ends[1]);
  std::string told, more;
  while (!(more = ReadFd(ends[0])).empty()) told += more;
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return told;
}

std::string Stage::As(Ids ids, const std::function<std::string()>& look) const {
  return Child([&] {
    CORRAL_CHECK(::setgroups(0, nullptr) == 0);
    if (ids.effective != 0)
      CORRAL_CHECK(::setresgid(ids.effective, ids.effective, ids.effective) == 0);
    CORRAL_CHECK(::setresuid(ids.real, ids.effective, ids.saved) == 0);
    return look();
  });
}

}  // namespace corral::differential
