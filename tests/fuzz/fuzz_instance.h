// FuzzInstance: what the operations of the socket ask of an instance, over a World: no kernel, no
// agents, and no mounts but one that is always there.
#ifndef CORRAL_TESTS_FUZZ_FUZZ_INSTANCE_H_
#define CORRAL_TESTS_FUZZ_FUZZ_INSTANCE_H_

#include <cerrno>
#include <string>
#include <vector>

#include "base/event_fd.h"
#include "daemon/instance.h"
#include "fuzz/world.h"
#include "support/still_meter.h"

namespace corral {

// Device 1 is a mount of the hierarchy.
class OneMount final : public Mounts {
 public:
  explicit OneMount(CgroupId root) : root_(root) {}

  Result<Mounted> Mount(std::string_view text, const std::string&) override {
    const auto options = ParseMountOptions(text);
    if (!options) return Fail(options.error());
    return Fail(ENODEV, "nothing is mounted here");
  }
  Result<MountOptions> Remount(dev_t device, std::string_view text) override {
    if (device != 1) return Fail(ENOENT, "not a mount of ours");
    return ParseMountOptions(text);
  }
  std::optional<CgroupId> RootOnDevice(dev_t device) override {
    return device == 1 ? std::optional(root_) : std::nullopt;
  }
  std::size_t CountOf(HierarchyId) override { return 0; }
  std::size_t size() override { return 0; }
  std::string OptionsText(const HierarchyInfo& info, bool) const override {
    return "name=" + info.name;
  }

 private:
  const CgroupId root_;
};

class FuzzInstance final : public Instance {
 public:
  explicit FuzzInstance(World& world) : world_(world), mounts_(world.root) {
    world_.registry.UseMeter(&meter_);
  }
  ~FuzzInstance() { world_.registry.UseMeter(nullptr); }

  const std::string& name() const override { return name_; }
  Registry& registry() override { return world_.registry; }
  Tree& tree() override { return world_.tree; }
  Mounts& mounts() override { return mounts_; }
  Tracker& tracker() override { return world_.tracker; }
  Waiters& waiters() override { return waiters_; }
  EventFeed& feed() override { return feed_; }
  Billing& billing() override { return billing_; }
  Incidents& incidents() override { return incidents_; }
  std::vector<HealthEntry> Health() override { return incidents_.All(); }
  const std::vector<NotLeft>& surroundings() const override { return surroundings_; }
  const std::string& why_not_kept() const override { return why_not_kept_; }
  const std::vector<LoadedPlugin>& plugins() const override { return plugins_; }
  TrackingLimits tracking_limits() const override { return {.tid_capacity = 128}; }
  AgentCounts agent_counts() const override { return {}; }
  Result<void> CheckShutdown(bool force) override {
    if (force) return {};
    return Fail(EBUSY, "cgroups are there");
  }
  void RequestShutdown() override { shutdown_.Wake(); }
  int shutdown_fd() const override { return shutdown_.fd(); }

 private:
  const std::string name_ = "fuzz";
  World& world_;
  OneMount mounts_;
  Waiters waiters_;
  EventFeed feed_{world_.registry};
  StillMeter meter_;  // there are no tasks that run
  Billing billing_{world_.registry, meter_};
  Incidents incidents_;
  const std::vector<NotLeft> surroundings_;
  const std::string why_not_kept_ = "nothing is kept here";
  const std::vector<LoadedPlugin> plugins_ = {{"/plugin.so", "plugin"}};
  EventFd shutdown_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_FUZZ_FUZZ_INSTANCE_H_
