#include "trackers/bpf/doorbell.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/errors.h"
#include "base/log.h"
#include "trackers/bpf/kernel_support.h"

namespace corral {
namespace {

// A bell, or what begins with one.
int CollectBell(void* bells, void* data, std::size_t size) {
  corral_unknown_bell record = {};
  std::memcpy(&record, data, std::min(size, sizeof record));
  static_cast<std::vector<corral_unknown_bell>*>(bells)->push_back(record);
  return 0;
}

// Who they were, for a line of the log: the first few.
std::string NamesOf(const std::vector<corral_unknown_bell>& tasks) {
  constexpr std::size_t kNamed = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(tasks.size(), kNamed); ++i) {
    const corral_unknown_bell& one = tasks[i];
    text += fmt::format("{}{} ({:?}, process {}, child of {}, made {}.{:03} s after boot)",
                        i == 0 ? " " : ", ", one.bell.id,
                        std::string_view(one.comm, ::strnlen(one.comm, sizeof one.comm)), one.tgid,
                        one.parent, one.start / 1'000'000'000, one.start / 1'000'000 % 1000);
  }
  if (tasks.size() > kNamed) text += fmt::format(" and {} more", tasks.size() - kNamed);
  return text;
}

}  // namespace

Result<void> Doorbell::Open(const bpf_map* map) {
  ring_.reset(ring_buffer__new(bpf_map__fd(map), CollectBell, &rung_, nullptr));
  if (!ring_) return FailErrno("cannot map the doorbell");
  return {};
}

std::vector<corral_bell> Doorbell::Take() {
  rung_.clear();
  adopted_.clear();
  of_hidden_.clear();
  ring_buffer__consume(ring_.get());
  std::vector<corral_bell> bells;
  for (const corral_unknown_bell& record : rung_) {
    if (record.bell.kind != CORRAL_BELL_UNKNOWN) {
      bells.push_back(record.bell);
    } else if (record.hidden) {
      of_hidden_.push_back(record);
    } else if (!record.dies) {
      adopted_.push_back(record);
    }
  }
  return bells;
}

bool Doorbell::TellMisses(const MissCounts& before, const MissCounts& now,
                          std::uint32_t tid_capacity) {
  if (now.adopted != before.adopted) {
    log::Warn("{} live tasks were not known and are in every root now:{}",
              now.adopted - before.adopted, NamesOf(adopted_));
  }
  if (now.hidden != before.hidden) {
    log::Info(
        "{} births or deaths that the kernel does not tell of, as is to be expected here (corral "
        "doctor):{}",
        now.hidden - before.hidden, NamesOf(of_hidden_));
  }
  if (now.bells != before.bells) log::Warn("the doorbell overflowed; every css_set was looked at");
  if (now.out_of_table != before.out_of_table && !std::exchange(told_out_of_table_, true)) {
    log::Error(
        "kernel.pid_max is {}, but the table holds {} tids: tasks beyond that are not tracked; "
        "restart corrald",
        PidMax(), tid_capacity);
  }
  // What is beyond the table cannot be mended; a fork storm there must not cost a resync each.
  MissCounts to_mend = now;
  to_mend.out_of_table = before.out_of_table;
  return to_mend != before;
}

}  // namespace corral
