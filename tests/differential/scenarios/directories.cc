// Making, removing and listing what is in a directory (spec 5).
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <set>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

std::string Mkdir(const std::string& path) { return Outcome(::mkdir(path.c_str(), 0755)); }
std::string Rmdir(const std::string& path) { return Outcome(::rmdir(path.c_str())); }
std::string Unlink(const std::string& path) { return Outcome(::unlink(path.c_str())); }
std::string Mknod(const std::string& path, mode_t mode, dev_t device = 0) {
  return Outcome(::mknod(path.c_str(), mode | 0644, device));
}
std::string Link(const std::string& from, const std::string& to) {
  return Outcome(::link(from.c_str(), to.c_str()));
}

}  // namespace

void MakingFiles(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  Opened(::open(stage.Work("outside").c_str(), O_CREAT | O_WRONLY, 0644));
  const std::string a = stage.At("a"), tasks = stage.At("a/tasks");
  stage.Note("link a file", Link(tasks, a + "/l"));
  stage.Note("link a file elsewhere in the tree", Link(tasks, stage.At("l")));
  stage.Note("link onto an existing one", Link(stage.At("a/notify_on_release"), tasks));
  stage.Note("link a directory", Link(a, stage.At("l")));
  stage.Note("link out of the tree", Link(tasks, stage.Work("l")));
  stage.Note("link into the tree", Link(stage.Work("outside"), a + "/l"));
  stage.Note("symlink", Outcome(::symlink("x", (a + "/s").c_str())));
  stage.Note("symlink onto an existing one", Outcome(::symlink("x", tasks.c_str())));
  char target[8];
  stage.Note("readlink of a file", Outcome(::readlink(tasks.c_str(), target, sizeof target)));
  const struct {
    const char* name;
    mode_t mode;
  } kKinds[] = {{"file", S_IFREG},
                {"pipe", S_IFIFO},
                {"socket", S_IFSOCK},
                {"character device", S_IFCHR},
                {"block device", S_IFBLK}};
  for (const auto& [name, mode] : kKinds) {
    stage.Note(fmt::format("mknod a {}", name), Mknod(a + "/n", mode, makedev(1, 3)));
    stage.Note(fmt::format("mknod a {} onto an existing one", name),
               Mknod(tasks, mode, makedev(1, 3)));
    stage.Note(fmt::format("mknod a {} onto a directory", name), Mknod(a, mode, makedev(1, 3)));
  }
  stage.Note("nothing was left", fmt::format("{} entries", Entries(a).size()));
}

void RemovingFiles(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  for (const char* name : {"tasks", "cgroup.procs", "notify_on_release", "cgroup.clone_children"}) {
    stage.Note(fmt::format("unlink {}", name), Unlink(stage.At("a/") + name));
    stage.Note(fmt::format("rmdir {}", name), Rmdir(stage.At("a/") + name));
  }
  stage.Note("unlink release_agent", Unlink(stage.At("release_agent")));
  stage.Note("unlink a directory", Unlink(stage.At("a")));
  stage.Note("unlink nothing", Unlink(stage.At("a/z")));
  stage.Note("unlink below a file", Unlink(stage.At("a/tasks/x")));
  stage.Note("all is there", fmt::format("{} entries", Entries(stage.At("a")).size()));
}

void MakingDirectories(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  for (const char* path : {"a", "tasks", "a/tasks", "a/tasks/x", "z/x", "a/.", "a/..",
                           "a/trailing/", ".", "..hidden", "...", " ", "-"}) {
    stage.Note(fmt::format("mkdir {}", path), Mkdir(stage.At(path)));
  }
  stage.Note("an empty path", Outcome(::mkdir("", 0755)));
  const ino_t first = Inode(stage.At("a")), first_file = Inode(stage.At("a/tasks"));
  stage.Note("rmdir and mkdir", Rmdir(stage.At("a")).append(" ") + Rmdir(stage.At("a/trailing")) +
                                    " " + Rmdir(stage.At("a")) + " " + Mkdir(stage.At("a")));
  stage.Note("its inode", Inode(stage.At("a")) == first ? "the old one" : "a new one");
  stage.Note("the inode of a file",
             Inode(stage.At("a/tasks")) == first_file ? "the old one" : "a new one");
  const ino_t second = Inode(stage.At("a"));
  Entries(stage.At("a"));
  stage.Note("the inode stays", Inode(stage.At("a")) == second ? "yes" : "no");
}

