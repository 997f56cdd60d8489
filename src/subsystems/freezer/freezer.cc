#include "subsystems/freezer/freezer.h"

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/number.h"

namespace corral {

// Guarded by mu_.
struct Freezer::FreezerCss final : Css {
  bool freezing() const { return self || above; }

  FreezerCss* up = nullptr;  // null: the root's
  std::set<FreezerCss*> children;
  bool self = false;    // frozen by its own file
  bool above = false;   // one above it is
  bool stopped = true;  // a pass saw every member stopped, and nobody came since
};

Freezer::Freezer(std::shared_ptr<StopHost> host, std::chrono::milliseconds again)
    : host_(std::move(host)), again_(again) {}

Result<void> Freezer::Start(Groups& groups) {
  groups_ = &groups;
  ticker_.Start([this] { return LookAgain(); });
  return {};
}

// More and more seldom while there is nobody new to be stopped: one that does not stop may never.
std::optional<std::chrono::milliseconds> Freezer::LookAgain() {
  constexpr auto kSoon = std::chrono::milliseconds(1);
  const bool all_stopped = Settle({});
  MutexLock passing(pass_mu_);
  pause_ =
      all_stopped || std::exchange(stopped_more_, false) ? kSoon : std::min(2 * pause_, again_);
  if (Freezing().empty()) return std::nullopt;
  return all_stopped ? again_ : pause_;
}

void Freezer::Stop() {
  ticker_.Stop();
  MutexLock passing(pass_mu_);
  ContinueOthers({});
}

// ---- the life of a css, and moves

Result<std::unique_ptr<Css>> Freezer::Create(const NewCss& of) {
  auto css = std::make_unique<FreezerCss>();
  MutexLock lock(mu_);
  if (!of.parent) {
    root_ = css.get();
    return css;
  }
  css->up = static_cast<FreezerCss*>(of.parent.get());
  css->above = css->up->freezing();
  css->up->children.insert(css.get());
  return css;
}

void Freezer::Destroy(Css& gone) {
  MutexLock lock(mu_);
  auto& css = static_cast<FreezerCss&>(gone);
  css.up->children.erase(&css);
}

void Freezer::Attach(Css& to, Css& from, Tid /*task*/) {
  MutexLock lock(mu_);
  auto& target = static_cast<FreezerCss&>(to);
  if (target.freezing()) target.stopped = false;
  if (target.freezing() || static_cast<FreezerCss&>(from).freezing()) ticker_.Kick();
}

std::vector<Freezer::FreezerCss*> Freezer::Freezing() {
  MutexLock lock(mu_);
  std::vector<FreezerCss*> all{root_}, freezing;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (FreezerCss* child : all[i]->children) {
      all.push_back(child);
      if (child->freezing()) freezing.push_back(child);
    }
  }
  return freezing;
}

void Freezer::InheritLocked(FreezerCss& top) {
  std::vector<FreezerCss*> todo{&top};
  for (std::size_t i = 0; i < todo.size(); ++i) {
    for (FreezerCss* child : todo[i]->children) {
      const bool was = child->freezing();
      child->above = todo[i]->freezing();
      if (child->freezing() && !was) child->stopped = false;
      todo.push_back(child);
    }
  }
}

// ---- files

std::vector<SubsystemFile> Freezer::Files() {
  const auto flag = [this](std::string name, bool FreezerCss::*which) {
    return SubsystemFile{.name = std::move(name),
                         .where = SubsystemFile::Where::kNotTop,
                         .number = [this, which](FileUse& use) -> Result<std::uint64_t> {
                           MutexLock lock(mu_);
                           return static_cast<FreezerCss&>(*use.css).*which ? 1 : 0;
                         }};
  };
  return {{.name = "state",
           .where = SubsystemFile::Where::kNotTop,
           .read = [this](FileUse& use) -> Result<std::string> {
             return ReadState(static_cast<FreezerCss&>(*use.css));
           },
           .write =
               [this](FileUse& use, std::string_view text) {
                 return WriteState(static_cast<FreezerCss&>(*use.css), text);
               }},
          flag("self_freezing", &FreezerCss::self),
          flag("parent_freezing", &FreezerCss::above)};
}

// Looks at everybody first: somebody may have continued them.
std::string Freezer::ReadState(FreezerCss& css) {
  {
    MutexLock lock(mu_);
    if (!css.freezing()) return "THAWED\n";
  }
  (void)Settle({});
  MutexLock lock(mu_);
  if (!css.freezing()) return "THAWED\n";
  std::vector<const FreezerCss*> todo{&css};
  for (std::size_t i = 0; i < todo.size(); ++i) {
    if (!todo[i]->stopped) return "FREEZING\n";
    todo.insert(todo.end(), todo[i]->children.begin(), todo[i]->children.end());
  }
  return "FROZEN\n";
}

Result<void> Freezer::WriteState(FreezerCss& css, std::string_view text) {
  text = Trim(UpToNul(text));
  if (text != "FROZEN" && text != "THAWED") {
    return Fail(EINVAL, "'{}' is no state to be written: FROZEN or THAWED", text);
  }
  {
    const auto hold = groups_->HoldTree();
    if (css.removed()) return Fail(ENODEV, "its group is gone");
    MutexLock lock(mu_);
    const bool was = css.freezing();
    css.self = text == "FROZEN";
    if (css.freezing() && !was) css.stopped = false;
    InheritLocked(css);
  }
  // Mostly it is done when the write returns. A member that writes itself stops after it.
  constexpr auto kMost = std::chrono::milliseconds(100);
  (void)Settle(kMost);
  ticker_.Kick();
  return {};
}

