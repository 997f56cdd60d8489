#include "subsystems/cpuset/cpuset.h"

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "base/errors.h"
#include "base/log.h"
#include "base/number.h"

namespace corral {
namespace {

constexpr std::size_t kMostNodes = 1024;

CpusetCss& Of(Css& css) { return static_cast<CpusetCss&>(css); }
CpusetCss& Of(const FileUse& use) { return Of(*use.css); }

// Those below `top`, parents first.
std::vector<CpusetCss*> Below(const CpusetCss& top) {
  std::vector<CpusetCss*> all(top.children.begin(), top.children.end());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& more = all[i]->children;
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace

Cpuset::Cpuset(std::shared_ptr<CpuHost> host, std::chrono::milliseconds again)
    : host_(std::move(host)), again_(again) {}

Result<void> Cpuset::Start(Groups& groups) {
  groups_ = &groups;
  ticker_.Start([this]() -> std::optional<std::chrono::milliseconds> {
    Migrate();
    LookAgain();
    MutexLock lock(mu_);
    if (root_->children.empty()) return std::nullopt;
    return again_;
  });
  return {};
}

void Cpuset::Stop() {
  ticker_.Stop();
  const IdSet online = host_->OnlineCpus();
  const auto hold = groups_->HoldTree();
  std::vector<CpusetCss*> all;
  {
    MutexLock lock(mu_);
    all = Below(*root_);
  }
  for (const CpusetCss* css : all) {
    for (const Tid task : hold->Tasks(*css)) Place(task, online, /*exactly=*/true);
  }
}

// ---- the life of a css

Result<std::unique_ptr<Css>> Cpuset::Create(const NewCss& of) {
  auto css = std::make_unique<CpusetCss>();
  MutexLock lock(mu_);
  if (!of.parent) {
    css->settings = {.cpu_exclusive = true, .mem_exclusive = true};
    root_ = css.get();
    return css;
  }
  css->up = &Of(*of.parent);
  if (of.inherits) TakeFromParent(*css);
  css->up->children.insert(css.get());
  if (root_->children.size() == 1) ticker_.Kick();  // there is something to look at from now on
  return css;
}

// The CPUs and nodes that a new cgroup starts with: its parent's; none beside an exclusive sibling.
void Cpuset::TakeFromParent(CpusetCss& css) {
  if (css.up->exclusive_children != 0) return;
  css.settings.cpus = css.up->up ? css.up->settings.cpus : host_->OnlineCpus();
  css.settings.mems = css.up->up ? css.up->settings.mems : host_->OnlineNodes();
}

void Cpuset::Destroy(Css& gone) {
  MutexLock lock(mu_);
  CpusetCss& css = Of(gone);
  SetCpuset(css, {});
  css.up->children.erase(&css);
}

void Cpuset::PostClone(Css& css) {
  MutexLock lock(mu_);
  TakeFromParent(Of(css));
}

// ---- moves

Result<void> Cpuset::CanAttach(Css& to, Css& /*from*/, Tid task) {
  if (to.is_root()) return {};
  {
    MutexLock lock(mu_);
    const CpusetSettings& settings = Of(to).settings;
    if (settings.cpus.empty() || settings.mems.empty()) {
      return Fail(ENOSPC, "the group has no {}: set cpuset.cpus and cpuset.mems first",
                  settings.cpus.empty() ? "CPUs" : "memory nodes");
    }
  }
  if (host_->HasFixedAffinity(task)) {
    return Fail(EINVAL, "task {} is a kernel thread that is bound to its CPUs", task.value);
  }
  return {};
}

// Between cgroups with the same CPUs, what a task chose among them stays.
void Cpuset::Attach(Css& to, Css& from, Tid task) {
  const IdSet online = host_->OnlineCpus();
  const IdSet online_nodes = host_->OnlineNodes();
  MutexLock lock(mu_);
  const IdSet cpus = CpusOf(Of(to), online);
  Place(task, cpus, /*exactly=*/cpus != CpusOf(Of(from), online));
  const IdSet old_nodes = from.is_root() ? online_nodes : Of(from).settings.mems & online_nodes;
  const IdSet nodes = Of(to).settings.mems & online_nodes;
  if (to.is_root() || !Of(to).settings.memory_migrate || nodes == old_nodes) return;
  migrations_.push_back({to.shared_from_this(), task, old_nodes, nodes});
  ticker_.Kick();
}

// ---- placing

// Whether that changed where the task runs. `exactly`: on all of these; else it may choose among
// them. A task may have ended, and the real cpuset it is in may leave it less.
bool Cpuset::Place(Tid task, const IdSet& cpus, bool exactly) {
  const auto before = host_->Affinity(task);
  if (!before || (exactly ? *before == cpus : IsSubset(*before, cpus))) return false;
  if (auto set = host_->SetAffinity(task, cpus); !set) {
    log::Debug("cpuset: {}", set.error().message);
    return false;
  }
  const auto after = host_->Affinity(task);
  return after && *after != *before;
}

// One look at each task of the cgroup, with the tree held: none of them is another cgroup's.
// Whether any had to be placed. `placed`: those that had their turn; from then on they may choose.
// Null: nobody gets one.
bool Cpuset::Pass(const CpusetCss& css, Seen* placed) {
  const IdSet online = host_->OnlineCpus();
  const auto hold = groups_->HoldTree();
  if (css.removed()) return false;
  const std::vector<Tid> tasks = hold->Tasks(css);
  MutexLock lock(mu_);
  const IdSet cpus = CpusOf(css, online);
  bool changed = false;
  for (const Tid task : tasks) {
    const bool exactly = placed && placed->insert(task).second;
    changed |= Place(task, cpus, exactly);
  }
  return changed;
}

// Passes until two in a row find nobody to be placed: who is born meanwhile has the CPUs its maker
// had when the birth began, and is listed when it is over. The pause between them is longer than
// that takes. Who keeps going elsewhere by itself is left to LookAgain().
void Cpuset::ApplyCpus(const CpusetCss& css) {
  constexpr int kMostPasses = 200;
  constexpr auto kPause = std::chrono::milliseconds(2);
  Seen placed;
  int clean = 0;
  for (int pass = 0; pass < kMostPasses; ++pass) {
    clean = Pass(css, &placed) ? 0 : clean + 1;
    if (clean == 2) return;
    if (clean == 1) std::this_thread::sleep_for(kPause);
  }
  log::Warn("cpuset: {}: some tasks do not stay on their CPUs", groups_->PathOf(css));
}

void Cpuset::ApplyMems(CpusetCss& css, const IdSet& before) {
  const IdSet online = host_->OnlineNodes();
  const std::vector<Tid> tasks = groups_->Tasks(css);
  {
    MutexLock lock(mu_);
    const IdSet nodes = css.settings.mems & online;
    if (!css.settings.memory_migrate || nodes == (before & online)) return;
    for (const Tid task : tasks) {
      migrations_.push_back({css.shared_from_this(), task, before & online, nodes});
    }
  }
  Migrate();
}

void Cpuset::Migrate() {
  std::vector<Migration> due;
  {
    MutexLock lock(mu_);
    due = std::exchange(migrations_, {});
  }
  const Css* listed = nullptr;
  std::vector<Tid> tasks;
  for (const Migration& one : due) {
    if (listed != one.css.get()) tasks = groups_->Tasks(*one.css);
    listed = one.css.get();
    if (!std::ranges::binary_search(tasks, one.task)) continue;  // it ended or went on
    const auto moved = host_->MigrateMemory(one.task, one.from, one.to);
    if (!moved && moved.error().code != ESRCH) log::Warn("cpuset: {}", moved.error().message);
  }
}

// Who left the CPUs of its cgroup by itself is put back on them.
void Cpuset::LookAgain() {
  MutexLock writing(write_mu_);
  std::vector<std::shared_ptr<Css>> narrow;
  const IdSet online = host_->OnlineCpus();
  {
    const auto hold = groups_->HoldTree();
    MutexLock lock(mu_);
    for (CpusetCss* css : Below(*root_)) {
      if (CpusOf(*css, online) != online) narrow.push_back(css->shared_from_this());
    }
  }
  for (const auto& css : narrow) Pass(Of(*css), nullptr);
}

// ---- files

std::vector<SubsystemFile> Cpuset::Files() {
  return {ListFile("cpus", &CpusetSettings::cpus), ListFile("mems", &CpusetSettings::mems),
          FlagFile("cpu_exclusive", &CpusetSettings::cpu_exclusive),
          FlagFile("mem_exclusive", &CpusetSettings::mem_exclusive),
          FlagFile("memory_migrate", &CpusetSettings::memory_migrate)};
}

SubsystemFile Cpuset::ListFile(std::string name, IdSet CpusetSettings::*list) {
  return {.name = std::move(name),
          .read = [this, list](FileUse& use) -> Result<std::string> {
            return ReadList(Of(use), list) + "\n";
          },
          .write = [this, list](FileUse& use,
                                std::string_view text) { return WriteList(Of(use), list, text); }};
}

std::string Cpuset::ReadList(const CpusetCss& css, IdSet CpusetSettings::*list) {
  if (css.is_root()) {
    return FormatIdList(list == &CpusetSettings::cpus ? host_->OnlineCpus() : host_->OnlineNodes());
  }
  MutexLock lock(mu_);
  return FormatIdList(css.settings.*list);
}

Result<void> Cpuset::WriteList(CpusetCss& css, IdSet CpusetSettings::*list, std::string_view text) {
  const bool cpus = list == &CpusetSettings::cpus;
  if (css.is_root()) return Fail(EACCES, "the root's are those that are online");
  const auto wanted = TRY(ParseIdList(text, cpus ? host_->CpuNumbers() : kMostNodes));
  const IdSet online = cpus ? host_->OnlineCpus() : host_->OnlineNodes();
  if (!IsSubset(wanted, online)) {
    return Fail(EINVAL, "not online: {}", FormatIdList(wanted - online));
  }
  MutexLock writing(write_mu_);
  const auto before = TRY(Change(css, [&](CpusetSettings& settings) { settings.*list = wanted; }));
  if (before.*list == wanted) return {};
  if (cpus) {
    ApplyCpus(css);
  } else {
    ApplyMems(css, before.mems);
  }
  return {};
}

SubsystemFile Cpuset::FlagFile(std::string name, bool CpusetSettings::*flag) {
  return {.name = std::move(name),
          .number = [this, flag](FileUse& use) -> Result<std::uint64_t> {
            MutexLock lock(mu_);
            return Of(use).settings.*flag ? 1 : 0;
          },
          .write = [this, flag](FileUse& use, std::string_view text) -> Result<void> {
            const bool wanted = TRY(ParseUnsigned(UpToNul(text))) != 0;
            MutexLock writing(write_mu_);
            TRY(Change(Of(use), [&](CpusetSettings& settings) { settings.*flag = wanted; }));
            return {};
          }};
}

// With the tree held: a task that comes meanwhile is in before the check or is asked after it.
Result<CpusetSettings> Cpuset::Change(CpusetCss& css,
                                      const std::function<void(CpusetSettings&)>& change) {
  const auto hold = groups_->HoldTree();
  if (css.removed()) return Fail(ENODEV, "its group is gone");
  const bool has_tasks = !css.is_root() && !hold->Tasks(css).empty();
  MutexLock lock(mu_);
  CpusetSettings wanted = css.settings;
  change(wanted);
  TRY(CheckCpuset(css, wanted, has_tasks));
  CpusetSettings before = css.settings;
  if (css.up) {
    SetCpuset(css, wanted);
  } else {
    css.settings = wanted;
  }
  return before;
}

std::shared_ptr<Subsystem> MakeCpuset() { return std::make_shared<Cpuset>(LinuxCpuHost()); }

}  // namespace corral
