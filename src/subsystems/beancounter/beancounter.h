// Beancounter: what the processes of a cgroup and everything below it hold, against barriers and
// limits. It counts, it enforces nothing: README.md beside this.
//
// Locks: mu_ is a leaf and never held while Groups or the host is asked. sampling_mu_, taken by
// handlers and the ticker only, keeps one sample from being booked after a newer one.
#ifndef CORRAL_SUBSYSTEMS_BEANCOUNTER_BEANCOUNTER_H_
#define CORRAL_SUBSYSTEMS_BEANCOUNTER_BEANCOUNTER_H_

#include <corral/subsystem.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "subsystems/real_tasks.h"
#include "subsystems/ticker.h"

namespace corral {

class Beancounter final : public Subsystem {
 public:
  // `every`: how often cgroups are sampled that nobody reads.
  explicit Beancounter(std::shared_ptr<UsageHost> host,
                       std::chrono::milliseconds every = std::chrono::seconds(1));

  std::string_view name() const override { return "beancounter"; }
  Result<void> Start(Groups& groups) override;
  void Stop() override { ticker_.Stop(); }
  std::vector<SubsystemFile> Files() override;
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override;
  void Destroy(Css& css) override;

 private:
  enum Resource { kProcesses, kPages, kFiles, kCpuTime, kResources };
  static constexpr std::array<std::string_view, kResources> kNames = {"numproc", "physpages",
                                                                      "numfile", "cputime"};
  static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
  struct Bean {
    std::uint64_t maxheld = 0;
    std::uint64_t barrier = kNoLimit;
    std::uint64_t limit = kNoLimit;
    std::uint64_t failcnt = 0;
    bool over_barrier = false;  // at the last sample
  };
  struct BeanCss final : Css {
    std::array<Bean, kResources> beans;  // guarded by mu_
  };
  // Nothing: not known.
  using Sample = std::array<std::optional<std::uint64_t>, kResources>;
  // Of processes that were looked at in this round.
  using Looked = std::unordered_map<Tgid, UsageHost::Usage>;
  struct Setting {
    Resource resource;
    std::uint64_t barrier, limit;
  };

  static Result<std::vector<Setting>> Parse(std::string_view text);
  Result<void> Write(BeanCss& css, std::string_view text);
  std::string Table(BeanCss& css);
  Sample Take(BeanCss& css, bool cpu_time, Looked* looked);
  void Book(BeanCss& css, const Sample& sample, bool counts);
  std::optional<std::chrono::milliseconds> SampleAll();

  const std::shared_ptr<UsageHost> host_;
  const std::chrono::milliseconds every_;
  Groups* groups_ = nullptr;
  Mutex sampling_mu_;                       // before the tree
  Mutex mu_;                                // after the tree
  std::set<BeanCss*> all_ GUARDED_BY(mu_);  // but the root's; changed with the tree held as well
  Ticker ticker_;
};

// Over the processes of this machine.
std::shared_ptr<Subsystem> MakeBeancounter();

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_BEANCOUNTER_BEANCOUNTER_H_
