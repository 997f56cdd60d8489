// Mount options, joining, remounting, and what outlives a mount (spec 3).
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

// Step names are the options, with long runs of one letter cut.
std::string Shortened(const std::string& options) {
  return options.size() <= 60
             ? options
             : options.substr(0, 40) + "... (" + std::to_string(options.size()) + " bytes)";
}

void TryMount(Stage& stage, const std::string& options) {
  const int error = stage.Mount(options);
  std::string seen = ErrnoName(error);
  if (error == 0) {
    seen += ", shown as " + Shortened(stage.ShownOptions());
    stage.Umount();
  }
  stage.Note(Shortened(options), seen);
}

std::string AgentAndClone(Stage& stage) {
  return ", agent " + Read(stage.At("release_agent")) + ", clone_children " +
         Read(stage.At("cgroup.clone_children"));
}

void TryRemount(Stage& stage, const std::string& when, const std::string& options) {
  const int error = stage.Remount(options);
  stage.Note(when + " '" + options + "'",
             ErrnoName(error) + ", shown as " + stage.ShownOptions() + AgentAndClone(stage));
}

constexpr const char* kRemounts[] = {"none,name=$N",
                                     "name=$N",
                                     "none",
                                     "none,name=$Ny",
                                     "name=other",
                                     "none,name=$N,release_agent=/b",
                                     "name=$N,release_agent=/c",
                                     "none,release_agent=/d",
                                     "none,name=$N,clone_children",
                                     "none,name=$N,noprefix",
                                     "none,name=$N,release_agent=",
                                     "none,name=$N,bogus",
                                     "none,name=$N,release_agent=/e,bogus",
                                     "name=$N,name=$N",
                                     "none,name=$N,release_agent=/f,release_agent=/g",
                                     "none,name=$N,ro"};

}  // namespace

void MountOptions(Stage& stage) {
  for (const char* options : {"none",
                              "none,name=",
                              "none,name=$N",
                              "name=$N",
                              "none,name=a/b$N",
                              "none,name=$N,name=$Ny",
                              "none,name=$N,name=$N",
                              "none,name=$N,bogus",
                              "none,name=$N,all",
                              "all,none,name=$N",
                              "noprefix",
                              "none,noprefix,name=$N",
                              "none,name=$N,release_agent=",
                              "none,name=$N,release_agent",
                              "none,name=$N,release_agent=/a,release_agent=/b",
                              "none,name=$N,release_agent=/a",
                              "none,name=$N,release_agent=a/relative",
                              "none,name=$N,release_agent=/a b\\c",
                              "none,name=$N,release_agent=/a#b",
                              "none,name=$N,clone_children",
                              "none,name=$N,clone_children,clone_children",
                              "none,name=$N,release_agent=/a,clone_children",
                              ",,none,,name=$N,",
                              "none,none,name=$N",
                              "name=$N,none",
                              "none,name=$N,rw",
                              "none,name=$N,ro",
                              "none,name=$N,nonsense=",
                              "none,name=$N,nonsense=1",
                              "none,name",
                              "none=1,name=$N",
                              "none,name=$N,clone_children=1",
                              "none,name=$N X",
                              "none,name= $N",
                              "none,name=$N ",
                              "NONE,name=$N",
                              "none,NAME=$N",
                              "none name=$N",
                              "none,name=$N:a",
                              "none,name=$N+",
                              "none,name=$N.-_",
                              "none,name=-$N",
                              "none,name=.$N",
                              "none,name=$N\xc3\xa9",
                              "name=,none",
                              "name=$N,name=",
                              "none,name=$N,noprefix,noprefix"}) {
    TryMount(stage, options);
  }
  // 63 characters are the most a name may have. The stage's own name is a part of it.
  for (const int length : {62, 63, 64, 65, 100}) {
    std::string name = "$N";
    stage.Mount("none,name=$N");
    stage.Umount();
    const std::size_t own = stage.hierarchy().size();
    name.append(static_cast<std::size_t>(length) - own, 'n');
    const int error = stage.Mount("none,name=" + name);
    if (error == 0) stage.Umount();
    stage.Note("a name of " + std::to_string(length) + " characters", ErrnoName(error));
  }
  const int error = stage.Mount("none,name=$N,release_agent=/" + std::string(3900, 'r'));
  stage.Note("an agent of 3901 bytes",
             ErrnoName(error) + " " + std::to_string(Read(stage.At("release_agent")).size()));
}

