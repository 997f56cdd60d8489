// Where tasks are born, how exec, exit and threads change a place (spec 11, 7.4), kernel threads.
#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

// No process of another has a name here.
std::string Listed(Stage& stage) {
  std::string text;
  for (const char* path : {"a", "b"}) {
    text += fmt::format("{} {}; {} {}; ", path,
                        stage.Names(Read(stage.At(std::string(path) + "/tasks"))), "processes",
                        stage.Names(Read(stage.At(std::string(path) + "/cgroup.procs"))));
  }
  return text + "top " + stage.KnownNames(Read(stage.At("tasks")));
}

void Furnish(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  stage.Mkdir("b");
}

std::string Moved(Stage& stage, const std::string& file, Tid task) {
  const std::string seen = Write(stage.At(file), Text(task));
  return seen.find_first_not_of("0123456789") == seen.npos ? "moved" : seen;
}

// The tid of a kernel thread that may, or may not, be bound to other processors.
Tid KernelThread(bool bound) {
  for (std::uint32_t tid = 3; tid < 32768; ++tid) {
    std::ifstream file(fmt::format("/proc/{}/stat", tid));
    std::string line;
    if (!std::getline(file, line)) continue;
    unsigned long flags = 0;
    std::sscanf(line.c_str() + line.rfind(')'), ") %*c %*d %*d %*d %*d %*d %lu", &flags);
    constexpr unsigned long kKernelThread = 0x200000, kBound = 0x4000000;
    if (flags & kKernelThread && bool(flags & kBound) == bound) return Tid{tid};
  }
  return {};
}

}  // namespace

void Births(Stage& stage) {
  Furnish(stage);
  auto& puppets = stage.puppets();
  const Tid shell = stage.Start("shell");
  Write(stage.At("a/tasks"), Text(shell));
  const Tid child = stage.Named(puppets.Fork(shell), "child");
  const Tid sibling = stage.Named(puppets.ForkSibling(shell), "sibling");
  const Tid execed = stage.Named(puppets.VforkExec(shell), "execed");
  const Tid daemon = stage.Named(puppets.Daemonize(shell), "daemon");
  stage.Note("fork, CLONE_PARENT, vfork, daemon",
             stage.Place(child) + stage.Place(sibling) + stage.Place(execed) + stage.Place(daemon));
  const bool all = stage.Lists("a/tasks", child) && stage.Lists("a/tasks", sibling) &&
                   stage.Lists("a/tasks", execed) && stage.Lists("a/tasks", daemon);
  stage.Note("all are listed", all ? "yes" : "no");
  Write(stage.At("b/tasks"), Text(shell));
  const Tid later = stage.Named(puppets.Fork(shell), "later");
  stage.Note("a child after a move", stage.Place(later));
  stage.Note("children stay", stage.Place(child));
  const Tid same = puppets.Exec(child);
  stage.Note("exec keeps the place", stage.Place(same));
  const Tid grandchild = stage.Named(puppets.Fork(child), "grandchild");
  stage.Note("a grandchild", stage.Place(grandchild));
  const Tid thread = stage.Named(puppets.Thread(shell), "thread");
  Write(stage.At("a/tasks"), Text(thread));
  const Tid of_thread = stage.Named(puppets.Fork(thread), "child of the thread");
  stage.Note("the child of a thread that is elsewhere", stage.Place(of_thread));
  const Tid thread2 = stage.Named(puppets.Thread(thread), "thread of the thread");
  stage.Note("the thread of such a thread", stage.Place(shell, thread2));
}

void Threads(Stage& stage) {
  Furnish(stage);
  auto& puppets = stage.puppets();
  const Tid leader = stage.Start("leader");
  const Tid one = stage.Named(puppets.Thread(leader), "one"),
            two = stage.Named(puppets.Thread(leader), "two");
  stage.Note("at first", Listed(stage).starts_with("a empty") ? "top" : "elsewhere");
  stage.Note("a thread into a", Moved(stage, "a/tasks", one) + " " + stage.Place(leader, one) +
                                    stage.Place(leader, leader) + stage.Place(leader));
  stage.Note("tasks of a", stage.Names(Read(stage.At("a/tasks"))));
  stage.Note("processes of a", stage.Names(Read(stage.At("a/cgroup.procs"))));
  stage.Note("processes of the top", stage.KnownNames(Read(stage.At("cgroup.procs"))));
  stage.Note("the process by a thread", Moved(stage, "b/cgroup.procs", two) + " " +
                                            stage.Place(leader, one) + stage.Place(leader, two) +
                                            stage.Place(leader));
  stage.Note("processes of b", stage.Names(Read(stage.At("b/cgroup.procs"))));
  stage.Note("the leader alone", Moved(stage, "a/tasks", leader) + " " + stage.Place(leader, one) +
                                     stage.Place(leader));
  stage.Note("both list the process", stage.Names(Read(stage.At("a/cgroup.procs"))) + ", " +
                                          stage.Names(Read(stage.At("b/cgroup.procs"))));
  stage.Note("to where the leader is, by the leader", Moved(stage, "a/cgroup.procs", leader) + " " +
                                                          stage.Place(leader, one) +
                                                          stage.Place(leader, two));
  puppets.ExitThread(one);
  stage.Note("a thread that ended", Moved(stage, "b/tasks", one));
  stage.Note("its place", stage.Place(leader, one));
  stage.Note("0 by a thread", stage.Child([&] {
    Write(stage.At("b/tasks"), "0");
    return stage.OwnPlace();
  }));
}

