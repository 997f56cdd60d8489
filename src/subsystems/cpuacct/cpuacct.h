// cpuacct: what the tasks of each cgroup have run. README.md says what its files mean.
//
// The sums are the core's (Groups::CpuTimeOf); here are the files, what was there at the last
// reset, and the samples behind `load`. The meter runs while the subsystem is bound.
//
// Threads: files from any; Create and Bind with the tree held (subsystem.h); the sampler is a
// thread of our own from Start() to Stop(). Locks, leaves both: cpu_mu_ for what
// the sampler goes by, Account::account_mu_ for one cgroup's figures. None is held while Groups
// is asked.
#ifndef CORRAL_SUBSYSTEMS_CPUACCT_CPUACCT_H_
#define CORRAL_SUBSYSTEMS_CPUACCT_CPUACCT_H_

#include <corral/subsystem.h>

#include <chrono>
#include <deque>
#include <optional>

#include "base/mutex.h"
#include "subsystems/ticker.h"

namespace corral {

// The share of one CPU that was used over the last ten seconds, from samples a second apart.
// Times are nanoseconds on any clock that only goes forward.
class LoadWindow {
 public:
  static constexpr std::uint64_t kLength = 10'000'000'000;

  void Add(std::uint64_t now, std::uint64_t ran);
  // In percent of one CPU, rounded; 0 with less than two samples. Of a window that has just
  // begun: since then.
  std::uint64_t Percent() const;

 private:
  struct Sample {
    std::uint64_t at;
    std::uint64_t ran;
  };
  std::deque<Sample> samples_;  // from the last one that is as old as the window on
};

class CpuAcct final : public Subsystem {
 public:
  // `meter` outlives this.
  explicit CpuAcct(CpuMeter& meter) : meter_(meter) {}

  std::string_view name() const override { return "cpuacct"; }
  Result<void> Start(Groups& groups) override;
  void Stop() override;
  std::vector<SubsystemFile> Files() override;
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override;
  void Bind(Css& root, HierarchyId hierarchy) override;

  // One sample of every cgroup, as the sampler takes each second.
  void TakeSample(std::uint64_t now);

 private:
  struct Account;

  Result<CpuTime> TimeOf(const FileUse& use, bool subtree) const;
  Result<void> Reset(const FileUse& use, std::string_view bytes) const;

  CpuMeter& meter_;
  Groups* groups_ = nullptr;
  mutable Mutex cpu_mu_;
  std::weak_ptr<Css> root_ GUARDED_BY(cpu_mu_);   // of the hierarchy it is bound to
  std::optional<Error> off_ GUARDED_BY(cpu_mu_);  // why the meter is not running though bound
  bool metering_ GUARDED_BY(cpu_mu_) = false;
  Ticker sampler_;
};

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_CPUACCT_CPUACCT_H_
