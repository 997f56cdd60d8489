// Modes, owners, links and times of directories and control files (spec 4.1 to 4.4).
#include <fmt/format.h>
#include <sys/stat.h>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

void NoteModes(Stage& stage, const std::string& when, const std::string& path) {
  stage.Note(when, Mode(stage.At(path)));
  for (const std::string& name : Entries(stage.At(path))) {
    const std::string entry = path.empty() ? name : path + "/" + name;
    if (name.starts_with('.') || Mode(stage.At(entry)).starts_with('d')) continue;
    stage.Note(when + ", " + name, Mode(stage.At(entry)));
  }
}

// Makes a directory and takes it away again; what it and its files were like.
std::string Made(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0) return ErrnoName(errno);
  const std::string seen = Mode(path) + "; tasks " + Mode(path + "/tasks");
  ::rmdir(path.c_str());
  return seen;
}

bool Before(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

// Which of the times have changed since they were set to 1000 s.
std::string ChangedTimes(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return ErrnoName(errno);
  std::string changed = st.st_atim.tv_sec == 1000 ? "" : " atime";
  if (st.st_mtim.tv_sec != 1000) changed += " mtime";
  return changed.empty() ? "none" : changed.substr(1);
}

void SetTimes(const std::string& path) {
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  ::utimensat(AT_FDCWD, path.c_str(), times, 0);
}

}  // namespace

void ModesAndOwners(Stage& stage) {
  stage.Mount();
  NoteModes(stage, "top", "");
  ::umask(077);
  stage.Mkdir("a");
  ::umask(022);
  NoteModes(stage, "made with umask 077", "a");
  stage.Note("links of the top", Mode(stage.top()));
  stage.Mkdir("a/b");
  stage.Mkdir("a/c");
  stage.Note("with two children", Mode(stage.At("a")));
  ::rmdir(stage.At("a/b").c_str());
  stage.Note("with one child", Mode(stage.At("a")));
  struct stat st;
  ::stat(stage.At("a/notify_on_release").c_str(), &st);
  stage.Note("blocks", fmt::format("{}, of {}", st.st_blocks, st.st_blksize));
  stage.Note("size of a directory", [&] {
    ::stat(stage.At("a").c_str(), &st);
    return std::to_string(st.st_size);
  }());
}

void ModesOfDirectories(Stage& stage) {
  stage.Mount();
  for (const mode_t mode :
       {0u, 0111u, 0700u, 0755u, 0777u, 01755u, 02755u, 04755u, 06755u, 07777u}) {
    for (const mode_t mask : {0u, 022u, 077u, 0777u}) {
      ::umask(mask);
      stage.Note(fmt::format("mkdir {:04o}, umask {:03o}", mode, mask), Made(stage.At("m"), mode));
    }
  }
  ::umask(022);
  stage.Note("by another user", stage.As(User(1000), [&] { return Made(stage.At("m"), 0755); }));
  ::chmod(stage.top().c_str(), 0777);
  stage.Note("by another user, allowed",
             stage.As(User(1000), [&] { return Made(stage.At("m"), 0755); }));
  stage.Note("with other ids", stage.As({1, 2, 3}, [&] { return Made(stage.At("m"), 0755); }));
}

void SetGroupIdParents(Stage& stage) {
  stage.Mount();
  stage.Mkdir("p");
  ::umask(0);
  for (const mode_t parent : {0777u, 02777u, 03777u, 04777u, 06777u}) {
    ::chown(stage.At("p").c_str(), 5, 77);
    ::chmod(stage.At("p").c_str(), parent);
    for (const mode_t mode : {0755u, 02755u, 07777u}) {
      const std::string step = fmt::format("{:04o} in {:04o}", mode, parent);
      stage.Note(step + " by root", Made(stage.At("p/k"), mode));
      stage.Note(step + " by another",
                 stage.As(User(1000), [&] { return Made(stage.At("p/k"), mode); }));
      stage.Note(step + " by one of the group", stage.Child([&] {
        ::setresgid(77, 77, 77);
        ::setresuid(1000, 1000, 1000);
        return Made(stage.At("p/k"), mode);
      }));
    }
  }
  ::umask(022);
}

void ChangingAttributes(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  const std::string file = stage.At("a/notify_on_release"), directory = stage.At("a");
  for (const mode_t mode : {0u, 0444u, 0666u, 01777u, 02777u, 04777u, 07777u}) {
    const std::string step = fmt::format("chmod {:04o}", mode);
    stage.Note(step + " a file", Outcome(::chmod(file.c_str(), mode)) + " " + Mode(file));
    stage.Note(step + " a directory",
               Outcome(::chmod(directory.c_str(), mode)) + " " + Mode(directory));
  }
  stage.Note("chown a set-id file", Outcome(::chown(file.c_str(), 3, 4)) + " " + Mode(file));
  stage.Note("chown a set-id directory",
             Outcome(::chown(directory.c_str(), 3, 4)) + " " + Mode(directory));
  stage.Note("chown the owner alone", Outcome(::chown(file.c_str(), 5, -1)) + " " + Mode(file));
  stage.Note("chown the group alone", Outcome(::lchown(file.c_str(), -1, 6)) + " " + Mode(file));
  ::chmod(file.c_str(), 06755);
  stage.Note("root writes a set-id file", Write(file, "1") + " " + Mode(file));
  ::chmod(file.c_str(), 0640);
  stage.Note("rename keeps them", Outcome(::rename(directory.c_str(), stage.At("b").c_str())) +
                                      " " + Mode(stage.At("b/notify_on_release")) + " " +
                                      Mode(stage.At("b")));
  ::rename(stage.At("b").c_str(), directory.c_str());
  ::rmdir(directory.c_str());
  stage.Mkdir("a");
  stage.Note("made anew", Mode(directory) + " " + Mode(file));

  SetTimes(file);
  stage.Note("times as set", ChangedTimes(file));
  Read(file);
  Write(file, "1");
  stage.Note("changed by reading and writing", ChangedTimes(file));
  stage.Note("truncate", Outcome(::truncate(file.c_str(), 0)) + ", changed " + ChangedTimes(file));
  SetTimes(file);
  Opened(::open(file.c_str(), O_WRONLY | O_TRUNC));
  stage.Note("changed by O_TRUNC", ChangedTimes(file));
  SetTimes(directory);
  stage.Note("changed by listing", (Entries(directory), ChangedTimes(directory)));
  stage.Mkdir("a/k");
  stage.Note("changed by mkdir in it", ChangedTimes(directory));
  SetTimes(directory);
  ::rmdir(stage.At("a/k").c_str());
  stage.Note("changed by rmdir in it", ChangedTimes(directory));
  SetTimes(directory);
  ::rename(directory.c_str(), stage.At("b").c_str());
  stage.Note("changed by its own rename", ChangedTimes(stage.At("b")));
  struct stat before, after;
  ::stat(stage.At("b").c_str(), &before);
  ::chmod(stage.At("b").c_str(), 0711);
  ::stat(stage.At("b").c_str(), &after);
  stage.Note("chmod changes ctime",
             Before(after.st_ctim, before.st_ctim) ? "backwards" : "not backwards");
}

}  // namespace corral::differential
