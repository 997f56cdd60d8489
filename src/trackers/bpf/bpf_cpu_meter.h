// BpfCpuMeter: the CPU meter of the kernel tracker. See bpf/cpu_meter.bpf.c for its hooks and
// docs/concurrency.md, section 18, for why nothing is charged twice or forgotten.
//
// While it is not started it is nothing at all but the sums of earlier times: no program is
// loaded. Looking is charging: Read() and Split() have the kernel charge what living tasks have
// run to where they are, so what was told once is on a bill for good.
//
// Threads: any. start_mu_ is held by Start() and Stop(), hooks_mu_ for an instant by all; both
// are leaves.
#ifndef CORRAL_TRACKERS_BPF_BPF_CPU_METER_H_
#define CORRAL_TRACKERS_BPF_BPF_CPU_METER_H_

#include <corral/cpu_meter.h>
#include <cpu_bill.h>

#include <atomic>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "trackers/bpf/bpf_object.h"
#include "trackers/bpf/bpf_tracker.h"

namespace corral {

class BpfCpuMeter final : public CpuMeter {
 public:
  explicit BpfCpuMeter(const BpfTracker& tracker) : tracker_(tracker) {}  // outlives this
  ~BpfCpuMeter() override;

  Result<void> Start() override;
  void Stop() override;
  bool IsOn() const override;
  void Split(Tgid process) override;
  void Split(Tid task) override;
  std::unordered_map<CssSetId, CpuTime> Read() override;
  CpuTime Charged(CssSetId set) const override;
  std::uint64_t Owed(CssSetId set) const override;
  std::uint64_t Uncharged(CssSetId set) override;

 private:
  struct Hooks;

  Result<std::shared_ptr<Hooks>> Load() REQUIRES(start_mu_);
  void WriteOff() REQUIRES(start_mu_);
  std::shared_ptr<Hooks> UsedHooks() const;
  const corral_bill* BillOf(CssSetId set) const;
  void WarnOfLosses(const Hooks& hooks);

  const BpfTracker& tracker_;
  Mutex start_mu_;
  int users_ GUARDED_BY(start_mu_) = 0;
  Fd bills_map_ GUARDED_BY(start_mu_);  // from the first Start() on
  Mapping<corral_bill> mapped_bills_ GUARDED_BY(start_mu_);
  std::atomic<corral_bill*> bills_ = nullptr;  // those mapped, for all threads
  std::atomic<std::uint64_t> told_crowded_ = 0;
  std::atomic<std::uint64_t> told_lost_ = 0;
  mutable Mutex hooks_mu_;
  std::shared_ptr<Hooks> hooks_ GUARDED_BY(hooks_mu_);
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_BPF_CPU_METER_H_
