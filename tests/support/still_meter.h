// StillMeter: a CpuMeter that is on and sees nobody run. Derive from it what a test wants seen.
#ifndef CORRAL_TESTS_SUPPORT_STILL_METER_H_
#define CORRAL_TESTS_SUPPORT_STILL_METER_H_

#include <corral/cpu_meter.h>

namespace corral {

class StillMeter : public CpuMeter {
 public:
  Result<void> Start() override { return {}; }
  void Stop() override {}
  bool IsOn() const override { return true; }
  void Split(Tgid) override {}
  void Split(Tid) override {}
  std::unordered_map<CssSetId, CpuTime> Read() override { return {}; }
  CpuTime Charged(CssSetId) const override { return {}; }
  std::uint64_t Owed(CssSetId) const override { return 0; }
  std::uint64_t Uncharged(CssSetId) override { return 0; }
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_STILL_METER_H_
