// FakeUsage: a UsageHost whose processes use what the test says. Any thread.
//
//   usage->Set(7, /*pages=*/100, /*files=*/3);
#ifndef CORRAL_TESTS_SUPPORT_FAKE_USAGE_H_
#define CORRAL_TESTS_SUPPORT_FAKE_USAGE_H_

#include <cerrno>
#include <cstdint>
#include <map>
#include <mutex>

#include "subsystems/real_tasks.h"

namespace corral {

class FakeUsage final : public UsageHost {
 public:
  Result<Usage> UsageOf(Tgid process) const override {
    const std::lock_guard lock(mu);
    const auto at = usage.find(process);
    if (at == usage.end()) return Fail(ESRCH, "gone");
    return at->second;
  }
  void Set(unsigned process, std::uint64_t pages, std::uint64_t files) {
    const std::lock_guard lock(mu);
    usage[Tgid{process}] = {pages, files};
  }
  mutable std::mutex mu;
  std::map<Tgid, Usage> usage;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_FAKE_USAGE_H_
