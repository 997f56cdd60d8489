// SubsystemTable: the registered subsystems, where each is bound, and every call of one.
//
// Owned by the Registry, whose tree lock guards it. A plug-in is not trusted: an exception that
// leaves a callback becomes an error, or a line of the log where there is nobody to answer.
// What comes in several steps is done by all subsystems or taken back.
#ifndef CORRAL_CORE_SUBSYSTEM_TABLE_H_
#define CORRAL_CORE_SUBSYSTEM_TABLE_H_

#include <corral/subsystem.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/types.h"

namespace corral {

// A cgroup's css by subsystem number; null where the subsystem is not of its hierarchy.
using CssList = std::vector<std::shared_ptr<Css>>;

class SubsystemTable {
 public:
  static constexpr std::size_t kMost = 16;

  struct Slot {
    std::shared_ptr<Subsystem> subsystem;
    std::shared_ptr<Css> root;
    HierarchyId bound;  // 0: nowhere
    // Whose Destroy() threw. The subsystem may have them in lists of its own still: they are kept.
    std::vector<std::shared_ptr<Css>> undestroyed;
  };

  // EEXIST: the name is taken; EINVAL: it is none; ENOSPC: too many; or what Start or Create say.
  Result<void> Register(std::shared_ptr<Subsystem> subsystem, Groups& groups, CssOwner& owner);

  const std::vector<Slot>& slots() const { return slots_; }
  std::optional<std::size_t> Find(std::string_view name) const;
  std::string NamesOf(SubsystemSet set) const;  // comma separated, in their order
  SubsystemSet All() const { return (SubsystemSet{1} << slots_.size()) - 1; }

  // EBUSY: one of them is bound to another hierarchy.
  Result<void> CheckFree(SubsystemSet set, HierarchyId hierarchy) const;
  // The roots' css become those of `root` of `hierarchy`, or (both 0) of none.
  // REQUIRES: CheckFree(). All of them or none; EIO when one throws.
  Result<void> Bind(SubsystemSet set, HierarchyId hierarchy, CgroupId root);
  CssList Roots(SubsystemSet set) const;

  // ---- the life of a cgroup. On failure nothing is left.
  Result<CssList> Create(const CssList& parent, CgroupId cgroup, bool inherits, bool clone);
  // EBUSY: somebody holds a reference.
  Result<void> CloseToReferences(const CssList& all);
  void Destroy(const CssList& all);
  static bool AnyReference(const CssList& all);
  // Css::task_limit() is `max` from here on; what it was.
  static std::uint64_t ExchangeTaskLimit(Css& css, std::uint64_t max);

  // ---- moves (spec 13.2)
  Result<void> CanAttach(const CssList& to, const CssList& from, Tid task);
  void Attach(const CssList& to, const CssList& from, Tid task);
  void Cancel(const CssList& to, const CssList& from, Tid task);

 private:
  void CancelFirst(std::size_t count, const CssList& to, const CssList& from, Tid task);

  std::vector<Slot> slots_;
};

// `fn`'s answer; an exception becomes EIO, with what it says. `who` names what was called, for
// that message only.
template <typename Who, typename Fn>
auto CallForeign(Who who, Fn fn) -> decltype(fn()) {
  try {
    return fn();
  } catch (const std::exception& thrown) {
    return Fail(EIO, "{} failed: {}", who(), thrown.what());
  } catch (...) {
    return Fail(EIO, "{} failed", who());
  }
}

template <typename Fn>
auto Guarded(const Subsystem& subsystem, std::string_view what, Fn fn) -> decltype(fn()) {
  return CallForeign([&] { return fmt::format("subsystem {}: {}", subsystem.name(), what); }, fn);
}

// The same where nobody can be answered: it is logged. False: it threw.
bool GuardedTell(const Subsystem& subsystem, std::string_view what,
                 const std::function<void()>& fn);

// Its files; none where Files() throws, which is logged.
std::vector<SubsystemFile> FilesOf(Subsystem& subsystem);

}  // namespace corral

#endif  // CORRAL_CORE_SUBSYSTEM_TABLE_H_
