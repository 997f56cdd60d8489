#include "subsystems/host.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace corral {
namespace {

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

// The fields of /proc/TID/stat after the name, which may hold anything: [0] is the state, proc(5)'s
// field N is [N - 3]. Empty: no such task.
std::vector<std::string> StatOf(Tid task) {
  std::string text = ReadFile(fmt::format("/proc/{}/stat", task.value));
  std::vector<std::string> fields;
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return fields;
  std::istringstream rest(text.substr(name_end + 1));
  for (std::string field; rest >> field;) fields.push_back(std::move(field));
  return fields;
}

// ---- CPUs and memory nodes

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
    const long bytes =
        ::syscall(SYS_sched_getaffinity, task.value, kMostIds / 8, words.data());
    if (bytes < 0) return Fail(errno, "affinity of task {}: {}", task.value, std::strerror(errno));
    return IdSet(std::move(words));
  }
  Result<void> SetAffinity(Tid task, const IdSet& cpus) override {
    const auto& words = cpus.words();
    const std::size_t bytes = words.size() * sizeof words[0];
    if (::syscall(SYS_sched_setaffinity, task.value, bytes, words.data()) != 0) {
      return Fail(errno, "task {} on CPUs {}: {}", task.value, FormatIdList(cpus),
                  std::strerror(errno));
    }
    return {};
  }
  bool HasFixedAffinity(Tid task) const override {
    constexpr unsigned long kNoSetAffinity = 0x04000000;  // of the flags in stat
    constexpr std::size_t kFlags = 9 - 3;
    const auto fields = StatOf(task);
    return fields.size() > kFlags && (std::stoul(fields[kFlags]) & kNoSetAffinity) != 0;
  }
  Result<void> MigrateMemory(Tid task, const IdSet& from, const IdSet& to) override {
    const std::string leads = fmt::format("\nTgid:\t{}\n", task.value);
    if (!ReadFile(fmt::format("/proc/{}/status", task.value)).contains(leads)) return {};
    IdSet::Words old_nodes = from.words(), new_nodes = to.words();
    const std::size_t words = std::max(old_nodes.size(), new_nodes.size());
    old_nodes.resize(words);
    new_nodes.resize(words);
    // The kernel takes one bit less than it is told.
    if (::syscall(SYS_migrate_pages, task.value, words * IdSet::kWordBits + 1, old_nodes.data(),
                  new_nodes.data()) < 0) {
      return Fail(errno, "pages of process {} to nodes {}: {}", task.value, FormatIdList(to),
                  std::strerror(errno));
    }
    return {};
  }

 private:
  // Node 0 and CPU 0 are there where the kernel has no such file.
  static IdSet List(const std::string& path) {
    const auto list = ParseIdList(ReadFile(path), kMostIds);
    return list && !list->empty() ? *list : IdSet({1});
  }
};

}  // namespace

std::shared_ptr<CpuHost> LinuxCpuHost() { return std::make_shared<LinuxCpus>(); }

}  // namespace corral
