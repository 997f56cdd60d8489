// Billing: who wants to know of CPU time. The meter runs as long as one of them is there.
//
// A Bill is what one cgroup and those below it have run since it was opened. A cgroup that is
// removed when it gets empty stays until its bill is closed: there would be nobody to ask.
//
//   auto bill = billing.OpenBill(cgroup);
//   ... the job runs and ends ...
//   (*bill)->SoFar();  billing.Uncharged(cgroup) == 0: to the last nanosecond
//
// Any thread. billing_mu_ is a leaf.
#ifndef CORRAL_DAEMON_BILLING_H_
#define CORRAL_DAEMON_BILLING_H_

#include <corral/cpu_meter.h>
#include <corral/result.h>

#include <memory>
#include <unordered_map>

#include "base/mutex.h"
#include "core/registry.h"

namespace corral {

class Billing {
 public:
  Billing(Registry& registry, CpuMeter& meter) : registry_(registry), meter_(meter) {}

  // Keeps the meter running.
  class Metering {
   public:
    explicit Metering(CpuMeter& meter) : meter_(meter) {}
    ~Metering() { meter_.Stop(); }
    Metering(const Metering&) = delete;
    Metering& operator=(const Metering&) = delete;

   private:
    CpuMeter& meter_;
  };
  Result<std::unique_ptr<Metering>> StartMetering();
  bool IsMetering() const { return meter_.IsOn(); }

  class Bill {
   public:
    ~Bill();
    Bill(const Bill&) = delete;
    Bill& operator=(const Bill&) = delete;

    CgroupId cgroup() const { return cgroup_; }
    Result<CpuTime> SoFar() const;  // ENODEV: somebody removed it

   private:
    friend class Billing;
    Bill(Billing& billing, CgroupId cgroup, std::unique_ptr<Metering> metering);

    Billing& billing_;
    const CgroupId cgroup_;
    CpuTime before_;
    const std::unique_ptr<Metering> metering_;
  };
  Result<std::unique_ptr<Bill>> OpenBill(CgroupId cgroup);

  // Dead tasks of it that no bill has in full yet.
  std::uint64_t Uncharged(CgroupId cgroup) { return registry_.CpuUncharged(cgroup); }

  // Whether a bill of it is open.
  bool Holds(CgroupId cgroup) const;

 private:
  Registry& registry_;
  CpuMeter& meter_;
  mutable Mutex billing_mu_;
  std::unordered_map<CgroupId, int> open_ GUARDED_BY(billing_mu_);
};

}  // namespace corral

#endif  // CORRAL_DAEMON_BILLING_H_
