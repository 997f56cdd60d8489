// CountingNumtasks: numtasks for a tracker that asks and tells of births and deaths in line
// (inproc). It keeps the counts itself, and refuses the birth that would exceed a limit.
//
// Threads: as subsystem.h says. One lock for all counts and limits, a leaf.
#ifndef CORRAL_SUBSYSTEMS_NUMTASKS_COUNTING_H_
#define CORRAL_SUBSYSTEMS_NUMTASKS_COUNTING_H_

#include "base/mutex.h"
#include "subsystems/numtasks/numtasks.h"

namespace corral {

class CountingNumtasks final : public Numtasks {
 public:
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override;
  void Attach(Css& to, Css& from, Tid task) override;
  bool WantsForks() const override { return true; }
  Result<void> CanFork(Css& css, Tid parent) override;
  void Fork(Css& css, Tid task) override;
  void Exit(Css& css, Tid task) override;

 private:
  struct Account;
  static Account& AccountOf(Css& css);

  Result<std::uint64_t> Current(Css& css) override;
  Result<std::uint64_t> Peak(Css& css) override;
  Result<std::uint64_t> Failures(Css& css) override;
  std::uint64_t Max(const Css& css) const override;
  Result<void> SetMax(Css& css, std::uint64_t max) override;

  void ChargeLocked(Account& account) REQUIRES(mu_);
  void UnchargeLocked(Account& account) REQUIRES(mu_);

  mutable Mutex mu_;
};

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_NUMTASKS_COUNTING_H_
