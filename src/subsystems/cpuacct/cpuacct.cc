#include "subsystems/cpuacct/cpuacct.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "base/log.h"
#include "base/number.h"

namespace corral {
namespace {

constexpr std::chrono::milliseconds kSamplePause = std::chrono::seconds(1);

std::uint64_t NowNs() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

std::uint64_t InTicks(std::uint64_t ns) {
  static const auto ticks_per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return ns / (1'000'000'000 / ticks_per_second);
}

}  // namespace

void LoadWindow::Add(std::uint64_t now, std::uint64_t ran) {
  if (!samples_.empty() && now <= samples_.back().at) return;
  samples_.push_back({now, ran});
  while (samples_.size() > 2 && now - samples_[1].at >= kLength) samples_.pop_front();
}

std::uint64_t LoadWindow::Percent() const {
  if (samples_.size() < 2) return 0;
  const Sample& first = samples_.front();
  const Sample& last = samples_.back();
  const std::uint64_t time = last.at - first.at;
  if (time == 0 || last.ran < first.ran) return 0;  // it was counted anew meanwhile
  return ((last.ran - first.ran) * 100 + time / 2) / time;
}

struct CpuAcct::Account final : Css {
  Mutex account_mu_;
  CpuTime own_before GUARDED_BY(account_mu_);  // the last reset
  CpuTime subtree_before GUARDED_BY(account_mu_);
  LoadWindow load GUARDED_BY(account_mu_);

  static Account& Of(Css& css) { return static_cast<Account&>(css); }
};

Result<void> CpuAcct::Start(Groups& groups) {
  groups_ = &groups;
  sampler_.Start([this]() -> std::optional<std::chrono::milliseconds> {
    TakeSample(NowNs());
    MutexLock lock(cpu_mu_);
    return metering_ ? std::optional(kSamplePause) : std::nullopt;
  });
  return {};
}

void CpuAcct::Stop() {
  sampler_.Stop();
  MutexLock lock(cpu_mu_);
  if (std::exchange(metering_, false)) meter_.Stop();
}

Result<std::unique_ptr<Css>> CpuAcct::Create(const NewCss&) { return std::make_unique<Account>(); }

void CpuAcct::Bind(Css& root, HierarchyId hierarchy) {
  Account& account = Account::Of(root);
  {
    MutexLock lock(account.account_mu_);
    account.own_before = account.subtree_before = {};  // the hierarchy's own sums begin now
    account.load = {};
  }
  const bool bound = hierarchy.value != 0;
  MutexLock lock(cpu_mu_);
  root_ = bound ? root.weak_from_this() : std::weak_ptr<Css>();
  if (bound && !metering_) {
    const auto started = meter_.Start();
    metering_ = started.has_value();
    off_ = started ? std::nullopt : std::optional(started.error());
    if (!started) log::Error("cpuacct counts nothing: {}", started.error().message);
  } else if (!bound && std::exchange(metering_, false)) {
    meter_.Stop();
  }
  sampler_.Kick();
}

// ---- files

Result<CpuTime> CpuAcct::TimeOf(const FileUse& use, bool subtree) const {
  {
    MutexLock lock(cpu_mu_);
    if (off_) return Fail(*off_);
  }
  const CpuTime time = TRY(groups_->CpuTimeOf(*use.css, subtree));
  Account& account = Account::Of(*use.css);
  MutexLock lock(account.account_mu_);
  return time - (subtree ? account.subtree_before : account.own_before);
}

Result<void> CpuAcct::Reset(const FileUse& use, std::string_view bytes) const {
  const std::string_view word = Trim(bytes);
  if (word != "0") {
    return Fail(EINVAL, "'{}': only 0 can be written to cpuacct.usage, to count anew", word);
  }
  const CpuTime own = TRY(groups_->CpuTimeOf(*use.css, false));
  const CpuTime subtree = TRY(groups_->CpuTimeOf(*use.css, true));
  Account& account = Account::Of(*use.css);
  MutexLock lock(account.account_mu_);
  account.own_before = own;
  account.subtree_before = subtree;
  return {};
}

std::vector<SubsystemFile> CpuAcct::Files() {
  const auto number = [this](std::string name, std::uint64_t CpuTime::*part, bool subtree) {
    return SubsystemFile{.name = std::move(name),
                         .number = [this, part, subtree](FileUse& use) -> Result<std::uint64_t> {
                           auto time = TRY(TimeOf(use, subtree));
                           return time.*part;
                         }};
  };
  std::vector<SubsystemFile> files;
  files.push_back(number("usage", &CpuTime::total, false));
  files.back().write = [this](FileUse& use, std::string_view bytes) { return Reset(use, bytes); };
  files.push_back(number("usage_user", &CpuTime::user, false));
  files.push_back(number("usage_sys", &CpuTime::system, false));
  files.push_back(number("usage_subtree", &CpuTime::total, true));
  files.push_back({.name = "stat", .read = [this](FileUse& use) -> Result<std::string> {
                     auto time = TRY(TimeOf(use, false));
                     return fmt::format("user {}\nsystem {}\n", InTicks(time.user),
                                        InTicks(time.system));
                   }});
  files.push_back({.name = "load", .number = [](FileUse& use) -> Result<std::uint64_t> {
                     Account& account = Account::Of(*use.css);
                     MutexLock lock(account.account_mu_);
                     return account.load.Percent();
                   }});
  return files;
}

// ---- load

void CpuAcct::TakeSample(std::uint64_t now) {
  std::shared_ptr<Css> root;
  {
    MutexLock lock(cpu_mu_);
    root = root_.lock();
  }
  if (!root) return;
  const auto times = groups_->CpuTimes(*root);
  if (!times) return;  // unbound meanwhile
  std::vector<std::shared_ptr<Css>> todo{root};
  const auto hold = groups_->HoldTree();
  for (std::size_t i = 0; i < todo.size(); ++i) {
    for (auto& child : hold->Children(*todo[i])) todo.push_back(std::move(child));
    const auto time = times->find(todo[i]->cgroup());
    if (time == times->end()) continue;  // made since
    Account& account = Account::Of(*todo[i]);
    MutexLock lock(account.account_mu_);
    account.load.Add(now, time->second.total);
  }
}

}  // namespace corral
