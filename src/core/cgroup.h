// The nodes of the registry: plain data, guarded by the registry's tree lock.
#ifndef CORRAL_CORE_CGROUP_H_
#define CORRAL_CORE_CGROUP_H_

#include <corral/ids.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace corral {

struct Hierarchy;

struct Cgroup {
  CgroupId id;
  Hierarchy* hierarchy = nullptr;
  Cgroup* parent = nullptr;  // null for the root
  std::string name;
  std::map<std::string, std::unique_ptr<Cgroup>, std::less<>> children;

  bool notify_on_release = false;
  bool releasable = false;
  bool auto_remove = false;  // removed when released: made for one `corral run`

  // The verdict (I7). For each css_set, the leaves when it was last judged; a retired set
  // that had left anything unjudged is folded into `unjudged`.
  std::unordered_map<CssSetId, std::uint32_t> judged;
  bool unjudged = false;

  // Decided, not yet announced: told once nobody who left is still on the way out.
  bool settling = false;          // in Registry::settling_
  std::uint64_t settle_serial = 0;  // grows with every decision
  bool release_decided = false;   // a release is to be announced
  bool notify_decided = false;    // notify_on_release was set when it was decided (spec 10.9)
  bool awaited_known = false;     // `awaited` was taken
  std::vector<Tid> awaited;       // who was on the way out when we first looked
  std::vector<CssSetId> ghosts;   // unretired sets of removed children

  bool queued = false;            // waits in the ReleaseQueue (spec 10.7)
  std::uint64_t releases = 0;     // announced releases (spec 4.6)
  std::uint64_t event_serial = 0; // changes of what cgroup.events shows
  bool populated_self = false;    // has tasks, or some on their way out
  std::size_t populated_children = 0;

  bool populated() const { return populated_self || populated_children != 0; }
};

struct Hierarchy {
  HierarchyId id;
  std::string name;
  bool built_in = false;      // never destroyed (spec 3.13)
  std::string release_agent;  // empty: none
  std::string agent_user;     // empty: root
  std::size_t cgroups = 1;    // the root included
  Cgroup root;
};

}  // namespace corral

#endif  // CORRAL_CORE_CGROUP_H_