void ExecByAThread(Stage& stage) {
  Furnish(stage);
  auto& puppets = stage.puppets();
  const Tid leader = stage.Start("leader");
  const Tid thread = stage.Named(puppets.Thread(leader), "thread");
  Write(stage.At("a/tasks"), Text(thread));
  Write(stage.At("b/tasks"), Text(leader));
  stage.Note("before", stage.Place(leader, leader) + stage.Place(leader, thread));
  const Tid left = puppets.Exec(thread);
  stage.Note("the tid afterwards", left == leader ? "the leader's" : "another");
  stage.Note("its place", stage.Place(left));
  stage.Note("tasks", stage.Names(Read(stage.At("a/tasks"))) + ", " +
                          stage.Names(Read(stage.At("b/tasks"))));
  stage.Note("the thread's tid", Moved(stage, "a/tasks", thread));
}

void DeadLeaders(Stage& stage) {
  Furnish(stage);
  auto& puppets = stage.puppets();
  const Tid leader = stage.Start("leader");
  const Tid thread = stage.Named(puppets.Thread(leader), "thread");
  Write(stage.At("a/cgroup.procs"), Text(leader));
  puppets.ExitThread(leader);
  stage.Note("tasks", stage.Names(Read(stage.At("a/tasks"))));
  stage.Note("processes", stage.Names(Read(stage.At("a/cgroup.procs"))));
  stage.Note("places",
             stage.Place(leader) + stage.Place(leader, leader) + stage.Place(leader, thread));
  stage.Note("top lists it", stage.Lists("tasks", leader) ? "yes" : "no");
  stage.Note("the leader alone",
             Moved(stage, "b/tasks", leader) + " " + stage.Names(Read(stage.At("b/tasks"))));
  stage.Note("the process by the leader", Moved(stage, "b/cgroup.procs", leader) + " " +
                                              stage.Names(Read(stage.At("b/tasks"))) + ", " +
                                              stage.Names(Read(stage.At("b/cgroup.procs"))));
  stage.Note("rmdir of where it was", Outcome(::rmdir(stage.At("a").c_str())));
  stage.Note("rmdir of where it is", Outcome(::rmdir(stage.At("b").c_str())));
  stage.Note("the process by its thread",
             Moved(stage, "cgroup.procs", thread) + " " + stage.Names(Read(stage.At("b/tasks"))));
}

void Zombies(Stage& stage) {
  Furnish(stage);
  ::chmod(stage.At("b/tasks").c_str(), 0666);
  auto& puppets = stage.puppets();
  const Tid zombie = stage.Start("zombie"), users = stage.Start("user's", User(1000));
  for (const Tid task : {zombie, users}) {
    Write(stage.At("a/tasks"), Text(task));
    puppets.ExitProcess(task);
  }
  stage.Note("listed", stage.Names(Read(stage.At("a/tasks"))) + ", " +
                           stage.Names(Read(stage.At("a/cgroup.procs"))));
  stage.Note("listed at the top", stage.KnownNames(Read(stage.At("tasks"))));
  stage.Note("place", stage.Place(zombie) + stage.Place(zombie, zombie));
  stage.Note("moved", Moved(stage, "b/tasks", zombie) + ", as a process " +
                          Moved(stage, "b/cgroup.procs", zombie));
  stage.Note("listed then", stage.Names(Read(stage.At("b/tasks"))));
  stage.Note("moved by a user",
             stage.As(User(1000), [&] { return Moved(stage, "b/tasks", zombie); }));
  stage.Note("a user's, moved by the user",
             stage.As(User(1000), [&] { return Moved(stage, "b/tasks", users); }));
  stage.Note("rmdir", Outcome(::rmdir(stage.At("a").c_str())));
  puppets.ReapOwn(zombie);
  stage.Note("when it is reaped", Moved(stage, "b/tasks", zombie));
  stage.Note("its place then", stage.Place(zombie));
}

void KernelThreads(Stage& stage) {
  Furnish(stage);
  const Tid kthreadd = stage.Named(Tid{2}, "kthreadd");
  const Tid bound = stage.Named(KernelThread(true), "bound"),
            loose = stage.Named(KernelThread(false), "loose"), init = stage.Named(Tid{1}, "init");
  for (const Tid task : {kthreadd, bound, loose, init}) {
    const std::string name = stage.Names(Text(task) + "\n") + ", ";
    stage.Note(name + "into a", Moved(stage, "a/tasks", task));
    stage.Note(name + "listed", stage.Names(Read(stage.At("a/tasks"))));
    stage.Note(name + "place", stage.Place(task));
    stage.Note(name + "as a process",
               Moved(stage, "b/cgroup.procs", task) + " " + stage.Names(Read(stage.At("b/tasks"))));
    stage.Note(name + "back to the top", Moved(stage, "tasks", task));
    stage.Note(name + "again", Moved(stage, "cgroup.procs", task));
    stage.Forget(task);
  }
}

}  // namespace corral::differential
