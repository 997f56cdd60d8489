// Every trigger of a release notification, and what is none (spec 10.1 to 10.7).
#include <sys/mount.h>
#include <sys/stat.h>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

void Prepare(Stage& stage) {
  stage.Mount("none,name=$N,release_agent=$A");
  Write(stage.At("notify_on_release"), "1");  // inherited by all that are made
}

void Put(Stage& stage, const std::string& path, Tid task) {
  Write(stage.At(path.empty() ? "tasks" : path + "/tasks"), Text(task));
}

void Remove(Stage& stage, const std::string& path) { ::rmdir(stage.At(path).c_str()); }

}  // namespace

void ReleaseTriggers(Stage& stage) {
  Prepare(stage);
  stage.Mkdir("a");
  Tid task = stage.Start("task");
  Put(stage, "a", task);
  stage.End(task);
  stage.Note("the last task is killed", stage.agent().Paths(1));
  stage.Child([&] { return Write(stage.At("a/tasks"), "0"); });
  stage.Note("the last task exits", stage.agent().Paths(1));
  task = stage.Start("task");
  Put(stage, "a", task);
  Put(stage, "", task);
  stage.Note("the last task is moved out", stage.agent().Paths(1));
  Put(stage, "a", task);
  stage.Mkdir("b");
  Put(stage, "b", task);
  stage.Note("moved to a sibling", stage.agent().Paths(1));
  Put(stage, "", task);
  stage.Note("and out of that", stage.agent().Paths(1));
  stage.Mkdir("a/kid");
  Remove(stage, "a/kid");
  stage.Note("the last child is removed", stage.agent().Paths(1));
  stage.Mkdir("fresh");
  stage.Mkdir("fresh/kid");
  Remove(stage, "fresh/kid");
  stage.Note("the last child of one that never had tasks", stage.agent().Paths(1));
  stage.Mkdir("a/kid");
  Put(stage, "a/kid", task);
  stage.Note("not yet, a task in the child", stage.agent().Paths(0));
  Put(stage, "", task);
  stage.Note("the child empties", stage.agent().Paths(1));
  Remove(stage, "a/kid");
  stage.Note("and is removed", stage.agent().Paths(1));
  Put(stage, "a", task);
  const Tid thread = stage.puppets().Thread(task);
  Write(stage.At("a/tasks"), Text(thread));
  Put(stage, "", task);
  stage.Note("not yet, a thread is left", stage.agent().Paths(0));
  stage.puppets().ExitThread(thread);
  stage.Note("the last thread ends", stage.agent().Paths(1));
  Put(stage, "a", task);
  const Tid child = stage.puppets().Fork(task);
  stage.End(task);
  stage.Note("not yet, a child is left", stage.agent().Paths(0));
  stage.puppets().ExitProcess(child);
  stage.Note("the child exits", stage.agent().Paths(1));
  const Tid zombie = stage.Start("zombie");
  Put(stage, "a", zombie);
  stage.puppets().ExitProcess(zombie);
  stage.Note("the last one is a zombie", stage.agent().Paths(1));
  stage.puppets().ReapOwn(zombie);
  stage.Note("nothing more when it is reaped", stage.agent().Paths(0));
  const Tid process = stage.Start("process");
  Write(stage.At("a/cgroup.procs"), Text(process));
  Write(stage.At("cgroup.procs"), Text(process));
  stage.Note("a process is moved in and out", stage.agent().Paths(1));
}

void ReleaseNonTriggers(Stage& stage) {
  stage.Mount("none,name=$N,release_agent=$A");
  stage.Mkdir("a");
  const Tid one = stage.Start("one"), two = stage.Start("two");
  Put(stage, "a", one);
  Put(stage, "", one);
  stage.Note("the flag is off", stage.agent().Paths(0));
  Write(stage.At("a/notify_on_release"), "1");
  stage.Note("it is set on an empty one", stage.agent().Paths(0));
  Write(stage.At("notify_on_release"), "1");
  stage.Mkdir("b");
  stage.Mkdir("b/kid");
  stage.Mkdir("b/kid2");
  stage.Note("never used", stage.agent().Paths(0));
  Put(stage, "a", one);
  Put(stage, "a", two);
  Put(stage, "", one);
  stage.Note("one of two tasks leaves", stage.agent().Paths(0));
  Put(stage, "a", two);
  stage.Note("moved to where it is", stage.agent().Paths(0));
  Remove(stage, "b/kid");
  stage.Note("one of two children is removed", stage.agent().Paths(0));
  Put(stage, "b", one);
  Put(stage, "", one);
  stage.Note("empty of tasks with a child there", stage.agent().Paths(0));
  Remove(stage, "b/kid2");
  stage.Note("the child goes then", stage.agent().Paths(1));
  Remove(stage, "b");
  stage.Note("rmdir of itself; the top has the flag", stage.agent().Paths(0));
  stage.Mkdir("c");
  Put(stage, "c", one);
  Write(stage.At("c/notify_on_release"), "0");
  Put(stage, "", one);
  stage.Note("cleared before", stage.agent().Paths(0));
  Write(stage.At("c/notify_on_release"), "1");
  stage.Note("set when it is empty again", stage.agent().Paths(0));
  Write(stage.At("c/tasks"), "junk");
  Write(stage.At("c/tasks"), "99999999");
  stage.Note("writes that failed", stage.agent().Paths(0));
}

void ReleaseAcrossChanges(Stage& stage) {
  Prepare(stage);
  stage.Mkdir("a");
  Tid task = stage.Start("task");
  Put(stage, "a", task);
  ::rename(stage.At("a").c_str(), stage.At("renamed").c_str());
  Put(stage, "", task);
  stage.Note("renamed before", stage.agent().Paths(1));
  ::rename(stage.At("renamed").c_str(), stage.At("a").c_str());
  Put(stage, "a", task);
  Put(stage, "", task);
  Remove(stage, "a");
  stage.Note("removed at once", stage.agent().Paths(1));
  stage.Mkdir("a");
  for (int i = 0; i < 5; ++i) {
    Put(stage, "a", task);
    Put(stage, "", task);
    stage.Note("emptied again after the agent came, " + std::to_string(i), stage.agent().Paths(1));
  }
  Put(stage, "a", task);
  Put(stage, "", task);
  Put(stage, "a", task);
  stage.Note("filled again at once", stage.agent().Paths(1));
  Put(stage, "", task);
  stage.Note("and emptied", stage.agent().Paths(1));
  stage.Mkdir("a/kid");
  Remove(stage, "a/kid");
  stage.Mkdir("a/kid");
  stage.Note("the child made again at once", stage.agent().Paths(1));
  Remove(stage, "a/kid");
  stage.Note("and removed", stage.agent().Paths(1));
  Put(stage, "a", task);
  stage.Note("umount", ErrnoName(stage.Umount()));
  stage.End(task);
  stage.Note("emptied while not mounted", stage.agent().Paths(1));
  stage.Note("mount again", ErrnoName(stage.Mount("name=$N")));
  stage.Mkdir("b");
  stage.Mkdir("b/c");
  task = stage.Start("task");
  Put(stage, "b/c", task);
  ::rename(stage.At("b").c_str(), stage.At("d").c_str());
  Put(stage, "", task);
  stage.Note("the parent was renamed", stage.agent().Paths(1));
}

}  // namespace corral::differential
