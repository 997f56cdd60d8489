// rename(2) of everything onto everything, with every flag (spec 5.5).
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

std::string Rename(const std::string& from, const std::string& to, unsigned flags = 0) {
  return Outcome(::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
}

// dir, dir/kid, other, other/kid, busy with a member
void Furnish(Stage& stage) {
  for (const char* path : {"dir", "dir/kid", "other", "other/kid", "busy"}) stage.Mkdir(path);
  const Tid member = stage.Start("member");
  Write(stage.At("busy/tasks"), Text(member));
}

constexpr const char* kSources[] = {"dir", "dir/kid", "busy", "tasks", "dir/tasks", "missing", "."};
constexpr const char* kTargets[] = {
    "new",         "dir",       "other",       "other/kid", "dir/new",
    "dir/kid/new", "other/new", "other/tasks", "tasks",     "notify_on_release",
    "missing/new", "dir/.",     "tasks/new"};

// Renames, says what came of it, and renames back.
std::string Tried(Stage& stage, const std::string& from, const std::string& to, unsigned flags) {
  const ino_t before = Inode(stage.At(from));
  const std::string seen = Rename(stage.At(from), stage.At(to), flags);
  if (seen != "ok" || from == to) return seen;
  const bool moved = Inode(stage.At(to)) == before;
  Rename(stage.At(to), stage.At(from));
  return moved ? "ok, the same inode" : "ok, another inode";
}

}  // namespace