// ---- passes

// Passes until everybody is stopped who should be; at least one, for as long as given. Whether.
bool Freezer::Settle(std::chrono::milliseconds most) {
  constexpr auto kPause = std::chrono::milliseconds(1);
  MutexLock passing(pass_mu_);
  const auto end = std::chrono::steady_clock::now() + most;
  for (;;) {
    // Newcomers first: one who forks is overtaken when a pass costs less than its forks.
    if (Pass(How::kNewcomers) && Pass(How::kEverybody)) return true;
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(kPause);
  }
}

// Whether every member was seen stopped. That is all members: whoever was listed before the looks
// is stopped and forks nobody since, whoever was born before is listed after them, with the tree
// held, so that nobody comes from elsewhere. A member that is inside fork is not stopped yet.
bool Freezer::Pass(How how) {
  bool all_stopped = false;
  std::set<Tgid> running = LookAtMembers(how);
  for (;;) {
    const Handles handles = OpenSome(running);
    std::set<Tgid> wanted;
    all_stopped = StopMembers(handles, how, &wanted);
    ContinueOthers(wanted);
    if (handles.empty()) return all_stopped;
    for (const auto& [process, handle] : handles) running.erase(process);
    if (running.empty()) return false;
  }
}

// Fills looks_; the processes of members that run.
std::set<Tgid> Freezer::LookAtMembers(How how) {
  std::vector<std::shared_ptr<Css>> cgroups;
  {
    const auto hold = groups_->HoldTree();
    for (FreezerCss* css : Freezing()) cgroups.push_back(css->shared_from_this());
  }
  Looks looks;
  std::set<Tgid> running;
  for (const auto& css : cgroups) {
    for (const Tid task : groups_->Tasks(*css)) {
      const auto known = looks_.find(task);
      if (how == How::kNewcomers && known != looks_.end() && known->second.stopped) {
        looks.insert(*known);
        continue;
      }
      const auto look = host_->LookAt(task);
      if (!look) continue;
      looks[task] = *look;
      if (!look->stopped) running.insert(look->process);
    }
  }
  looks_ = std::move(looks);
  running.erase(host_->OwnProcess());  // who would continue it?
  return running;
}

// Each costs a descriptor: so many at a time.
Freezer::Handles Freezer::OpenSome(const std::set<Tgid>& running) {
  constexpr std::size_t kBatch = 512;
  Handles handles;
  for (const Tgid process : running) {
    if (handles.size() == kBatch) break;
    auto handle = host_->Open(process);
    if (handle) {
      handles.emplace(process, std::move(*handle));
    } else if (handle.error().code != ESRCH) {
      log::Warn("freezer: {}", handle.error().message);
      break;
    }
  }
  return handles;
}

// With the tree held: who is a member now, and was before its handle was opened, is the one we
// hold, or ours is dead and the signal reaches nobody. Whether all members are known as stopped;
// `wanted`: their processes.
bool Freezer::StopMembers(const Handles& handles, How how, std::set<Tgid>* wanted) {
  bool all_stopped = true;
  std::set<Tgid> running;
  std::vector<Tid> unknown;
  const auto hold = groups_->HoldTree();
  for (FreezerCss* css : Freezing()) {
    bool stopped = true;
    for (const Tid task : hold->Tasks(*css)) {
      const auto look = looks_.find(task);
      if (look == looks_.end()) {
        unknown.push_back(task);
        stopped = false;
        continue;
      }
      wanted->insert(look->second.process);
      if (look->second.stopped) continue;
      running.insert(look->second.process);
      stopped = false;
    }
    all_stopped = all_stopped && stopped;
    MutexLock lock(mu_);
    if (how == How::kEverybody || !stopped) css->stopped = stopped;
  }
  for (const auto& [process, handle] : handles) {
    if (!running.contains(process) || !handle->Stop()) continue;
    std::uint64_t& started = stopped_[process];
    stopped_more_ |= started != handle->started();
    started = handle->started();
  }
  // One that we stopped and that seems to be wanted no more may have come since the looks.
  const bool all_wanted =
      std::ranges::all_of(stopped_, [&](const auto& one) { return wanted->contains(one.first); });
  if (all_wanted) return all_stopped;
  for (const Tid task : unknown) {
    if (const auto look = host_->LookAt(task)) wanted->insert(look->process);
  }
  return all_stopped;
}

void Freezer::ContinueOthers(const std::set<Tgid>& wanted) {
  for (auto at = stopped_.begin(); at != stopped_.end();) {
    if (wanted.contains(at->first)) {
      ++at;
      continue;
    }
    Continue(at->first, at->second);
    at = stopped_.erase(at);
  }
}

void Freezer::Continue(Tgid process, std::uint64_t started) {
  auto handle = host_->Open(process);
  if (handle && (*handle)->started() == started) {
    if (auto done = (*handle)->Continue(); done || done.error().code == ESRCH) return;
  } else if (handle || handle.error().code == ESRCH) {
    return;  // it has ended
  }
  log::Error("freezer: process {} stays stopped: kill -CONT {}", process.value, process.value);
}

std::shared_ptr<Subsystem> MakeFreezer() { return std::make_shared<Freezer>(LinuxStopHost()); }

}  // namespace corral
