// Cgroup and Hierarchy: the nodes of the tree. Plain data, guarded by the tree's lock. Each piece
// says which part of the core changes it; all may read it.
#ifndef CORRAL_CORE_CGROUP_H_
#define CORRAL_CORE_CGROUP_H_

#include <corral/cpu_meter.h>
#include <corral/ids.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/attributes.h"
#include "core/subsystem_table.h"
#include "core/types.h"

namespace corral {

struct Hierarchy;

// Of Releases: the verdict (I7), and what was decided and is not announced yet.
struct ReleaseState {
  // For each of its css_sets, the leaves when it was last looked at; leaves that no verdict has
  // counted yet are kept in `unjudged`.
  std::unordered_map<CssSetId, std::uint32_t> judged;
  bool unjudged = false;
  // Those of them a task may be in. All others counted 0 when they were last looked at, and no
  // task was moved to them since: a verdict costs what is used, not all that ever was.
  std::unordered_set<CssSetId> in_use;

  // Decided, not yet announced: told once nobody who left is still on the way out.
  bool settling = false;       // in Releases::settling_
  std::uint64_t serial = 0;    // grows with every decision
  bool decided = false;        // a release is to be announced
  bool awaited_known = false;  // `awaited` was taken
  std::vector<Tid> awaited;    // who was on the way out when we first looked
};

// Of Events: what cgroup.events shows.
struct ShownState {
  bool populated_self = false;  // has tasks, or some on their way out
  std::size_t populated_children = 0;
  std::uint64_t releases = 0;  // announced releases (spec 4.6)
  std::uint64_t serial = 0;    // changes of what is shown
};

// Of Notifications.
struct NoticeState {
  bool queued = false;  // waits in the ReleaseQueue (spec 10.7)
  // Decided while notify_on_release was set (spec 10.9). Each is the path it will be told with;
  // empty: the one it has when the agent starts.
  std::vector<std::string> decided;
};

// Of BirthLimits.
struct LimitState {
  std::uint32_t number = 0;          // TaskLimit::number; 0: no limit of it was ever in force
  std::uint64_t refused_before = 0;  // births that this number counted before it was this cgroup's
};

// Of CpuLedger.
struct CpuState {
  CpuTime spent;        // in sets that are retired
  CpuTime spent_below;  // by children that are removed
};

struct Cgroup {
  Cgroup() = default;
  ~Cgroup();  // not recursive: a tree may be deeper than a stack is
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  // ---- of CgroupTree
  CgroupId id;
  Hierarchy* hierarchy = nullptr;
  Cgroup* parent = nullptr;  // null for the root
  std::string name;
  std::map<std::string, std::unique_ptr<Cgroup>, std::less<>> children;
  std::map<CgroupId, Cgroup*> by_age;  // the same; a listing goes on after an id
  std::uint64_t level = 0;             // a root's is 0
  Attributes attributes;               // of its directory and files
  Quotas quotas;
  Cgroup* bound =
      nullptr;  // the nearest above with quotas, at last the root: who is asked at mkdir
  std::uint64_t descendants = 0;  // all below it; counted for who has quotas, and roots

  // ---- flags
  bool notify_on_release = false;
  bool clone_children = false;  // kept and inherited; a matter of subsystems
  bool releasable = false;
  bool auto_remove = false;  // removed when released: made for one `corral run`

  // ---- of the parts
  CssList css;  // empty when no subsystem is bound
  ReleaseState release;
  ShownState shown;
  NoticeState notice;
  LimitState limit;
  CpuState cpu;
  // Of LeavingSets: its sets that are to be retired, and removed children's.
  std::unordered_set<CssSetId> ghosts;

  bool has_quotas() const { return quotas.depth != kNoQuota || quotas.descendants != kNoQuota; }
  // For a child of it.
  Cgroup* nearest_bound() { return !parent || has_quotas() ? this : bound; }

  // As a css_set's tuple names it: 0 for a root.
  CgroupId place() const { return parent ? id : CgroupId{}; }
  bool populated() const { return shown.populated_self || shown.populated_children != 0; }
};

struct Hierarchy {
  HierarchyId id;
  std::string name;
  bool built_in = false;  // never destroyed (spec 3.13)
  bool noprefix = false;
  bool css_inherit = true;  // a new cgroup's css starts with its parent's settings
  SubsystemSet subsystems = 0;
  const Dialect* dialect = nullptr;
  ReleaseRules rules;
  std::string release_agent;  // empty: none
  std::string agent_user;     // empty: root
  CpuTime cpu_at_start;       // of the whole machine
  std::size_t waiting =
      0;  // its notifications in the queue, and its cgroups that departed (Notifications)
  Cgroup root;

  std::size_t cgroups() const { return root.descendants + 1; }
};

}  // namespace corral

#endif  // CORRAL_CORE_CGROUP_H_
