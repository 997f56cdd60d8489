#include "daemon/billing.h"

#include <utility>

#include "base/errors.h"

namespace corral {

Result<std::unique_ptr<Billing::Metering>> Billing::StartMetering() {
  TRY(meter_.Start());
  return std::make_unique<Metering>(meter_);
}

Billing::Bill::Bill(Billing& billing, CgroupId cgroup, std::unique_ptr<Metering> metering)
    : billing_(billing), cgroup_(cgroup), metering_(std::move(metering)) {
  MutexLock lock(billing_.billing_mu_);
  ++billing_.open_[cgroup_];
}

// It may have become empty while we held it, and then nobody else removes it. EBUSY: it did not,
// and will be told of like any other.
Billing::Bill::~Bill() {
  bool last = false;
  {
    MutexLock lock(billing_.billing_mu_);
    last = --billing_.open_[cgroup_] == 0;
    if (last) billing_.open_.erase(cgroup_);
  }
  const auto info = billing_.registry_.Info(cgroup_);
  if (last && info && info->auto_remove) (void)billing_.registry_.Remove(cgroup_);
}

Result<CpuTime> Billing::Bill::SoFar() const {
  return TRY(billing_.registry_.CpuTimeOf(cgroup_, /*subtree=*/true)) - before_;
}

Result<std::unique_ptr<Billing::Bill>> Billing::OpenBill(CgroupId cgroup) {
  auto metering = TRY(StartMetering());
  std::unique_ptr<Bill> bill(new Bill(*this, cgroup, std::move(metering)));
  bill->before_ = TRY(bill->SoFar());
  return bill;
}

bool Billing::Holds(CgroupId cgroup) const {
  MutexLock lock(billing_mu_);
  return open_.contains(cgroup);
}

}  // namespace corral
