// Which CPUs and memory nodes this machine has, and where its tasks may run.
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/errors.h"
#include "base/number.h"
#include "base/proc.h"
#include "base/read_file.h"
#include "subsystems/real_tasks.h"

namespace corral {
namespace {

constexpr std::size_t kMostWords = kMostIds / IdSet::kWordBits;
static_assert(sizeof(unsigned long) == sizeof(IdSet::Words::value_type), "the kernel's words");

class LinuxCpus final : public CpuHost {
 public:
  IdSet OnlineCpus() const override { return List("/sys/devices/system/cpu/online"); }
  std::size_t CpuNumbers() const override {
    const IdSet possible = List("/sys/devices/system/cpu/possible");
    std::size_t numbers = possible.end();
    while (numbers > 1 && !possible.Has(numbers - 1)) --numbers;
    return numbers;
  }
  IdSet OnlineNodes() const override { return List("/sys/devices/system/node/has_memory"); }

  // The C library's wrapper fails when its set is smaller than the kernel's; ours is not.
  Result<IdSet> Affinity(Tid task) const override {
    IdSet::Words words(kMostWords);
    const long bytes = ::syscall(SYS_sched_getaffinity, task.value, kMostIds / 8, words.data());
    if (bytes < 0) return FailErrno("affinity of task {}", task.value);
    return IdSet(std::move(words));
  }
  Result<void> SetAffinity(Tid task, const IdSet& cpus) override {
    const auto& words = cpus.words();
    const std::size_t bytes = words.size() * sizeof words[0];
    if (::syscall(SYS_sched_setaffinity, task.value, bytes, words.data()) != 0) {
      return FailErrno("task {} on CPUs {}", task.value, FormatIdList(cpus));
    }
    return {};
  }
  bool HasFixedAffinity(Tid task) const override {
    const auto stat = StatOfTask(task.value);
    return stat && (stat->flags & ProcStat::kFixedAffinity) != 0;
  }
  Result<void> MigrateMemory(Tid task, const IdSet& from, const IdSet& to) override {
    const std::string status = ReadFileOrNothing(fmt::format("/proc/{}/status", task.value));
    if (LeadingNumber(StatusValue(status, "Tgid")) != task.value) return {};
    IdSet::Words old_nodes = from.words(), new_nodes = to.words();
    const std::size_t words = std::max(old_nodes.size(), new_nodes.size());
    old_nodes.resize(words);
    new_nodes.resize(words);
    // The kernel takes one bit less than it is told.
    if (::syscall(SYS_migrate_pages, task.value, words * IdSet::kWordBits + 1, old_nodes.data(),
                  new_nodes.data()) < 0) {
      return FailErrno("pages of process {} to nodes {}", task.value, FormatIdList(to));
    }
    return {};
  }

 private:
  // Node 0 and CPU 0 are there where the kernel has no such file.
  static IdSet List(const std::string& path) {
    const auto list = ParseIdList(ReadFileOrNothing(path), kMostIds);
    return list && !list->empty() ? *list : IdSet({1});
  }
};

}  // namespace

std::shared_ptr<CpuHost> LinuxCpuHost() { return std::make_shared<LinuxCpus>(); }

}  // namespace corral
