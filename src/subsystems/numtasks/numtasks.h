// Numtasks: how many tasks a cgroup has with all below it, and how many it may have.
//
// A limit holds for births: one that would exceed the max of a cgroup on the way to the root is
// refused with EAGAIN, or its newborn killed, and counted as a failure of the cgroup whose limit it
// was. Moving in is always possible, also beyond the max. Files and limits of this: the README
// beside this.
//
//   registry.Register(std::make_shared<Numtasks>(Numtasks::Counting::kInLine));
//
// Threads: as subsystem.h says. One lock for all counts, a leaf; one for who writes a limit.
#ifndef CORRAL_SUBSYSTEMS_NUMTASKS_NUMTASKS_H_
#define CORRAL_SUBSYSTEMS_NUMTASKS_NUMTASKS_H_

#include <corral/subsystem.h>

#include "base/mutex.h"

namespace corral {

class Numtasks final : public Subsystem {
 public:
  enum class Counting {
    // The tracker asks and tells of births and deaths in line (inproc): counts are kept, and
    // limits hold.
    kInLine,
    // It does not (bpf): tasks are counted when somebody reads, and the tracker keeps births within
    // limits by itself, where it can.
    kWhenRead,
  };

  explicit Numtasks(Counting counting) : counting_(counting) {}

  std::string_view name() const override { return "numtasks"; }
  Result<void> Start(Groups& groups) override;
  std::vector<SubsystemFile> Files() override;
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override;
  void Attach(Css& to, Css& from, Tid task) override;
  bool WantsForks() const override { return counting_ == Counting::kInLine; }
  Result<void> CanFork(Css& css, Tid parent) override;
  void Fork(Css& css, Tid task) override;
  void Exit(Css& css, Tid task) override;
  std::optional<std::uint64_t> TaskLimit(const Css& css) const override;

 private:
  struct Account;
  static Account& AccountOf(Css& css);

  void ChargeLocked(Account& account) REQUIRES(mu_);
  void UnchargeLocked(Account& account) REQUIRES(mu_);
  Result<std::uint64_t> Current(Account& account);
  Result<std::uint64_t> Peak(Account& account);
  Result<std::string> ReadMax(Account& account);
  Result<void> WriteMax(Account& account, std::string_view bytes);
  Result<std::uint64_t> Failures(Account& account);

  const Counting counting_;
  Groups* groups_ = nullptr;
  Mutex write_mu_;  // before the tree's; limits are written one at a time
  mutable Mutex mu_;
};

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_NUMTASKS_NUMTASKS_H_
