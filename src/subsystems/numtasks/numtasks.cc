#include "subsystems/numtasks/numtasks.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <utility>

#include "base/check.h"

namespace corral {
namespace {

constexpr std::uint64_t kNoLimit = UINT64_MAX;
constexpr std::uint64_t kMostTasks = 4194304;  // no kernel has more tids

// As the kernel reads its own: a NUL ends it, white space around it is cut off, one sign, 0x.. and
// 0.. as in C.
Result<std::uint64_t> LimitIn(std::string_view bytes) {
  constexpr std::string_view kSpace = " \t\n\v\f\r\xa0";
  std::string_view text = bytes.substr(0, bytes.find('\0'));
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  text.remove_suffix(text.size() - (text.find_last_not_of(kSpace) + 1));
  if (text == "max") return kNoLimit;
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0' && (digits[1] | 0x20) == 'x' &&
      std::isxdigit(static_cast<unsigned char>(digits[2]))) {
    digits.remove_prefix(2);
    base = 16;
  } else if (digits.starts_with('0')) {
    base = 8;
  }
  std::uint64_t number = 0;
  const char* const last = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), last, number, base);
  const std::uint64_t most = static_cast<std::uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (error == std::errc::result_out_of_range || (end == last && number > most)) {
    return Fail(ERANGE, "'{}' is beyond 64 bits", text);
  }
  if (error != std::errc() || end != last || number > kMostTasks || (negative && number != 0)) {
    return Fail(EINVAL, "'{}' is no limit: 0 to {}, or max", text, kMostTasks);
  }
  return number;
}

}  // namespace

// Guarded by mu_.
struct Numtasks::Account final : Css {
  std::uint64_t current = 0;  // with all below; kept only in line
  std::uint64_t peak = 0;
  std::uint64_t max = kNoLimit;
  std::uint64_t failures = 0;

  Account* up() const { return static_cast<Account*>(parent()); }
};

Numtasks::Account& Numtasks::AccountOf(Css& css) { return static_cast<Account&>(css); }

Result<void> Numtasks::Start(Groups& groups) {
  groups_ = &groups;
  return {};
}

std::vector<SubsystemFile> Numtasks::Files() {
  using Where = SubsystemFile::Where;
  const auto number = [this](Result<std::uint64_t> (Numtasks::*get)(Account&)) {
    return [this, get](FileUse& use) { return (this->*get)(AccountOf(*use.css)); };
  };
  std::vector<SubsystemFile> files;
  files.push_back({.name = "current", .number = number(&Numtasks::Current)});
  files.push_back({.name = "peak", .number = number(&Numtasks::Peak)});
  files.push_back(
      {.name = "max",
       .where = Where::kNotTop,
       .read = [this](FileUse& use) { return ReadMax(AccountOf(*use.css)); },
       .write = [this](FileUse& use,
                       std::string_view bytes) { return WriteMax(AccountOf(*use.css), bytes); }});
  files.push_back(
      {.name = "failures", .where = Where::kNotTop, .number = number(&Numtasks::Failures)});
  return files;
}

Result<std::unique_ptr<Css>> Numtasks::Create(const NewCss& of) {
  auto account = std::make_unique<Account>();
  if (of.parent && of.inherits) {
    MutexLock lock(mu_);
    account->max = AccountOf(*of.parent).max;
  }
  return account;
}

// ---- counting in line. No other birth, death or move comes between CanFork() and its Fork(), so
// what is asked needs no reservation; one that is refused by somebody else leaves nothing here.

Result<void> Numtasks::CanFork(Css& css, Tid parent) {
  MutexLock lock(mu_);
  for (Account* at = &AccountOf(css); at; at = at->up()) {
    if (at->current < at->max) continue;
    ++at->failures;
    return Fail(EAGAIN, "task {} may not fork: its cgroup, or one above it, has {} tasks of {}",
                parent.value, at->current, at->max);
  }
  return {};
}

void Numtasks::ChargeLocked(Account& account) {
  for (Account* at = &account; at; at = at->up()) at->peak = std::max(at->peak, ++at->current);
}

void Numtasks::UnchargeLocked(Account& account) {
  for (Account* at = &account; at; at = at->up()) {
    CORRAL_CHECK(at->current != 0);
    --at->current;
  }
}

void Numtasks::Fork(Css& css, Tid /*task*/) {
  MutexLock lock(mu_);
  ChargeLocked(AccountOf(css));
}

void Numtasks::Exit(Css& css, Tid /*task*/) {
  MutexLock lock(mu_);
  UnchargeLocked(AccountOf(css));
}

void Numtasks::Attach(Css& to, Css& from, Tid /*task*/) {
  if (counting_ == Counting::kWhenRead) return;
  MutexLock lock(mu_);
  UnchargeLocked(
      AccountOf(from));  // first, or the peak of what is above both would be one too high
  ChargeLocked(AccountOf(to));
}

// ---- the files

Result<std::uint64_t> Numtasks::Current(Account& account) {
  std::uint64_t most = kNoLimit;
  {
    MutexLock lock(mu_);
    if (counting_ == Counting::kInLine) return account.current;
    for (Account* at = &account; at; at = at->up()) most = std::min(most, at->max);
  }
  const auto counted = groups_->TasksLetIn(account, most);
  if (!counted) return counted;
  MutexLock lock(mu_);
  account.peak = std::max(account.peak, *counted);
  return counted;
}

Result<std::uint64_t> Numtasks::Peak(Account& account) {
  if (auto current = Current(account); !current) return current;
  MutexLock lock(mu_);
  return account.peak;
}

Result<std::string> Numtasks::ReadMax(Account& account) {
  MutexLock lock(mu_);
  return account.max == kNoLimit ? std::string("max\n") : fmt::format("{}\n", account.max);
}

Result<void> Numtasks::WriteMax(Account& account, std::string_view bytes) {
  const auto max = LimitIn(bytes);
  if (!max) return Fail(max.error());
  MutexLock one_writer(write_mu_);  // what is taken back is what was there
  std::uint64_t before = 0;
  {
    MutexLock lock(mu_);
    before = std::exchange(account.max, *max);
  }
  if (counting_ == Counting::kInLine) return {};
  auto done = groups_->TaskLimitsChanged(*this);
  // Where births are not limited, the limit is there to be read (`corral doctor` says so).
  if (done || done.error().code == ENOTSUP) return {};
  MutexLock lock(mu_);
  account.max = before;
  return done;
}

std::optional<std::uint64_t> Numtasks::TaskLimit(const Css& css) const {
  MutexLock lock(mu_);
  const std::uint64_t max = static_cast<const Account&>(css).max;
  return max == kNoLimit ? std::nullopt : std::optional(max);
}

Result<std::uint64_t> Numtasks::Failures(Account& account) {
  if (counting_ == Counting::kWhenRead) return groups_->RefusedBirths(account);
  MutexLock lock(mu_);
  return account.failures;
}

}  // namespace corral