void JoiningAHierarchy(Stage& stage) {
  stage.Mount("none,name=$N,release_agent=/one");
  stage.Mkdir("a");
  for (const char* options :
       {"name=$N", "none,name=$N", "name=$N,release_agent=/two", "name=$N,clone_children",
        "name=$N,noprefix", "name=$N,release_agent=", "name=$N,bogus", "name=$N,all"}) {
    const int error = stage.Mount(options, "second");
    std::string seen = ErrnoName(error);
    if (error == 0) {
      seen += ", shown as " + stage.ShownOptions("second") + AgentAndClone(stage);
      seen += Inode(stage.At("a")) == Inode(stage.Work("second/a")) ? ", same" : ", other";
      seen += Inode(stage.At("a/tasks")) == Inode(stage.Work("second/a/tasks")) ? " inodes"
                                                                                : " file inodes";
      stage.Umount("second");
    }
    stage.Note(options, seen);
  }
  stage.Note("join read-only", ErrnoName(stage.Mount("name=$N,ro", "second")));
  stage.Note("the first mount", stage.ShownOptions());
  stage.Note("the second mount", stage.ShownOptions("second"));
  const std::string second = stage.Work("second/");
  stage.Note("read-only mkdir", Outcome(::mkdir((second + "b").c_str(), 0755)));
  stage.Note("read-only rmdir", Outcome(::rmdir((second + "a").c_str())));
  stage.Note("read-only rmdir of nothing", Outcome(::rmdir((second + "z").c_str())));
  stage.Note("read-only rename", Outcome(::rename((second + "a").c_str(), (second + "b").c_str())));
  stage.Note("read-only chmod", Outcome(::chmod((second + "a").c_str(), 0700)));
  stage.Note("read-only write", Write(second + "notify_on_release", "1"));
  stage.Note("read-only open to read", Opened(::open((second + "tasks").c_str(), O_RDONLY)));
  stage.Note("read-only O_TRUNC", Opened(::open((second + "tasks").c_str(), O_RDONLY | O_TRUNC)));
  stage.Note("writing by the first", Write(stage.At("a/notify_on_release"), "1"));
  stage.Note("is seen in the second", Read(second + "a/notify_on_release"));
  stage.Umount("second");
}

void Remounting(Stage& stage) {
  stage.Mount("none,name=$N,release_agent=/one");
  for (const char* options : kRemounts) TryRemount(stage, "no child", options);
  stage.Note("mkdir when remounted read-only", Outcome(::mkdir(stage.At("a").c_str(), 0755)));
  stage.Note("read-write again", ErrnoName(stage.Remount("none,name=$N")));
  stage.Mkdir("a");
  for (const char* options : kRemounts) TryRemount(stage, "with a child", options);
}

void Lifetimes(Stage& stage) {
  stage.Mount("none,name=$N,release_agent=/one");
  stage.Mkdir("a");
  const Tid member = stage.Start("member");
  Write(stage.At("a/tasks"), Text(member));
  Write(stage.At("a/notify_on_release"), "1");
  ::chmod(stage.At("a/tasks").c_str(), 0600);
  ::chown(stage.At("a").c_str(), 7, 8);
  const ino_t inode = Inode(stage.At("a"));
  stage.Note("umount with a child", ErrnoName(stage.Umount()));
  stage.Note("the place while it is not mounted", stage.Place(member));
  const Tid child = stage.Named(stage.puppets().Fork(member), "child");
  stage.Note("the place of one born meanwhile", stage.Place(child));
  stage.Note("mount again", ErrnoName(stage.Mount("name=$N")));
  stage.Note("agent", Read(stage.At("release_agent")));
  stage.Note("flag", Read(stage.At("a/notify_on_release")));
  stage.Note("tasks", stage.Names(Read(stage.At("a/tasks"))));
  stage.Note("attributes of the file", Mode(stage.At("a/tasks")));
  stage.Note("attributes of the directory", Mode(stage.At("a")));
  stage.Note("inode", inode == Inode(stage.At("a")) ? "the same" : "another");

  const Fd file(::open(stage.At("tasks").c_str(), O_RDONLY | O_CLOEXEC));
  stage.Note("umount with an open file", ErrnoName(stage.Umount()));
}

void EndsOfHierarchies(Stage& stage) {
  stage.Mount("none,name=$N,release_agent=/one");
  stage.Note("umount without a child", ErrnoName(stage.Umount()));
  stage.Note("its name is free", ErrnoName(stage.Mount("name=$N")));
  for (int i = 0; i < 5; ++i) {
    const std::string round = "round " + std::to_string(i);
    stage.Note(round + ", mount", ErrnoName(stage.Mount("none,name=$N,release_agent=/" + round)));
    stage.Note(round + ", agent", Read(stage.At("release_agent")));
    stage.Note(round + ", umount", ErrnoName(stage.Umount()));
  }
  const Tid task = stage.Start("task");
  // The kernel takes it apart in its own time.
  for (int i = 0; i < 500 && stage.Place(task) != "no line of it"; ++i) ::usleep(10'000);
  stage.Note("in proc", stage.Place(task));
  stage.Note("mount by another",
             stage.As(User(1000), [&] { return ErrnoName(stage.Mount("none,name=$N")); }));
}

}  // namespace corral::differential
