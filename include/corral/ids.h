// The numbers of the model (spec 1), each its own type so that they cannot be mixed up.
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

// One thread of the host (spec 1.1), as the initial pid namespace numbers it.
using Tid = StrongId<struct TidTag, std::uint32_t>;
// Its thread group: the process.
using Tgid = StrongId<struct TgidTag, std::uint32_t>;
// A css_set (spec 1.6): index into the tracker's table; reused after retirement.
using CssSetId = StrongId<struct CssSetIdTag, std::uint32_t>;
// A cgroup (spec 1.2): never reused while an instance lives.
using CgroupId = StrongId<struct CgroupIdTag, std::uint64_t>;
// A hierarchy (spec 1.3): never reused while an instance lives.
using HierarchyId = StrongId<struct HierarchyIdTag, std::uint32_t>;

// "The root of every hierarchy" (spec 1.8). Its tasks are not counted.
inline constexpr CssSetId kInitialSet{1};

}  // namespace corral

template <typename Tag, typename Rep>
struct std::hash<corral::StrongId<Tag, Rep>> {
  std::size_t operator()(corral::StrongId<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};

#endif  // CORRAL_IDS_H_
