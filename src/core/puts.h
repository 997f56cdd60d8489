// Puts: cgroups whose css lost its last reference (spec 13.5). Whoever puts may hold any lock, so
// it only leaves a note; the next verdict takes the notes.
#ifndef CORRAL_CORE_PUTS_H_
#define CORRAL_CORE_PUTS_H_

#include <corral/subsystem.h>

#include <atomic>
#include <functional>
#include <vector>

#include "core/tree_lock.h"

namespace corral {

class CgroupTree;
class Persistence;
struct Core;

class Puts final : public CssOwner {
 public:
  explicit Puts(Core& core);
  ~Puts() override;

  // From any thread, whatever it holds.
  void LastPut(CgroupId cgroup) override;

  // A last reference that went is a leave like any other (spec 10.1): to be judged.
  void TakeNotes() REQUIRES(the_tree);
  // Whom to judge, since the last call.
  std::vector<CgroupId> TakeToJudge() REQUIRES(the_tree);

 private:
  struct Note {
    CgroupId cgroup;
    Note* next;
  };

  CgroupTree& tree_;
  Persistence& persistence_;
  const std::function<void()>& wake_;

  std::atomic<Note*> notes_ = nullptr;  // pushed without a lock, taken all at once
  std::vector<CgroupId> to_judge_ GUARDED_BY(the_tree);
};

}  // namespace corral

#endif  // CORRAL_CORE_PUTS_H_
