// FakeCpus: a CpuHost of eight possible CPUs, 0-3 of them online, and nodes 0-1. Any thread.
//
//   cpus->Choose(7, "2");      // task 7 puts itself there
//   cpus->Of(7);               // "2"
#ifndef CORRAL_TESTS_SUPPORT_FAKE_CPUS_H_
#define CORRAL_TESTS_SUPPORT_FAKE_CPUS_H_

#include <cerrno>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "subsystems/real_tasks.h"

namespace corral {

class FakeCpus final : public CpuHost {
 public:
  IdSet OnlineCpus() const override { return IdSet({0x0f}); }
  std::size_t CpuNumbers() const override { return 8; }
  IdSet OnlineNodes() const override { return IdSet({0x3}); }
  Result<IdSet> Affinity(Tid task) const override {
    const std::lock_guard lock(mu);
    if (gone.contains(task)) return Fail(ESRCH, "gone");
    const auto at = affinity.find(task);
    return at == affinity.end() ? OnlineCpus() : at->second;
  }
  Result<void> SetAffinity(Tid task, const IdSet& cpus) override {
    const std::lock_guard lock(mu);
    if (gone.contains(task)) return Fail(ESRCH, "gone");
    if (refuses) return Fail(EPERM, "refused");
    affinity[task] = cpus;
    ++sets;
    if (on_set) on_set(task);
    return {};
  }
  bool HasFixedAffinity(Tid task) const override { return task == Tid{666}; }
  Result<void> MigrateMemory(Tid task, const IdSet& from, const IdSet& to) override {
    const std::lock_guard lock(mu);
    migrated.push_back(
        fmt::format("{}: {} to {}", task.value, FormatIdList(from), FormatIdList(to)));
    return {};
  }

  std::string Of(unsigned tid) { return FormatIdList(Affinity(Tid{tid}).value()); }
  void Choose(unsigned tid, const char* cpus) {
    const std::lock_guard lock(mu);
    affinity[Tid{tid}] = *ParseIdList(cpus, 8);
  }

  mutable std::mutex mu;
  std::map<Tid, IdSet> affinity;
  std::set<Tid> gone;
  std::vector<std::string> migrated;
  std::function<void(Tid)> on_set;  // with `mu` held
  bool refuses = false;
  int sets = 0;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_FAKE_CPUS_H_
