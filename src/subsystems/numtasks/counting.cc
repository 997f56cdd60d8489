#include "subsystems/numtasks/counting.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace corral {

// Guarded by mu_.
struct CountingNumtasks::Account final : Css {
  std::uint64_t current = 0;  // with all below
  std::uint64_t peak = 0;
  std::uint64_t max = kNoTaskLimit;
  std::uint64_t failures = 0;

  Account* up() const { return static_cast<Account*>(parent()); }
};

CountingNumtasks::Account& CountingNumtasks::AccountOf(Css& css) {
  return static_cast<Account&>(css);
}

Result<std::unique_ptr<Css>> CountingNumtasks::Create(const NewCss& of) {
  auto account = std::make_unique<Account>();
  if (of.parent && of.inherits) {
    MutexLock lock(mu_);
    account->max = AccountOf(*of.parent).max;
  }
  return account;
}

// ---- births, deaths, moves. No other comes between CanFork() and its Fork(), so what is asked
// needs no reservation; one that is refused by somebody else leaves nothing here.

Result<void> CountingNumtasks::CanFork(Css& css, Tid parent) {
  MutexLock lock(mu_);
  for (Account* at = &AccountOf(css); at; at = at->up()) {
    if (at->current < at->max) continue;
    ++at->failures;
    return Fail(EAGAIN, "task {} may not fork: its group, or one above it, has {} tasks of {}",
                parent.value, at->current, at->max);
  }
  return {};
}

void CountingNumtasks::ChargeLocked(Account& account) {
  for (Account* at = &account; at; at = at->up()) at->peak = std::max(at->peak, ++at->current);
}

void CountingNumtasks::UnchargeLocked(Account& account) {
  for (Account* at = &account; at; at = at->up()) {
    CORRAL_CHECK(at->current != 0);
    --at->current;
  }
}

void CountingNumtasks::Fork(Css& css, Tid /*task*/) {
  MutexLock lock(mu_);
  ChargeLocked(AccountOf(css));
}

void CountingNumtasks::Exit(Css& css, Tid /*task*/) {
  MutexLock lock(mu_);
  UnchargeLocked(AccountOf(css));
}

// `from` first, or the peak of what is above both would be one too high.
void CountingNumtasks::Attach(Css& to, Css& from, Tid /*task*/) {
  MutexLock lock(mu_);
  UnchargeLocked(AccountOf(from));
  ChargeLocked(AccountOf(to));
}

// ---- the files

Result<std::uint64_t> CountingNumtasks::Current(Css& css) {
  MutexLock lock(mu_);
  return AccountOf(css).current;
}

Result<std::uint64_t> CountingNumtasks::Peak(Css& css) {
  MutexLock lock(mu_);
  return AccountOf(css).peak;
}

Result<std::uint64_t> CountingNumtasks::Failures(Css& css) {
  MutexLock lock(mu_);
  return AccountOf(css).failures;
}

std::uint64_t CountingNumtasks::Max(const Css& css) const {
  MutexLock lock(mu_);
  return static_cast<const Account&>(css).max;
}

Result<void> CountingNumtasks::SetMax(Css& css, std::uint64_t max) {
  MutexLock lock(mu_);
  AccountOf(css).max = max;
  return {};
}

}  // namespace corral
