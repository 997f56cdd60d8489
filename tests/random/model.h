// Model: what the specification says, and nothing else. Written from its text, sharing no code
// with src/; slow and plain, so that it can be read beside the text.
//
// One step after the other (verbs.h): Apply() says which errnos are right for the step and, if
// one of them is success, is from then on as the machine must be. Facts() is all that can be
// observed at once; Told() what release agents must have heard meanwhile.
//
//   Model model({.cpus = 2, .agents = {{"a1", "/tmp/a1"}}});
//   if (model.Applicable(step)) errnos = model.Apply(step);
//   model.Bind("t1", 4711, 4711);      // the number of a task that the step made
//
// A Mistake makes a model that is wrong in one point: for the proof that the driver finds it.
#ifndef CORRAL_TESTS_RANDOM_MODEL_H_
#define CORRAL_TESTS_RANDOM_MODEL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "random/spec_dialect.h"
#include "random/step.h"

namespace corral::random {

enum class Mistake {
  kNone,
  kRenameForgetsFlags,       // against spec 5.5
  kRmdirOfAPopulatedGroup,   // succeeds; against 5.3
  kChildInheritsNothing,     // against 5.2
  kOneThreadForAll,          // cgroup.procs moves the one that was named; against 6.6
  kExecStaysWithTheLeader,   // its place, not the thread's; against 11.3
  kReleaseNeedsNoLastChild,  // one of several children leaving releases; against 10.3
  kAttachClearsReleasable,   // against 9.3
  kUmountForgets,            // a hierarchy with children ends with its last mount; against 3.11
};

constexpr unsigned kParentsOwner = ~0u;  // instead of an uid or gid

using Errnos = std::set<int>;  // 0: success

struct Owner {
  unsigned mode = 0;
  unsigned uid = 0;
  unsigned gid = 0;
};

struct ModelHierarchy;

struct ModelGroup {
  int id = 0;
  std::string name;
  ModelGroup* parent = nullptr;
  ModelHierarchy* hierarchy = nullptr;
  std::map<std::string, std::unique_ptr<ModelGroup>> children;
  Owner directory;
  std::map<std::string, Owner> files;
  bool notify = false;
  bool releasable = false;
  bool clone_children = false;
  std::map<std::string, long> quotas;  // those that are not `max`
  bool has_cpus = true;                // of the subsystem cpuset, or the hierarchy has none
  std::uint64_t releases = 0;
};

struct ModelHierarchy {
  std::string name;  // empty: the anonymous one
  const SpecDialect* dialect = nullptr;
  bool permanent = false;
  std::string agent;
  std::unique_ptr<ModelGroup> root;
};

struct ModelTask {
  int tid = 0;
  int tgid = 0;
  unsigned uid = 0;
  std::map<const ModelHierarchy*, ModelGroup*> where;  // absent: the root
};

struct Zombie {
  int tid = 0;
  unsigned uid = 0;
};

struct ModelMount {
  ModelHierarchy* hierarchy = nullptr;
  bool read_only = false;
};

struct ModelOpenFile {
  std::string mount;
  const ModelHierarchy* hierarchy = nullptr;
  int group = 0;
  std::string file;
  std::string content;  // the snapshot, or what was read last
  unsigned opener = 0;
};

// A release agent that must have been started with this path.
struct Call {
  std::string agent;
  std::string path;
  auto operator<=>(const Call&) const = default;
};

class Model {
 public:
  struct Options {
    std::size_t cpus = 1;
    std::map<std::string, std::string> agents;  // %a1 and what it stands for
    int own_tid = 0;                            // of the driver: the task `me`
    Mistake mistake = Mistake::kNone;
  };
  explicit Model(const Options& options);

  bool Applicable(const Step& step) const;
  // REQUIRES: Applicable(step).
  Errnos Apply(const Step& step);
  // What was made, or became the leader, has these numbers.
  void Bind(const std::string& task, int tid, int tgid);
  // What a step that read something must have read: its text, or, for a descriptor of a list
  // whose moment is not told, nothing.
  const std::optional<std::string>& read_text() const { return read_text_; }

  // What one mount shows, at once: "PATH WHAT" -> text. Tasks are named, the root lists those
  // that scripts know. `later`: what may come true some time after the step (spec 10.10).
  using Facts = std::map<std::string, std::string>;
  Facts Observe(const std::string& mount, bool later) const;
  // Group ids by what names their inode: "/a" or "/a/tasks".
  std::map<std::string, std::string> Inodes(const std::string& mount) const;
  std::vector<Call> TakeCalls() { return std::move(calls_); }

  const std::map<std::string, ModelTask>& tasks() const { return tasks_; }
  const std::map<std::string, Zombie>& zombies() const { return zombies_; }
  const std::map<std::string, ModelMount>& mounts() const { return mounts_; }
  const std::map<std::string, ModelOpenFile>& open_files() const { return open_; }
  bool IsReapable(const std::string& zombie) const;
  std::vector<std::string> PathsIn(const std::string& mount) const;
  const ModelGroup* GroupAt(const std::string& mount, const std::string& path) const;
  // A text with the numbers and paths that its %names stand for.
  std::string Expand(const std::string& text) const;
  std::map<int, std::string> NamesByTid() const;
  std::string NameOf(int tid) const;  // a live task or a zombie; empty: none that scripts know

