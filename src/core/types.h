// What the registry is given and answers with: plain values, by which its users know hierarchies,
// cgroups, tasks, events and notifications.
#ifndef CORRAL_CORE_TYPES_H_
#define CORRAL_CORE_TYPES_H_

#include <corral/cpu_meter.h>
#include <corral/ids.h>
#include <corral/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/attributes.h"

namespace corral {

struct Dialect;  // of control: how a hierarchy is shown; the core never looks inside

// Some of the registered subsystems: bit n is number n, in the order of registration.
using SubsystemSet = std::uint32_t;
constexpr bool Has(SubsystemSet set, std::size_t number) { return (set >> number & 1) != 0; }

// ---- hierarchies and cgroups

// What differs between dialects where notifications are decided (spec 2).
struct ReleaseRules {
  bool per_emptying = false;      // each emptying is told by itself, with the path it had then
  bool outlives_removal = false;  // a cgroup removed while its notification waits is still told
};

// How many cgroups there may be below one (spec 4.6).
inline constexpr std::uint64_t kNoQuota = UINT64_MAX;
struct Quotas {
  std::uint64_t depth = kNoQuota;        // levels
  std::uint64_t descendants = kNoQuota;  // on all levels together
};

struct HierarchyOptions {
  std::string name;  // may be empty
  SubsystemSet subsystems = 0;
  std::string release_agent;  // empty: none
  std::string agent_user;     // empty: root
  bool built_in = false;
  bool clone_children = false;  // of the root
  bool noprefix = false;        // this and the dialect are kept for `control`
  bool css_inherit = true;      // NewCss::inherits
  // Below the root there are `descendants` at most; each cgroup directly below it begins with
  // `depth`, which whoever may write the root's files changes.
  Quotas quotas = {};
  const Dialect* dialect = nullptr;
  ReleaseRules rules = {};
};

struct HierarchyInfo {
  HierarchyId id;
  std::string name;
  std::string label;  // the name; without one, its subsystems
  SubsystemSet subsystems = 0;
  CgroupId root;
  bool built_in = false;
  bool clone_children = false;  // of the root
  bool noprefix = false;
  const Dialect* dialect = nullptr;
  std::string release_agent;
  std::string agent_user;
  std::size_t cgroups = 0;  // the root included
};

// What every use of a directory or a file of a cgroup asks first.
struct CgroupFacts {
  HierarchyId hierarchy;
  CgroupId parent;  // 0 for a root
  SubsystemSet subsystems = 0;
  bool noprefix = false;
  const Dialect* dialect = nullptr;
  bool is_root() const { return parent.value == 0; }
};

// A cgroup as a directory: all that a look at it or at one of its files needs, at one moment.
struct DirectoryView {
  CgroupId id;
  CgroupFacts facts;
  std::size_t children = 0;
  Attributes attributes;
  NodeAttr above;  // of the directory above; a root's own
};

struct MkdirOptions {
  bool auto_remove = false;  // remove it when it is released
  // Of the directory and, but for the mode, of its files.
  uid_t uid = 0;
  gid_t gid = 0;
  std::optional<mode_t> mode = {};
};

struct CgroupInfo {
  CgroupId id;
  CgroupId parent;  // 0 for a root
  HierarchyId hierarchy;
  std::string hierarchy_name;  // its label
  std::string path;            // begins with '/'
  std::size_t children = 0;
  bool notify_on_release = false;
  bool auto_remove = false;
  bool populated = false;  // the subtree has tasks, or some on their way out (spec 10.10)
  std::uint64_t releases = 0;
};

struct EventsInfo {
  bool populated = false;
  std::uint64_t releases = 0;
  std::uint64_t serial = 0;  // grows with every change of the two
};

// ---- listings

// One cgroup of a listing of a subtree. No paths: of a deep tree they would be as much as the
// square of its depth.
struct TreeNode {
  CgroupId id;
  std::size_t parent = 0;    // its place in the listing; the first one's is 0
  std::string name;          // empty for a root
  std::size_t tasks = 0;     // its own
  std::size_t children = 0;  // whether or not they are in the listing
  bool populated = false;
  bool notify_on_release = false;
};

// One task of a listing, and where in it its cgroup is.
struct TreeTask {
  Tid tid;
  Tgid tgid;
  std::size_t node = 0;
};

struct ListOptions {
  std::size_t depth = SIZE_MAX;  // levels below the first one
  std::vector<TreeTask>* tasks =
      nullptr;  // filled with those of the listed cgroups, tids ascending
};

struct TaskMember {
  Tid tid;
  Tgid tgid;
  CssSetId set;
};

// ---- events and notifications

// What an event's or a notification's path may be long where longer ones are of no use: enough
// for 200 levels of the longest names (spec 5.7). An event's has no more levels than that either:
// going up from each group of a tree that is removed would cost the square of its depth.
inline constexpr std::size_t kMostTold = std::size_t{64} << 10;
inline constexpr std::size_t kMostLevelsTold = 1024;

// Something a subscriber may want to know. Delivered in order, without locks.
struct Event {
  enum class Kind {
    kChanged,   // what cgroup.events shows of this cgroup changed
    kReleased,  // the cgroup was released (spec 10.1), notify_on_release or not
    kRemoved,   // the cgroup is gone
  };
  Kind kind;
  CgroupId cgroup;
  HierarchyId hierarchy;
  // As it was when this happened; empty for kChanged, where nobody asks (TellPaths), and where it
  // is longer than kMostTold, or has more than kMostLevelsTold.
  std::string path;
  bool auto_remove = false;
  std::optional<bool> populated;  // kChanged: it became so; nothing: only `releases` changed
};

// What an agent is started with (spec 10.4).
struct Notification {
  std::uint64_t number = 0;  // FinishNotification
  CgroupId cgroup;
  HierarchyId hierarchy_id;
  std::string hierarchy;  // its label
  std::string path;
  std::string agent;  // empty: none is set, nothing to start
  std::string agent_user;
  const Dialect* dialect = nullptr;
};

// ---- what is handed in

// Asked after a task was moved and before anybody is told: a failure undoes the move and
// is the answer. Used to see that the tid is still the task whose permission was checked.
using AttachGuard = std::function<Result<void>()>;

// How a journal's rows name dialects, of which the core knows only where they are.
struct DialectNames {
  std::function<std::string(const Dialect&)> name_of;
  std::function<const Dialect*(std::string_view)> find;  // null: there is none of that name
};

// A registered subsystem (spec 12.4).
struct SubsystemInfo {
  std::string name;
  HierarchyId hierarchy;    // 0: bound nowhere
  std::size_t cgroups = 1;  // of that hierarchy, the root included
};

// ---- CPU time

struct CpuTimes {
  CpuTime own;
  CpuTime subtree;
};
using CpuTimesById = std::unordered_map<CgroupId, CpuTimes>;

}  // namespace corral

#endif  // CORRAL_CORE_TYPES_H_
