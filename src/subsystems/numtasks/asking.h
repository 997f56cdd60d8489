// AskingNumtasks: numtasks for a tracker that tells of no birth in time (bpf). Tasks are counted
// when somebody reads, and the tracker keeps births within limits by itself, where it can.
//
// Threads: any. A css's peak is raised without a lock.
#ifndef CORRAL_SUBSYSTEMS_NUMTASKS_ASKING_H_
#define CORRAL_SUBSYSTEMS_NUMTASKS_ASKING_H_

#include "subsystems/numtasks/numtasks.h"

namespace corral {

class AskingNumtasks final : public Numtasks {
 public:
  Result<void> Start(Groups& groups) override;
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override;

 private:
  struct Account;

  Result<std::uint64_t> Current(Css& css) override;
  Result<std::uint64_t> Peak(Css& css) override;
  Result<std::uint64_t> Failures(Css& css) override;
  std::uint64_t Max(const Css& css) const override;
  Result<void> SetMax(Css& css, std::uint64_t max) override;

  Groups* groups_ = nullptr;  // constant after Start()
};

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_NUMTASKS_ASKING_H_
