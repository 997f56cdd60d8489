// TaskList: the numbers that one open `tasks` or `cgroup.procs` shows (spec 7.3).
//
// In most dialects one list for each descriptor, made when it is opened. With shared lists
// (`linux`) it is made at the first read, shared by all descriptors of the file, and renewed by
// the first read of another descriptor and when it is a second old; who is in the middle goes on
// after the last number he got. Owned by an OpenFile, guarded by its lock.
#ifndef CORRAL_CONTROL_TASK_LIST_H_
#define CORRAL_CONTROL_TASK_LIST_H_

#include <corral/result.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "control/control_file.h"

namespace corral {

// The lists that descriptors share, by cgroup and file; readers of another pid namespace share
// none. Owned by the Tree. Its lock comes after an OpenFile's and before the registry's.
class SharedLists {
 public:
  // The list as it is; made anew when `fresh`, or when it is too old. Errors: of the row's list.
  Result<std::shared_ptr<const TaskNumbers>> Get(const ControlContext& context,
                                                 const ControlFile& row, Tid reader, bool fresh)
      EXCLUDES(lists_mu_);
  void Forget(CgroupId cgroup) EXCLUDES(lists_mu_);

 private:
  using Clock = std::chrono::steady_clock;
  struct Shared {
    std::shared_ptr<const TaskNumbers> numbers;
    Clock::time_point made;
  };
  Mutex lists_mu_;
  std::map<std::pair<CgroupId, const ControlFile*>, Shared> lists_ GUARDED_BY(lists_mu_);
};

std::string Lines(const TaskNumbers& numbers);

}  // namespace corral

#endif  // CORRAL_CONTROL_TASK_LIST_H_
