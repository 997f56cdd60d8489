// Debug: the subsystem that shows what the core keeps for a cgroup, and provokes faults on request.
//
// For developers and tests; its files are in the README beside this. It limits and accounts
// nothing.
//
//   registry.Register(std::make_shared<Debug>());                          // as corrald does
//   registry.Register(std::make_shared<Debug>(Debug::Forks::kCounted));   // asks and counts forks
//
// Threads: as subsystem.h says. Each css has a lock of its own, a leaf.
#ifndef CORRAL_SUBSYSTEMS_DEBUG_DEBUG_H_
#define CORRAL_SUBSYSTEMS_DEBUG_DEBUG_H_

#include <corral/subsystem.h>

namespace corral {

class Debug final : public Subsystem {
 public:
  // kCounted: it wants forks, which makes births and deaths dearer for all; has the files `forks`
  // and `exits`, and can refuse births where the tracker asks (in line).
  enum class Forks { kLeftAlone, kCounted };

  explicit Debug(Forks forks = Forks::kLeftAlone) : forks_(forks) {}

  std::string_view name() const override { return "debug"; }
  Result<void> Start(Groups& groups) override;
  std::vector<SubsystemFile> Files() override;
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override;
  Result<void> CanAttach(Css& to, Css& from, Tid task) override;
  bool WantsForks() const override { return forks_ == Forks::kCounted; }
  Result<void> CanFork(Css& css, Tid parent) override;
  void Fork(Css& css, Tid task) override;
  void Exit(Css& css, Tid task) override;

 private:
  const Forks forks_;
  Groups* groups_ = nullptr;
};

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_DEBUG_DEBUG_H_
