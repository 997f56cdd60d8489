// Numtasks: how many tasks a cgroup has with all below it, and how many it may have.
//
// A limit holds for births: one that would exceed the max of a cgroup on the way to the root is
// refused with EAGAIN, or its newborn killed, and counted as a failure of the cgroup whose limit it
// was. Moving in is always possible, also beyond the max. Files and limits of this: the README
// beside this.
//
// This is what users see of it, its files. Who counts and who limits depends on the tracker:
//
//   registry.Register(std::make_shared<CountingNumtasks>());  // counting.h: it does both itself
//   registry.Register(std::make_shared<AskingNumtasks>());    // asking.h: the tracker does
//
// Threads: as subsystem.h says of handlers.
#ifndef CORRAL_SUBSYSTEMS_NUMTASKS_NUMTASKS_H_
#define CORRAL_SUBSYSTEMS_NUMTASKS_NUMTASKS_H_

#include <corral/subsystem.h>

namespace corral {

class Numtasks : public Subsystem {
 public:
  std::string_view name() const final { return "numtasks"; }
  std::vector<SubsystemFile> Files() final;

 protected:
  // ---- what the files show of a css, and set
  virtual Result<std::uint64_t> Current(Css& css) = 0;
  virtual Result<std::uint64_t> Peak(Css& css) = 0;
  virtual Result<std::uint64_t> Failures(Css& css) = 0;
  virtual std::uint64_t Max(const Css& css) const = 0;  // Css::kNoTaskLimit: none
  virtual Result<void> SetMax(Css& css, std::uint64_t max) = 0;
};

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_NUMTASKS_NUMTASKS_H_
