// MountTable: which hierarchies are mounted, how often, and what lives and ends with that
// (spec 3.4 to 3.11).
//
// Any thread. Ended mounts are noticed by their descriptor; every call sweeps them first, so
// umount followed by mount never gives EBUSY. The lock is taken before the registry's.
#ifndef CORRAL_DAEMON_MOUNT_TABLE_H_
#define CORRAL_DAEMON_MOUNT_TABLE_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <sys/types.h>

#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "control/tree.h"
#include "daemon/mount_options.h"
#include "daemon/mounts.h"
#include "fuse/mount.h"

namespace corral {

// Of every hierarchy, in every dialect: what a user makes through descriptors of directories does
// not go on for ever. The depth is where a tree's own begins (spec 4.6), and may be raised.
inline constexpr Quotas kHierarchyQuotas{.depth = 512, .descendants = 250'000};

class MountTable final : public Mounts {
 public:
  explicit MountTable(Tree& tree) : tree_(tree) {}

  Result<Mounted> Mount(std::string_view options, const std::string& source) override;
  Result<MountOptions> Remount(dev_t device, std::string_view options) override;
  std::optional<CgroupId> RootOnDevice(dev_t device) override;
  std::size_t CountOf(HierarchyId hierarchy) override;
  std::size_t size() override;
  std::string OptionsText(const HierarchyInfo& info, bool escaped) const override;

  // A line for each mount, as in /proc/mounts: SOURCE DIR container OPTIONS 0 0. DIR is `-` for
  // one that is in other mount namespaces only.
  std::string MountsText();

  // Wakes pollers of a cgroup. From a thread that serves no requests.
  void NotifyChanged(CgroupId cgroup);

  // Hierarchies that are there now are an earlier daemon's, or the next one's: none of them ends
  // before it was mounted again.
  void KeepUntilMounted();

  // Detaches what is mounted in the daemon's own mount namespace and ends every mount.
  void EndAll();

 private:
  struct Entry {
    HierarchyId hierarchy;
    std::string source;
    std::shared_ptr<FuseMount> mount;
  };
  // The subsystems that the options ask for; none of them where names say it all (spec 3.3, 3.4).
  SubsystemSet Wanted(const MountOptions& options, const Dialect& dialect) const;
  Result<HierarchyId> FindOrCreateLocked(const MountOptions& options, const Result<void>& agent,
                                         bool* created) REQUIRES(mounts_mu_);
  Result<void> CheckAgent(const MountOptions& options, const HierarchyInfo& now) const;
  void SweepLocked() REQUIRES(mounts_mu_);
  // The hierarchy that has `device` mounted.
  std::optional<HierarchyId> HierarchyOnDevice(dev_t device) EXCLUDES(mounts_mu_);

  Tree& tree_;
  Mutex mounts_mu_;
  std::list<Entry> mounts_ GUARDED_BY(mounts_mu_);
  std::set<HierarchyId> bereft_ GUARDED_BY(mounts_mu_);  // KeepUntilMounted()
};

// Unmounts it, lazily, wherever it is in the daemon's own mount namespace.
void Detach(const FuseMount& mount);

}  // namespace corral

#endif  // CORRAL_DAEMON_MOUNT_TABLE_H_
