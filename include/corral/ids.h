// The numbers of tasks, cgroups and hierarchies, each its own type so that they cannot be mixed up.
#ifndef CORRAL_IDS_H_
#define CORRAL_IDS_H_

#include <compare>
#include <cstdint>
#include <functional>

namespace corral {

template <typename Tag, typename Rep>
struct StrongId {
  Rep value = 0;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep v) : value(v) {}
  constexpr auto operator<=>(const StrongId&) const = default;
};

// A task: one thread of the host, as the initial pid namespace numbers it.
using Tid = StrongId<struct TidTag, std::uint32_t>;
// Its thread group: the process.
using Tgid = StrongId<struct TgidTag, std::uint32_t>;
// A css_set, "one cgroup in each hierarchy": index into the tracker's table; reused once retired.
using CssSetId = StrongId<struct CssSetIdTag, std::uint32_t>;
// A cgroup, a node of a hierarchy: never reused while an instance lives.
using CgroupId = StrongId<struct CgroupIdTag, std::uint64_t>;
// A hierarchy, a tree of cgroups: never reused while an instance lives.
using HierarchyId = StrongId<struct HierarchyIdTag, std::uint32_t>;

// The css_set "the root of every hierarchy". Its tasks are not counted.
inline constexpr CssSetId kInitialSet{1};

}  // namespace corral

template <typename Tag, typename Rep>
struct std::hash<corral::StrongId<Tag, Rep>> {
  std::size_t operator()(corral::StrongId<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};

#endif  // CORRAL_IDS_H_
