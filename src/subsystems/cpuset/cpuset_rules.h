// What a cpuset may be set to: the rules between a cgroup, its parent, siblings and children. Pure
// functions of a tree of settings; the errors are those of today's kernel.
#ifndef CORRAL_SUBSYSTEMS_CPUSET_CPUSET_RULES_H_
#define CORRAL_SUBSYSTEMS_CPUSET_CPUSET_RULES_H_

#include <corral/subsystem.h>

#include <set>

#include "subsystems/id_list.h"

namespace corral {

struct CpusetSettings {
  IdSet cpus, mems;
  bool cpu_exclusive = false;
  bool mem_exclusive = false;
  bool memory_migrate = false;
};

// One cgroup's. Everything is guarded by its Cpuset's lock, and changed with the tree held as well.
// Links of its own: a css knows its parent only after it was made.
struct CpusetCss final : Css {
  CpusetCss* up = nullptr;  // null: the root's
  std::set<CpusetCss*> children;
  CpusetSettings settings;  // of the root: the flags only; it has whatever is online
  std::size_t exclusive_children = 0;
};

// Whether `css` may have these instead of its own.
// EBUSY: a child has more. EACCES: the parent has less. EINVAL: a sibling has some of them and one
// of the two is exclusive. ENOSPC: nothing left for its tasks.
Result<void> CheckCpuset(const CpusetCss& css, const CpusetSettings& wanted, bool has_tasks);

inline bool IsExclusive(const CpusetCss& css) {
  return css.settings.cpu_exclusive || css.settings.mem_exclusive;
}

// The new settings of one that is no root: its parent counts its exclusive children.
void SetCpuset(CpusetCss& css, const CpusetSettings& settings);

// Where its tasks run: what is online of its CPUs, or, when none of them is, of its parent's.
IdSet CpusOf(const CpusetCss& css, const IdSet& online);

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_CPUSET_CPUSET_RULES_H_
