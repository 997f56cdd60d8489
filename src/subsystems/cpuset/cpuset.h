// Cpuset: the CPUs, and as far as a process outside the kernel can, the memory nodes of a cgroup's
// tasks. What the files mean, what holds and what does not: README.md beside this.
//
// Locks: write_mu_ is taken by handlers and the ticker only, and held while Groups is asked. mu_ is
// a leaf under the tree, held over single looks at a task. Settings change with the tree held and
// mu_ taken, so each of the two is enough to read them.
#ifndef CORRAL_SUBSYSTEMS_CPUSET_CPUSET_H_
#define CORRAL_SUBSYSTEMS_CPUSET_CPUSET_H_

#include <corral/subsystem.h>

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "base/mutex.h"
#include "subsystems/cpuset/cpuset_rules.h"
#include "subsystems/real_tasks.h"
#include "subsystems/ticker.h"

namespace corral {

class Cpuset final : public Subsystem {
 public:
  // `again`: how long a task that left its CPUs by itself may stay away.
  explicit Cpuset(std::shared_ptr<CpuHost> host,
                  std::chrono::milliseconds again = std::chrono::seconds(5));

  std::string_view name() const override { return "cpuset"; }
  Result<void> Start(Groups& groups) override;
  void Stop() override;  // every task may run everywhere again
  std::vector<SubsystemFile> Files() override;
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override;
  void Destroy(Css& css) override;
  void PostClone(Css& css) override;
  Result<void> CanAttach(Css& to, Css& from, Tid task) override;
  void Attach(Css& to, Css& from, Tid task) override;

 private:
  // Whose memory follows to its new nodes. Done by the ticker: it takes long.
  struct Migration {
    std::shared_ptr<Css> css;
    Tid task;
    IdSet from, to;
  };
  using Seen = std::set<Tid>;

  void TakeFromParent(CpusetCss& css) REQUIRES(mu_);
  SubsystemFile ListFile(std::string name, IdSet CpusetSettings::*list);
  SubsystemFile FlagFile(std::string name, bool CpusetSettings::*flag);
  std::string ReadList(const CpusetCss& css, IdSet CpusetSettings::*list);
  Result<void> WriteList(CpusetCss& css, IdSet CpusetSettings::*list, std::string_view text);
  // The settings before.
  Result<CpusetSettings> Change(CpusetCss& css, const std::function<void(CpusetSettings&)>& change);

  void ApplyCpus(const CpusetCss& css);
  void ApplyMems(CpusetCss& css, const IdSet& before);
  bool Pass(const CpusetCss& css, Seen* placed);
  bool Place(Tid task, const IdSet& cpus, bool exactly);
  void LookAgain();
  void Migrate();

  const std::shared_ptr<CpuHost> host_;
  const std::chrono::milliseconds again_;
  Groups* groups_ = nullptr;
  Mutex write_mu_;  // before the tree
  Mutex mu_;        // after the tree
  CpusetCss* root_ GUARDED_BY(mu_) = nullptr;
  std::vector<Migration> migrations_ GUARDED_BY(mu_);
  Ticker ticker_;
};

// Over the tasks of this machine.
std::shared_ptr<Subsystem> MakeCpuset();

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_CPUSET_CPUSET_H_
