#include "subsystems/cpuset/cpuset_rules.h"

#include <cerrno>

namespace corral {
namespace {

bool FitsIn(const CpusetSettings& part, const CpusetSettings& whole, bool whole_is_root) {
  const bool lists =
      whole_is_root || (IsSubset(part.cpus, whole.cpus) && IsSubset(part.mems, whole.mems));
  return lists && part.cpu_exclusive <= whole.cpu_exclusive &&
         part.mem_exclusive <= whole.mem_exclusive;
}

bool Collide(const CpusetSettings& a, const CpusetSettings& b) {
  const bool cpus = (a.cpu_exclusive || b.cpu_exclusive) && !(a.cpus & b.cpus).empty();
  const bool mems = (a.mem_exclusive || b.mem_exclusive) && !(a.mems & b.mems).empty();
  return cpus || mems;
}

}  // namespace

Result<void> CheckCpuset(const CpusetCss& css, const CpusetSettings& wanted, bool has_tasks) {
  for (const CpusetCss* child : css.children) {
    if (!FitsIn(child->settings, wanted, !css.up)) {
      return Fail(EBUSY, "a child has cpus {}, mems {}, or is exclusive itself",
                  FormatIdList(child->settings.cpus), FormatIdList(child->settings.mems));
    }
  }
  if (!css.up) return {};
  if (!FitsIn(wanted, css.up->settings, !css.up->up)) {
    return Fail(EACCES, "the parent has cpus {}, mems {} only, or is not exclusive itself",
                FormatIdList(css.up->settings.cpus), FormatIdList(css.up->settings.mems));
  }
  for (const CpusetCss* sibling : css.up->children) {
    if (sibling != &css && Collide(wanted, sibling->settings)) {
      return Fail(EINVAL, "a sibling has cpus {}, mems {}, and one of the two is exclusive",
                  FormatIdList(sibling->settings.cpus), FormatIdList(sibling->settings.mems));
    }
  }
  const bool emptied = (!css.settings.cpus.empty() && wanted.cpus.empty()) ||
                       (!css.settings.mems.empty() && wanted.mems.empty());
  if (has_tasks && emptied) return Fail(ENOSPC, "nothing would be left for the group's tasks");
  return {};
}

void SetCpuset(CpusetCss& css, const CpusetSettings& settings) {
  css.up->exclusive_children -= IsExclusive(css) ? 1 : 0;
  css.settings = settings;
  css.up->exclusive_children += IsExclusive(css) ? 1 : 0;
}

IdSet CpusOf(const CpusetCss& css, const IdSet& online) {
  const CpusetCss* at = &css;
  while (at->up && (at->settings.cpus & online).empty()) at = at->up;
  return at->up ? at->settings.cpus & online : online;
}

}  // namespace corral