 private:
  using Apply1 = Errnos (Model::*)(const Step&);
  static Apply1 HandlerOf(std::string_view verb);

  struct Target {  // of a write; no file: there is none
    const ModelGroup* group = nullptr;
    const ModelHierarchy* hierarchy = nullptr;
    std::string file;
    std::string text;
  };
  Target TargetOf(const Step& step) const;
  bool SparesOthers(const Step& step) const;

  // model_tasks.cc
  Errnos Birth(const Step&);
  Errnos BirthOfThread(const Step&);
  Errnos Exec(const Step&);
  Errnos Exit(const Step&);
  Errnos ExitProcess(const Step&);
  Errnos Reap(const Step&);
  Errnos SetUid(const Step&);
  void End(const std::vector<std::string>& tasks);
  void EndProcesses(const std::set<int>& processes);
  void Move(const std::vector<std::string>& tasks, ModelGroup& to);
  bool HasTasks(const ModelGroup& group) const;
  bool SubtreeHasTasks(const ModelGroup& group) const;
  bool LivesAnyOf(int tgid) const;
  std::vector<std::string> ThreadsOf(int tgid) const;
  void ReleaseIfIdle(ModelGroup& group);

  // model_tree.cc
  Errnos Mkdir(const Step&);
  Errnos Rmdir(const Step&);
  Errnos Rename(const Step&);
  Errnos Unlink(const Step&);
  Errnos MakeOdd(const Step&);
  Errnos Chmod(const Step&);
  Errnos Chown(const Step&);
  struct Spot {     // where a path leads
    int error = 0;  // of the walk to the last name's directory
    ModelGroup* parent = nullptr;
    std::string name;
    ModelGroup* group = nullptr;     // if the last name is a directory,
    const SpecFile* file = nullptr;  // or a file
    bool exists() const { return group || file; }
  };
  int WhyNotChanged(const Step&, const Spot&) const;
  Spot Walk(const std::string& mount, const std::string& path, unsigned uid) const;
  const SpecFile* FileIn(const ModelGroup& group, std::string_view name) const;
  Owner& OwnAttr(const Spot& spot) const;
  // As it is seen: the owner of a quota is the parent's.
  static Owner Seen(const ModelGroup& group, const Owner& file);
  Owner OwnerOf(const Spot& spot) const;
  bool HasRoom(const ModelGroup& parent) const;
  int WriteQuota(ModelGroup& group, const std::string& file, const std::string& text,
                 unsigned opener);
  std::unique_ptr<ModelGroup> NewGroup(ModelHierarchy& hierarchy, ModelGroup* parent,
                                       const std::string& name, const Owner& owner);
  std::string PathOf(const ModelGroup& group) const;

  // model_files.cc
  Errnos Write(const Step&);
  Errnos Self(const Step&);
  Errnos Read(const Step&);
  Errnos Open(const Step&);
  Errnos Pread(const Step&);
  Errnos Pwrite(const Step&);
  Errnos Close(const Step&);
  struct Writer {
    std::string task;
    unsigned opener = 0;
    unsigned writer = 0;
  };
  int WriteTo(ModelGroup* group, const ModelHierarchy& hierarchy, const std::string& file,
              const std::string& text, const Writer& by);
  int WritePid(ModelGroup& group, const std::string& text, bool process, const Writer& by);
  int WriteFlag(ModelGroup& group, bool clone, const std::string& text);
  int WriteAgent(ModelHierarchy& hierarchy, std::string text, const Writer& by);
  int WriteKill(ModelGroup& group, const std::string& text);
  std::optional<int> TidOf(const std::string& name) const;
  std::string Content(const ModelGroup& group, std::string_view file) const;
  ModelGroup* GroupById(const ModelHierarchy* hierarchy, int id) const;

  // model_mounts.cc
  Errnos Mount(const Step&);
  Errnos Umount(const Step&);
  Errnos Remount(const Step&);
  ModelHierarchy* FindHierarchy(const std::string& name) const;
  ModelHierarchy* NewHierarchy(const std::string& name, const SpecDialect& dialect);
  const SpecDialect* DialectNamed(std::string_view name) const;
  void EndIfUnused(ModelHierarchy* hierarchy);

  const Options options_;
  const std::vector<SpecDialect> dialects_;
  std::vector<std::unique_ptr<ModelHierarchy>> hierarchies_;
  std::map<std::string, ModelTask> tasks_;
  std::map<std::string, Zombie> zombies_;
  std::map<std::string, ModelMount> mounts_;
  std::map<std::string, ModelOpenFile> open_;
  std::vector<Call> calls_;
  std::optional<std::string> read_text_;
  int next_group_ = 1;
};

// Spec 6.3 and 9.2; 0 or an errno.
int ParsePidAs(const SpecDialect& dialect, const std::string& text, long* pid);
int ParseFlagAs(const SpecDialect& dialect, const std::string& text, bool* flag);
// Whether this uid (with the gid of the same number) may; `want` is of 4, 2, 1.
bool May(const Owner& owner, unsigned uid, unsigned want, bool directory);

}  // namespace corral::random

#endif  // CORRAL_TESTS_RANDOM_MODEL_H_
