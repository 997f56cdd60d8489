#include "subsystems/numtasks/numtasks.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/check.h"

namespace corral {
namespace {

constexpr std::uint64_t kNoLimit = UINT64_MAX;
constexpr std::uint64_t kMostTasks = 4194304;  // no kernel has more tids

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
  const auto number = [this](std::uint64_t (Numtasks::*get)(Account&)) {
    return [this, get](FileUse& use) -> Result<std::uint64_t> {
      return (this->*get)(AccountOf(*use.css));
    };
  };
  std::vector<SubsystemFile> files;
  files.push_back({.name = "current", .number = number(&Numtasks::Current)});
  files.push_back({.name = "peak", .number = number(&Numtasks::Peak)});
  files.push_back({.name = "max",
                   .where = Where::kNotTop,
                   .read = [this](FileUse& use) { return ReadMax(AccountOf(*use.css)); },
                   .write = [this](FileUse& use, std::string_view bytes) {
                     return WriteMax(AccountOf(*use.css), bytes);
                   }});
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
  UnchargeLocked(AccountOf(from));  // first, or the peak of what is above both would be one too high
  ChargeLocked(AccountOf(to));
}

// ---- the files

std::uint64_t Numtasks::Current(Account& account) {
  const bool in_line = counting_ == Counting::kInLine;
  const std::uint64_t counted = in_line ? 0 : groups_->SubtreeTasks(account).size();
  MutexLock lock(mu_);
  if (in_line) return account.current;
  account.peak = std::max(account.peak, counted);
  return counted;
}

std::uint64_t Numtasks::Peak(Account& account) {
  (void)Current(account);
  MutexLock lock(mu_);
  return account.peak;
}

Result<std::string> Numtasks::ReadMax(Account& account) {
  MutexLock lock(mu_);
  return account.max == kNoLimit ? std::string("max\n") : fmt::format("{}\n", account.max);
}

Result<void> Numtasks::WriteMax(Account& account, std::string_view bytes) {
  const std::size_t begin = std::min(bytes.find_first_not_of(" \t\n"), bytes.size());
  const std::string_view text =
      bytes.substr(begin, bytes.find_last_not_of(" \t\n") + 1 - begin);
  std::uint64_t max = kNoLimit;
  if (text != "max") {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), max);
    if (error != std::errc() || end != text.data() + text.size() || max > kMostTasks) {
      return Fail(EINVAL, "'{}' is no limit: 0 to {}, or max", text, kMostTasks);
    }
  }
  MutexLock lock(mu_);
  account.max = max;
  return {};
}

std::uint64_t Numtasks::Failures(Account& account) {
  MutexLock lock(mu_);
  return account.failures;
}

}  // namespace corral
