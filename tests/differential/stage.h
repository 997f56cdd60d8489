// A stage: one subject with a mount, a directory to work in, tasks on command and the
// transcript. What a scenario gets. At the end every cgroup is emptied and removed and every
// mount gone, whatever the scenario left behind.
//
//   void Attaching(Stage& stage) {
//     stage.Mount();                                   // at stage.top()
//     stage.Mkdir("a");
//     const Tid shell = stage.Start("shell");
//     stage.Note("attach", Write(stage.At("a/tasks"), Text(shell)));
//     stage.Note("the list", stage.Names(Read(stage.At("a/tasks"))));   // "shell"
//   }
#ifndef CORRAL_TESTS_DIFFERENTIAL_STAGE_H_
#define CORRAL_TESTS_DIFFERENTIAL_STAGE_H_

#include <corral/ids.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "differential/agent_calls.h"
#include "differential/look.h"
#include "differential/subject.h"
#include "differential/transcript.h"
#include "support/puppets.h"

namespace corral::differential {

struct Ids {
  uid_t real = 0, effective = 0, saved = 0;
};
inline Ids User(uid_t uid) { return {uid, uid, uid}; }

std::string Text(Tid tid);

class Stage {
 public:
  // `work` is an empty directory that is not writable by others.
  Stage(Subject& subject, std::string work, Transcript& transcript);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // Errno, 0 for success. $N in the options is a hierarchy name that only this stage has, $A
  // the path of its release agent. Where: a name in the working directory.
  int Mount(const std::string& options = "none,name=$N", const std::string& where = "mnt");
  int Remount(const std::string& options, const std::string& where = "mnt");
  int Umount(const std::string& where = "mnt");
  std::string ShownOptions(const std::string& where = "mnt") const;  // with $N and $A back in place

  const std::string& hierarchy() const { return hierarchy_; }
  const std::string& top() const { return top_; }
  std::string At(const std::string& path) const { return top_ + "/" + path; }
  std::string Work(const std::string& path) const { return work_ + "/" + path; }

  void Note(const std::string& step, const std::string& observation);
  void Mkdir(const std::string& path);  // must succeed

  // A task that others know by a name.
  Tid Start(const std::string& name, Ids ids = {});
  Tid Named(Tid task, const std::string& name);
  void End(Tid process);  // SIGKILL; returns when it is reaped
  void Forget(Tid task) { names_.erase(static_cast<pid_t>(task.value)); }

  // The names of a list of tids, in its order; "?" for tasks nobody named. Says if the tids are not
  // ascending.
  std::string Names(const std::string& list) const;
  // The names of those in the list that have one.
  std::string KnownNames(const std::string& list) const;
  bool Lists(const std::string& path, Tid task) const;

  // Where /proc, or what stands for it, says that the task is.
  std::string Place(Tid process, Tid thread = {}) const;
  std::string OwnPlace() const;  // of who calls: for Child()

  // Runs `look` in a child process and returns what it returned.
  std::string Child(const std::function<std::string()>& look) const;
  std::string As(Ids ids, const std::function<std::string()>& look) const;

  Puppets& puppets() { return *puppets_; }
  AgentCalls& agent() { return agent_; }

 private:
  void EndMounts();
  std::string Substituted(std::string options) const;
  std::string PlaceIn(const std::string& file) const;

  Subject& subject_;
  const std::string work_;
  const std::string top_;
  const std::string hierarchy_;
  Transcript& transcript_;
  AgentCalls agent_;
  std::optional<Puppets> puppets_{std::in_place};  // ended before the mounts are
  std::map<pid_t, std::string> names_;
};

}  // namespace corral::differential

#endif  // CORRAL_TESTS_DIFFERENTIAL_STAGE_H_
