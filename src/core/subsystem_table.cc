#include "core/subsystem_table.h"

#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "base/log.h"
#include "core/foreign_calls.h"

namespace corral {

bool GuardedTell(const Subsystem& subsystem, std::string_view what,
                 const std::function<void()>& fn) {
  const auto told = Guarded(subsystem, what, fn);
  if (!told) log::Error("{}", told.error().message);
  return told.has_value();
}

std::vector<SubsystemFile> FilesOf(Subsystem& subsystem) {
  std::vector<SubsystemFile> files;
  GuardedTell(subsystem, "Files", [&] { files = subsystem.Files(); });
  return files;
}

// ---- registration and binding

Result<void> SubsystemTable::Register(std::shared_ptr<Subsystem> subsystem, Groups& groups,
                                      CssOwner& owner) {
  constexpr std::size_t kLongestName = 31;
  const std::string_view name = subsystem->name();
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (name.empty() || name.size() > kLongestName || !plain) {
    return Fail(EINVAL, "'{}' is no name for a subsystem: 1 to {} characters of [a-z0-9_]", name,
                kLongestName);
  }
  if (Find(name)) return Fail(EEXIST, "there is a subsystem '{}' already", name);
  if (slots_.size() == kMost) return Fail(ENOSPC, "more than {} subsystems", kMost);
  TRY(Guarded(*subsystem, "Start", [&] { return subsystem->Start(groups); }));
  auto root = TRY(Guarded(*subsystem, "Create", [&] { return subsystem->Create({}); }));
  if (!root) return Fail(EIO, "subsystem {}: no css for the root", name);
  root->owner_ = &owner;
  slots_.push_back({.subsystem = std::move(subsystem), .root = std::move(root), .bound = {}});
  return {};
}

std::optional<std::size_t> SubsystemTable::Find(std::string_view name) const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].subsystem->name() == name) return i;
  }
  return std::nullopt;
}

std::string SubsystemTable::NamesOf(SubsystemSet set) const {
  std::string names;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!Has(set, i)) continue;
    if (!names.empty()) names += ',';
    names += slots_[i].subsystem->name();
  }
  return names;
}

Result<void> SubsystemTable::CheckFree(SubsystemSet set, HierarchyId hierarchy) const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const HierarchyId bound = slots_[i].bound;
    if (Has(set, i) && bound.value != 0 && bound != hierarchy) {
      return Fail(EBUSY, "subsystem '{}' is bound to another hierarchy",
                  slots_[i].subsystem->name());
    }
  }
  return {};
}

Result<void> SubsystemTable::Bind(SubsystemSet set, HierarchyId hierarchy, CgroupId root) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!Has(set, i) || slot.bound == hierarchy) continue;
    const HierarchyId before = slot.bound;
    const CgroupId root_before = slot.root->cgroup();
    slot.bound = hierarchy;
    slot.root->cgroup_ = root.value;
    auto bound =
        Guarded(*slot.subsystem, "Bind", [&] { slot.subsystem->Bind(*slot.root, hierarchy); });
    if (bound) continue;
    if (hierarchy.value == 0) {  // nothing to go back to
      log::Error("{}", bound.error().message);
      continue;
    }
    // Who threw may have begun with it: it goes back like those before it.
    (void)Bind(set & ((SubsystemSet{2} << i) - 1), before, root_before);
    return bound;
  }
  return {};
}

CssList SubsystemTable::Roots(SubsystemSet set) const {
  CssList roots;
  if (set == 0) return roots;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    roots.push_back(Has(set, i) ? slots_[i].root : nullptr);
  }
  return roots;
}

// ---- the life of a cgroup

Result<CssList> SubsystemTable::Create(const CssList& parent, CgroupId cgroup, bool inherits,
                                       bool clone) {
  CssList made(parent.size());
  for (std::size_t i = 0; i < parent.size(); ++i) {
    if (!parent[i]) continue;
    Subsystem& subsystem = *slots_[i].subsystem;
    const NewCss of{.parent = parent[i], .inherits = inherits};
    auto css = Guarded(subsystem, "Create", [&] { return subsystem.Create(of); });
    if (css && !*css) css = Fail(EIO, "subsystem {}: no css", subsystem.name());
    if (!css) {
      Destroy(made);
      return Fail(css.error());
    }
    made[i] = std::move(*css);
    made[i]->parent_ = parent[i];
    made[i]->cgroup_ = cgroup.value;
    made[i]->owner_ = parent[i]->owner_;
    if (inherits) made[i]->task_limit_ = parent[i]->task_limit();
  }
  for (std::size_t i = 0; clone && i < made.size(); ++i) {
    if (!made[i]) continue;
    Subsystem& subsystem = *slots_[i].subsystem;
    auto told = Guarded(subsystem, "PostClone", [&] { subsystem.PostClone(*made[i]); });
    if (!told) {
      Destroy(made);
      return Fail(told.error());
    }
  }
  return made;
}

Result<void> SubsystemTable::CloseToReferences(const CssList& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i]) continue;
    std::int64_t none = 0;
    if (all[i]->references_.compare_exchange_strong(none, Css::kRemoved)) continue;
    for (std::size_t closed = 0; closed < i; ++closed) {
      if (all[closed]) all[closed]->references_ = 0;
    }
    return Fail(EBUSY, "held by {} reference(s) of subsystem {}", none,
                slots_[i].subsystem->name());
  }
  return {};
}

void SubsystemTable::Destroy(const CssList& all) {
  for (std::size_t i = all.size(); i-- > 0;) {
    if (!all[i]) continue;
    Subsystem& subsystem = *slots_[i].subsystem;
    all[i]->references_ = Css::kRemoved;
    const bool told = GuardedTell(subsystem, "Destroy", [&] { subsystem.Destroy(*all[i]); });
    if (!told) slots_[i].undestroyed.push_back(all[i]);
  }
}

bool SubsystemTable::AnyReference(const CssList& all) {
  return std::ranges::any_of(all, [](const auto& css) { return css && css->references() != 0; });
}

std::uint64_t SubsystemTable::ExchangeTaskLimit(Css& css, std::uint64_t max) {
  return css.task_limit_.exchange(max);
}

// ---- moves

Result<void> SubsystemTable::CanAttach(const CssList& to, const CssList& from, Tid task) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (!to[i]) continue;
    Subsystem& subsystem = *slots_[i].subsystem;
    auto agreed = Guarded(subsystem, "CanAttach",
                          [&] { return subsystem.CanAttach(*to[i], *from[i], task); });
    if (agreed) continue;
    CancelFirst(i, to, from, task);
    return agreed;
  }
  return {};
}

void SubsystemTable::CancelFirst(std::size_t count, const CssList& to, const CssList& from,
                                 Tid task) {
  for (std::size_t i = count; i-- > 0;) {
    if (!to[i]) continue;
    Subsystem& subsystem = *slots_[i].subsystem;
    GuardedTell(subsystem, "Cancel", [&] { subsystem.Cancel(*to[i], *from[i], task); });
  }
}

void SubsystemTable::Cancel(const CssList& to, const CssList& from, Tid task) {
  CancelFirst(to.size(), to, from, task);
}

void SubsystemTable::Attach(const CssList& to, const CssList& from, Tid task) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (!to[i]) continue;
    Subsystem& subsystem = *slots_[i].subsystem;
    GuardedTell(subsystem, "Attach", [&] { subsystem.Attach(*to[i], *from[i], task); });
  }
}

}  // namespace corral
