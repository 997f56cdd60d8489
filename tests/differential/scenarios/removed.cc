// What is held of a cgroup that was removed (spec 5.6), and deep trees (5.7).
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

std::string Written(const Fd& fd, const std::string& text) {
  return Outcome(::write(fd.get(), text.data(), text.size()));
}
Fd OpenIn(Stage& stage, const std::string& path, int flags = O_RDWR) {
  return Fd(::open(stage.At(path).c_str(), flags | O_CLOEXEC));
}
std::string Sought(const Fd& fd, off_t to) { return Outcome(::lseek(fd.get(), to, SEEK_SET)); }

std::string LinkOf(Stage& stage, const Fd& fd) {
  char target[4096];
  const ssize_t n =
      ::readlink(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), target, sizeof target);
  const std::string text(target, n > 0 ? static_cast<std::size_t>(n) : 0);
  return text.starts_with(stage.top()) ? text.substr(stage.top().size()) : text;
}

}  // namespace

void RemovedCgroups(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  const char* const kFiles[] = {"tasks", "cgroup.procs", "notify_on_release",
                                "cgroup.clone_children"};
  std::vector<Fd> files;
  for (const char* name : kFiles) files.push_back(OpenIn(stage, std::string("a/") + name));
  const Fd directory(::open(stage.At("a").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Fd path(::open(stage.At("a/tasks").c_str(), O_PATH | O_CLOEXEC));
  stage.Note("rmdir", Outcome(::rmdir(stage.At("a").c_str())));
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string step = std::string(kFiles[i]) + ", ";
    stage.Note(step + "read", ReadFd(files[i].get()));
    stage.Note(step + "pread", PreadFd(files[i].get(), 0));
    stage.Note(step + "seek", Sought(files[i], 0));
    stage.Note(step + "write 0", Written(files[i], "0"));
    stage.Note(step + "write junk", Written(files[i], "junk"));
    stage.Note(step + "write nothing", Written(files[i], ""));
    stage.Note(step + "write too much", Written(files[i], std::string(5000, ' ')));
  }
  const Fd& file = files.front();
  const int fd = file.get(), dir = directory.get();
  struct stat st;
  const std::string done = Outcome(::fstat(fd, &st));  // before what it says is read
  stage.Note("fstat", done + fmt::format(" {} links", st.st_nlink));
  stage.Note("fstat of the directory", Outcome(::fstat(dir, &st)));
  stage.Note("fchmod", Outcome(::fchmod(fd, 0600)));
  stage.Note("fchmod of the directory", Outcome(::fchmod(dir, 0700)));
  stage.Note("fchown", Outcome(::fchown(fd, 1, 1)));
  stage.Note("utimes", Outcome(::futimens(fd, nullptr)));
  stage.Note("ftruncate", Outcome(::ftruncate(fd, 0)));
  stage.Note("fsync", Outcome(::fsync(fd)));
  stage.Note("flock", Outcome(::flock(fd, LOCK_EX | LOCK_NB)));
  void* mapped = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
  stage.Note("mmap shared", mapped == MAP_FAILED ? ErrnoName(errno) : "ok");
  pollfd wait = {fd, POLLIN | POLLPRI | POLLOUT, 0};
  ::poll(&wait, 1, 0);
  stage.Note("poll", fmt::format("{:#x}", wait.revents));
  stage.Note("openat", Opened(::openat(dir, "tasks", O_RDONLY)));
  stage.Note("openat with O_CREAT", Opened(::openat(dir, "new", O_RDWR | O_CREAT, 0644)));
  stage.Note("openat of itself", Opened(::openat(dir, ".", O_RDONLY)));
  stage.Note("fstatat", Outcome(::fstatat(dir, "tasks", &st, 0)));
  stage.Note("fstatat of its parent", Outcome(::fstatat(dir, "..", &st, 0)));
  stage.Note("mkdirat", Outcome(::mkdirat(dir, "new", 0755)));
  stage.Note("unlinkat", Outcome(::unlinkat(dir, "tasks", 0)));
  stage.Note("rmdirat", Outcome(::unlinkat(dir, "new", AT_REMOVEDIR)));
  stage.Note("renameat", Outcome(::renameat(dir, "tasks", dir, "new")));
  stage.Note("symlinkat", Outcome(::symlinkat("x", dir, "s")));
  const std::string self = "/proc/self/fd/";
  stage.Note("opened again", Opened(::open((self + std::to_string(fd)).c_str(), O_RDONLY)));
  stage.Note("opened again, the directory",
             Opened(::open((self + std::to_string(dir)).c_str(), O_RDONLY)));
  stage.Note("opened through O_PATH",
             Opened(::open((self + std::to_string(path.get())).c_str(), O_RDONLY)));
  stage.Note("entries", fmt::format("{}", Entries(self + std::to_string(dir)).size()));
  stage.Note("links in /proc", LinkOf(stage, file) + " " + LinkOf(stage, directory));
  stage.Mkdir("a");
  stage.Note("when one of that name is made, write", Written(file, "0"));
  stage.Note("when one of that name is made, openat", Opened(::openat(dir, "tasks", O_RDONLY)));
  stage.Note("the new one's tasks", stage.Names(Read(stage.At("a/tasks"))));
}

void RemovedAfterReading(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  Tid one = stage.puppets().Start(), two = stage.puppets().Start();
  if (two < one) std::swap(one, two);
  stage.Named(one, "one");
  stage.Named(two, "two");
  for (const Tid task : {one, two}) Write(stage.At("a/tasks"), Text(task));
  const Fd partly = OpenIn(stage, "a/tasks"), wholly = OpenIn(stage, "a/tasks"),
           by_pread = OpenIn(stage, "a/tasks");
  const std::string start = ReadFd(partly.get(), 1);
  ReadFd(wholly.get());
  PreadFd(by_pread.get(), 0);
  const Fd flag_partly = OpenIn(stage, "a/notify_on_release"),
           flag_wholly = OpenIn(stage, "a/notify_on_release"),
           flag_again = OpenIn(stage, "a/notify_on_release");
  ReadFd(flag_partly.get(), 1);
  ReadFd(flag_wholly.get());
  ReadFd(flag_again.get(), 1);
  for (const Tid task : {one, two}) Write(stage.At("tasks"), Text(task));
  stage.Note("rmdir", Outcome(::rmdir(stage.At("a").c_str())));
  stage.Note("a list read partly, read on", stage.Names(start + ReadFd(partly.get())));
  stage.Note("a list read partly, once more", ReadFd(partly.get()));
  stage.Note("a list read partly, from the start", Sought(partly, 0) + " " + ReadFd(partly.get()));
  stage.Note("a list read wholly, read on", ReadFd(wholly.get()));
  stage.Note("a list read wholly, pread at 0", stage.Names(PreadFd(wholly.get(), 0)));
  stage.Note("a list read by pread, pread at 0", stage.Names(PreadFd(by_pread.get(), 0)));
  stage.Note("a list read by pread, read", stage.Names(ReadFd(by_pread.get())));
  stage.Note("a flag read partly, pread at 0", PreadFd(flag_partly.get(), 0));
  stage.Note("a flag read partly, read on", ReadFd(flag_again.get()));
  stage.Note("a flag read partly, once more", ReadFd(flag_again.get()));
  stage.Note("a flag read wholly, read on", ReadFd(flag_wholly.get()));
}

void DeepTrees(Stage& stage) {
  stage.Mount("none,name=$N,release_agent=$A");
  constexpr int kLevels = 200;
  Fd at(::open(stage.top().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::string path;
  int made = 0;
  const Tid task = stage.Start("task");
  const auto put = [&] {
    const Fd tasks(::openat(at.get(), "tasks", O_WRONLY | O_CLOEXEC));
    return Written(tasks, Text(task)).find('E') == std::string::npos ? std::string("moved")
                                                                     : ErrnoName(errno);
  };
  for (; made < kLevels; ++made) {
    const std::string name = fmt::format("level{:03}", made) + std::string(32, 'x');
    path += "/" + name;
    if (::mkdirat(at.get(), name.c_str(), 0755) != 0) break;
    at.reset(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (made != 50 && made != 99 && made != 100 && made != 199) continue;
    const std::string step = fmt::format("level {}, path of {} bytes, ", made, path.size());
    const Fd flag(::openat(at.get(), "notify_on_release", O_WRONLY | O_CLOEXEC));
    Written(flag, "1");
    stage.Note(step + "put in", put());
    const std::string place = stage.Place(task);
    stage.Note(step + "place", fmt::format("{} bytes, {}", place.size(),
                                           place == path + "\n" || place == path ? "whole"
                                           : path.starts_with(place)             ? "cut at the end"
                                           : place.size() < 40                   ? place
                                                                                 : "cut"));
    Write(stage.At("tasks"), Text(task));
    const auto calls = stage.agent().Calls(1);
    const std::string told = calls.empty() ? "" : calls.front().at("path");
    stage.Note(step + "the agent's",
               fmt::format("{} calls, {} bytes, {}", calls.size(), told.size(),
                           told == path             ? "whole"
                           : path.starts_with(told) ? "cut at the end"
                                                    : "cut"));
  }
  stage.Note("levels made", std::to_string(made));
}

}  // namespace corral::differential
