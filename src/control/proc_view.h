// ProcView: in which cgroups each task is, in the shape of /proc (spec 12).
//
//   PID/container, PID/cgroup, PID/task/TID/container, PID/task/TID/cgroup
//   self, thread-self            links for the task that asks
//   cgroups, mounts              tables
//
// It shows nobody more than /proc would, and no path below a directory that he may not enter, but
// for tasks of his own (sight.h). Knows nothing of FUSE and keeps nothing: a node's number says
// what it is. Tasks have the numbers that the daemon sees. Owned by the daemon; any thread.
#ifndef CORRAL_CONTROL_PROC_VIEW_H_
#define CORRAL_CONTROL_PROC_VIEW_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/machine.h"
#include "control/sight.h"
#include "control/tree.h"
#include "core/registry.h"

namespace corral {

// What a node of the view is; its number is the inode number.
struct ProcNode {
  enum Kind : std::uint8_t {
    kRoot = 1,
    kSelf,
    kThreadSelf,
    kCgroups,
    kMounts,
    kProcess,    // PID
    kTasks,      // PID/task
    kThread,     // PID/task/TID
    kContainer,  // in either
    kCgroup,
  };
  Kind kind = kRoot;
  Tid tid;
  Tgid tgid;  // 0: below PID, not below PID/task
  std::uint64_t number() const;
  static ProcNode Of(std::uint64_t number);
  bool is_directory() const;
  bool is_link() const { return kind == kSelf || kind == kThreadSelf; }
};

// One open file of the view.
class ProcFile {
 public:
  using Make = std::function<Result<std::string>()>;
  ProcFile(Make make, OpenBudget::Charge charge)
      : make_(std::move(make)), charge_(std::move(charge)) {}
  // Made anew from the start. ESRCH: the task that it was opened for is gone. ENAMETOOLONG: spec 2.
  // EACCES: the path is below a directory that the opener may not enter. EMFILE: OpenBudget.
  Result<std::string> Read(std::size_t size, std::uint64_t offset);

 private:
  const Make make_;
  OpenBudget::Charge charge_;
  std::string text_;
};

class ProcView {
 public:
  struct Source {
    // Ends what nobody can reach any more (spec 3.11).
    std::function<void()> sweep;
    // Whether a hierarchy is mounted, and the table of what is mounted where.
    std::function<bool(HierarchyId)> is_mounted;
    std::function<std::string()> mounts;
  };
  // The hierarchy `built_in` is named in `container` where no other is (spec 12.1).
  ProcView(const Tree& tree, HierarchyId built_in, Source source);

  // ENOENT, ENOTDIR. What /proc hides from the caller: ENOENT, or EPERM below its directory.
  Result<ProcNode> Lookup(ProcNode parent, std::string_view name, const Caller& caller) const;
  Result<struct stat> GetAttr(ProcNode node) const;               // ENOENT
  Result<std::string> ReadLink(ProcNode node, Tid caller) const;  // EINVAL, ENOENT
  // As Tree::ReadDir.
  Result<std::vector<DirEntry>> ReadDir(ProcNode node, const Caller& caller, std::uint64_t from,
                                        std::size_t most) const;
  // ENOENT, EISDIR, EPERM; EMFILE: OpenBudget.
  Result<std::unique_ptr<ProcFile>> Open(ProcNode node, const Caller& caller) const;

 private:
  // Whose paths a file shows: all of tasks he may follow; of others, those he may reach.
  struct Reader {
    Credentials who;
    bool follows = false;
  };
  // The process of a task that exists, be it a zombie. ENOENT.
  Result<Tgid> ProcessOf(Tid tid) const;
  Result<void> Exists(ProcNode node) const;
  Result<void> Shown(ProcNode node, const Sight& sight) const;
  // Of the tasks of a process, or with 0 of the processes: the lowest above `after`, so many as are
  // worth a walk.
  std::vector<std::uint32_t> NumbersAfter(Tgid of, std::uint32_t after) const;
  Result<std::string> ContainerLine(Tid tid, const Reader& reader) const;
  Result<std::string> CgroupLines(Tid tid, const Reader& reader) const;
  Result<std::string> PathIn(const HierarchyInfo& hierarchy, Tid tid, const Reader& reader) const;
  std::string CgroupsTable() const;

  const Tree& tree_;
  Registry& registry_;
  const Machine& machine_;
  const HierarchyId built_in_;
  const Source source_;
};

}  // namespace corral

#endif  // CORRAL_CONTROL_PROC_VIEW_H_