void Renaming(Stage& stage) {
  stage.Mount();
  Furnish(stage);
  for (const char* from : kSources) {
    for (const char* to : kTargets) {
      stage.Note(fmt::format("{} -> {}", from, to), Tried(stage, from, to, 0));
    }
  }
  stage.Note("onto itself, a file", Tried(stage, "tasks", "tasks", 0));
  stage.Note("out of the tree", Rename(stage.At("dir"), stage.Work("dir")));
  stage.Note("to a long name", Rename(stage.At("dir"), stage.At(std::string(255, 'n'))));
  stage.Note("and back", Rename(stage.At(std::string(255, 'n')), stage.At("dir")));
  stage.Note("to a name with a newline", Rename(stage.At("dir"), stage.At("new\nline")));
  stage.Note("paths follow", Rename(stage.At("busy"), stage.At("moved")) + " " +
                                 stage.KnownNames(Read(stage.At("moved/tasks"))));
  const Fd held(::open(stage.At("moved").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Rename(stage.At("moved"), stage.At("busy"));
  stage.Note("a held directory is still it", Opened(::openat(held.get(), "tasks", O_RDONLY)));
  stage.Note("mkdir in it", Outcome(::mkdirat(held.get(), "kid", 0755)) + ", " +
                                Outcome(::access(stage.At("busy/kid").c_str(), F_OK)));
}

void RenameFlags(Stage& stage) {
  stage.Mount();
  Furnish(stage);
  const struct {
    const char* name;
    unsigned flags;
  } kFlags[] = {{"NOREPLACE", RENAME_NOREPLACE},
                {"EXCHANGE", RENAME_EXCHANGE},
                {"WHITEOUT", RENAME_WHITEOUT},
                {"NOREPLACE EXCHANGE", RENAME_NOREPLACE | RENAME_EXCHANGE},
                {"NOREPLACE WHITEOUT", RENAME_NOREPLACE | RENAME_WHITEOUT},
                {"EXCHANGE WHITEOUT", RENAME_EXCHANGE | RENAME_WHITEOUT},
                {"unknown", 8}};
  for (const auto& [name, flags] : kFlags) {
    for (const char* from : {"dir", "dir/kid", "tasks", "missing"}) {
      for (const char* to : {"new", "other", "other/kid", "other/new", "notify_on_release"}) {
        stage.Note(fmt::format("{} {} -> {}", name, from, to), Tried(stage, from, to, flags));
      }
    }
  }
}

void UnprivilegedFileOperations(Stage& stage) {
  stage.Mount();
  Furnish(stage);
  const std::string file = stage.At("dir/notify_on_release");
  const auto as = [&](const std::string& step, const std::function<std::string()>& look) {
    stage.Note(step, stage.As(User(1000), look));
  };
  as("open to read", [&] { return Opened(::open(file.c_str(), O_RDONLY)); });
  as("open to write", [&] { return Opened(::open(file.c_str(), O_WRONLY)); });
  as("O_TRUNC", [&] { return Opened(::open(file.c_str(), O_RDONLY | O_TRUNC)); });
  as("O_CREAT",
     [&] { return Opened(::open(stage.At("dir/new").c_str(), O_RDWR | O_CREAT, 0644)); });
  as("mkdir", [&] { return Outcome(::mkdir(stage.At("dir/new").c_str(), 0755)); });
  as("mkdir of an existing one", [&] { return Outcome(::mkdir(stage.At("dir").c_str(), 0755)); });
  as("rmdir", [&] { return Outcome(::rmdir(stage.At("other/kid").c_str())); });
  as("rmdir of nothing", [&] { return Outcome(::rmdir(stage.At("other/none").c_str())); });
  as("rename", [&] { return Rename(stage.At("dir"), stage.At("new")); });
  as("rename NOREPLACE",
     [&] { return Rename(stage.At("dir"), stage.At("new"), RENAME_NOREPLACE); });
  as("rename a file", [&] { return Rename(file, stage.At("dir/new")); });
  as("unlink", [&] { return Outcome(::unlink(file.c_str())); });
  as("symlink", [&] { return Outcome(::symlink("x", stage.At("dir/s").c_str())); });
  as("mkfifo", [&] { return Outcome(::mkfifo(stage.At("dir/p").c_str(), 0644)); });
  as("link", [&] { return Outcome(::link(file.c_str(), stage.At("dir/l").c_str())); });
  as("chmod", [&] { return Outcome(::chmod(file.c_str(), 0777)); });
  as("chown", [&] { return Outcome(::chown(file.c_str(), 1000, 1000)); });
  as("utimes to now", [&] { return Outcome(::utimensat(AT_FDCWD, file.c_str(), nullptr, 0)); });
  as("truncate", [&] { return Outcome(::truncate(file.c_str(), 0)); });
  as("list", [&] { return std::to_string(Entries(stage.At("dir")).size()); });
  ::chmod(stage.At("dir").c_str(), 0700);
  as("open in a closed directory", [&] { return Opened(::open(file.c_str(), O_RDONLY)); });
  as("list a closed directory", [&] { return Entries(stage.At("dir")).front(); });
  ::chmod(stage.At("dir").c_str(), 0755);
  ::chown(file.c_str(), 1000, 1000);
  as("chmod one's own", [&] { return Outcome(::chmod(file.c_str(), 02640)) + " " + Mode(file); });
  as("chown one's own away", [&] { return Outcome(::chown(file.c_str(), 1001, -1)); });
  as("write one's own", [&] { return Write(file, "1"); });
  ::chmod(file.c_str(), 0);
  stage.Note("root reads mode 0", Read(file));
  as("the owner reads mode 0", [&] { return Read(file); });
}

void StickyDirectories(Stage& stage) {
  stage.Mount();
  Furnish(stage);
  ::rmdir(stage.At("other/kid").c_str());
  ::chmod(stage.top().c_str(), 01777);
  const auto as = [&](const std::string& step, const std::function<std::string()>& look) {
    stage.Note(step, stage.As(User(1000), look));
  };
  as("rename another's", [&] { return Rename(stage.At("dir"), stage.At("new")); });
  as("rmdir another's", [&] { return Outcome(::rmdir(stage.At("other").c_str())); });
  as("unlink another's", [&] { return Outcome(::unlink(stage.At("tasks").c_str())); });
  as("mkdir, rename and rmdir one's own", [&] {
    return Outcome(::mkdir(stage.At("mine").c_str(), 0755)) + " " +
           Rename(stage.At("mine"), stage.At("mine2")) + " " +
           Outcome(::rmdir(stage.At("mine2").c_str()));
  });
  ::chmod(stage.top().c_str(), 0777);
  as("rename another's where it is not sticky",
     [&] { return Rename(stage.At("dir"), stage.At("new")); });
  as("rmdir another's where it is not sticky",
     [&] { return Outcome(::rmdir(stage.At("other").c_str())); });
}

}  // namespace corral::differential
