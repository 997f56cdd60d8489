// TaskAudit: compares the words with the machine's tasks (I1, I8).
//
// A fork, exec or death that is under way looks like a difference for a moment. So a
// difference counts only when it is still there, the same, after several looks with a
// growing pause; a task inside exec whose word is still at its old tid is never one (I6).
#ifndef CORRAL_TRACKERS_TASK_AUDIT_H_
#define CORRAL_TRACKERS_TASK_AUDIT_H_

#include <corral/tracker.h>

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "trackers/tables.h"

namespace corral {

class TaskAudit {
 public:
  // The machine's tasks and their words; it may be a moment late either way.
  using Walk = std::function<std::vector<corral_task_record>()>;

  // `unheard`: processes whose tasks' ends no hook is told of. A word that one of them left behind
  // is no difference, but unsettled until it is buried.
  TaskAudit(const Tables& tables, Walk walk, std::vector<Tgid> unheard = {})
      : tables_(tables), walk_(std::move(walk)), unheard_(std::move(unheard)) {}

  AuditReport Run();

  // Buries what has no task: `gone` is asked once more after the word was read, so that who
  // has the tid by now is spared; `bury` swaps that very word. Returns how many were buried.
  std::uint64_t Bury(const std::function<bool(Tid, Tgid)>& gone,
                     const std::function<bool(Tid, std::uint64_t)>& bury) const;

  // Live tasks without a live word.
  const std::set<Tid>& unknown() const { return unknown_; }
  // Live words without a live task, each with the word last seen.
  const std::map<Tid, std::uint64_t>& phantoms() const { return phantoms_; }

 private:
  struct Look {
    std::set<Tid> unknown;
    std::map<Tid, std::uint64_t> phantoms;
    std::uint64_t tasks = 0;
    std::uint64_t tracked = 0;
    std::uint64_t unsettled = 0;
  };
  Look LookOnce() const;

  const Tables& tables_;
  const Walk walk_;
  const std::vector<Tgid> unheard_;
  std::set<Tid> unknown_;
  std::map<Tid, std::uint64_t> phantoms_;
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_TASK_AUDIT_H_