void RemovingDirectories(Stage& stage) {
  stage.Mount();
  for (const char* path : {"a", "a/b", "busy", "open", "zombie", "cwd"}) stage.Mkdir(path);
  const Tid member = stage.Start("member");
  Write(stage.At("busy/tasks"), Text(member));
  stage.Note("with a task", Rmdir(stage.At("busy")));
  stage.Note("with a child", Rmdir(stage.At("a")));
  stage.Note("a file", Rmdir(stage.At("a/tasks")));
  stage.Note("nothing", Rmdir(stage.At("z")));
  stage.Note("dot", Rmdir(stage.At("a/b/.")));
  stage.Note("dot dot", Rmdir(stage.At("a/b/..")));
  stage.Note("the top", Rmdir(stage.top()));
  const Fd file(::open(stage.At("open/tasks").c_str(), O_RDWR | O_CLOEXEC));
  stage.Note("with an open file", Rmdir(stage.At("open")));
  Write(stage.At("zombie/tasks"), Text(member));
  stage.Note("the task moved away", Rmdir(stage.At("busy")));
  stage.puppets().ExitProcess(member);
  stage.Note("with a zombie", Rmdir(stage.At("zombie")));
  stage.Note("a working directory", stage.Child([&] {
    if (::chdir(stage.At("cwd").c_str()) != 0) return ErrnoName(errno);
    std::string seen = Rmdir(stage.At("cwd"));
    char buffer[4096];
    seen += std::string(", getcwd ") + (::getcwd(buffer, sizeof buffer) ? "ok" : ErrnoName(errno));
    seen += ", mkdir " + Mkdir("x") + ", open " + Opened(::open("tasks", O_RDONLY)) + ", entries " +
            std::to_string(Entries(".").size()) + ", stat .. " + Outcome(::access("..", F_OK));
    return seen;
  }));
  stage.Note("a child, then the parent", Rmdir(stage.At("a/b")) + " " + Rmdir(stage.At("a")));
  stage.Note("what is left", [&] {
    std::string left;
    for (const std::string& name : Entries(stage.top())) left += name + " ";
    return left;
  }());
}

void ReadingDirectories(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  stage.Mkdir("big");
  DIR* dir = ::opendir(stage.top().c_str());
  std::string kinds;
  std::set<std::string> rows;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    const bool right = name == ".." || entry->d_ino == Inode(stage.At(name));
    rows.insert(fmt::format("{} {}{}", name,
                            entry->d_type == DT_DIR   ? "dir"
                            : entry->d_type == DT_REG ? "file"
                                                      : "?",
                            right ? "" : " (other inode)"));
  }
  for (const std::string& row : rows) kinds += row + ", ";
  stage.Note("entries", kinds);
  ::rewinddir(dir);
  std::size_t again = 0;
  while (::readdir(dir)) ++again;
  stage.Note("as many when rewound", again == rows.size() ? "yes" : "no");
  ::closedir(dir);

  for (int i = 0; i < 300; ++i) stage.Mkdir(fmt::format("big/{:04}", i));
  dir = ::opendir(stage.At("big").c_str());
  std::multiset<std::string> seen;
  for (int i = 0; i < 5; ++i) seen.insert(::readdir(dir)->d_name);
  for (int i = 0; i < 300; i += 2) Rmdir(stage.At(fmt::format("big/{:04}", i)));
  while (const dirent* entry = ::readdir(dir)) seen.insert(entry->d_name);
  ::closedir(dir);
  bool all = true;
  for (int i = 1; i < 300; i += 2) all = all && seen.contains(fmt::format("{:04}", i));
  stage.Note("those that stay are listed", all ? "all" : "not all");
  stage.Note("listed twice",
             std::ranges::any_of(seen, [&](const auto& name) { return seen.count(name) > 1; })
                 ? "some"
                 : "none");
  stage.Note("listed afresh", std::to_string(Entries(stage.At("big")).size()));
  for (const auto& name : Entries(stage.At("big"))) Rmdir(stage.At("big/") + name);
}

}  // namespace corral::differential
