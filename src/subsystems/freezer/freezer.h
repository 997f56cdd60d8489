// Freezer: stops the processes of a cgroup and everything below it, and lets them go on. What the
// files mean, what holds and what does not: README.md beside this.
//
// What should be stopped follows from the tree: the processes of all cgroups that are frozen
// themselves or below such a one. A pass compares that with what is, stops who is missing and
// continues whom the freezer itself had stopped and nobody wants stopped any more. Passes go on, in
// the write that froze and then in a thread, until one finds every member stopped.
//
// Locks: pass_mu_ is taken by handlers and the ticker only, and held while Groups is asked. mu_ is
// a leaf under the tree; what it guards changes with the tree held as well.
#ifndef CORRAL_SUBSYSTEMS_FREEZER_FREEZER_H_
#define CORRAL_SUBSYSTEMS_FREEZER_FREEZER_H_

#include <corral/subsystem.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "subsystems/real_tasks.h"
#include "subsystems/ticker.h"

namespace corral {

class Freezer final : public Subsystem {
 public:
  // `again`: how often frozen cgroups are looked at again, for those somebody continued.
  explicit Freezer(std::shared_ptr<StopHost> host,
                   std::chrono::milliseconds again = std::chrono::seconds(1));

  std::string_view name() const override { return "freezer"; }
  Result<void> Start(Groups& groups) override;
  void Stop() override;  // all that it stopped go on
  std::vector<SubsystemFile> Files() override;
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override;
  void Destroy(Css& css) override;
  void Attach(Css& to, Css& from, Tid task) override;

 private:
  struct FreezerCss;
  // What the last pass that looked at everybody knows of tasks, and what was seen since.
  using Looks = std::unordered_map<Tid, StopHost::Look>;
  using Handles = std::map<Tgid, std::unique_ptr<StopHost::Process>>;
  enum class How {
    kNewcomers,  // whom a pass saw stopped is; fast enough to overtake a fork storm
    kEverybody,  // nobody's word is taken
  };

  Result<void> WriteState(FreezerCss& css, std::string_view text);
  std::string ReadState(FreezerCss& css);
  void InheritLocked(FreezerCss& top) REQUIRES(mu_);
  std::vector<FreezerCss*> Freezing() EXCLUDES(mu_);  // with the tree held they stay what they are

  std::optional<std::chrono::milliseconds> LookAgain();
  bool Settle(std::chrono::milliseconds most) EXCLUDES(pass_mu_);
  bool Pass(How how) REQUIRES(pass_mu_);
  std::set<Tgid> LookAtMembers(How how) REQUIRES(pass_mu_);
  Handles OpenSome(const std::set<Tgid>& running) REQUIRES(pass_mu_);
  bool StopMembers(const Handles& handles, How how, std::set<Tgid>* wanted) REQUIRES(pass_mu_);
  void ContinueOthers(const std::set<Tgid>& wanted) REQUIRES(pass_mu_);
  void Continue(Tgid process, std::uint64_t started) REQUIRES(pass_mu_);

  const std::shared_ptr<StopHost> host_;
  const std::chrono::milliseconds again_;
  Groups* groups_ = nullptr;
  Mutex pass_mu_;  // before the tree
  Looks looks_ GUARDED_BY(pass_mu_);
  std::map<Tgid, std::uint64_t> stopped_ GUARDED_BY(pass_mu_);  // by us, and when they started
  bool stopped_more_ GUARDED_BY(pass_mu_) = false;
  std::chrono::milliseconds pause_ GUARDED_BY(pass_mu_) = std::chrono::milliseconds(1);
  Mutex mu_;  // after the tree
  FreezerCss* root_ GUARDED_BY(mu_) = nullptr;
  Ticker ticker_;
};

// Over the processes of this machine.
std::shared_ptr<Subsystem> MakeFreezer();

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_FREEZER_FREEZER_H_
