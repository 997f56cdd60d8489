#include "core/looker.h"

#include <algorithm>

#include "base/log.h"

namespace corral {
namespace {

using std::chrono::milliseconds;

// While a task is on its way out: look again after 1, 2, 4, ... ms. The end of a 1 GiB
// process takes about 17 ms.
constexpr milliseconds kFirstBackoff(1);
constexpr milliseconds kLongestBackoff(128);
// Even without any bell: read the miss counters, and judge everything (I8).
constexpr milliseconds kLookAnyway = std::chrono::minutes(1);

Looker::Owner nobody;

}  // namespace

AuditReport ResyncAndJudge(Registry& registry) {
  AuditReport report = registry.tracker().Resync();
  if (!report.differences.empty()) {
    log::Warn("resync: {} differences, {} repaired; the first: {}", report.differences.size(),
              report.repaired, report.differences.front());
    registry.JudgeAll();
  }
  return report;
}

Looker::Looker(Registry& registry) : Looker(registry, nobody) {}

milliseconds Looker::pause() const { return settled() ? kLookAnyway : backoff_; }

void Looker::Judge() {
  registry_.tracker().Drain(*this);
  if (resync_needed_) resync_needed_ = !owner_.Resync(registry_);
  if (Clock::now() - judged_all_ >= kLookAnyway) {
    registry_.JudgeAll();
    judged_all_ = Clock::now();
  }
}

void Looker::Look(bool rang) {
  Judge();
  const bool waits = registry_.Settle() || resync_needed_;
  if (!waits) {
    backoff_ = milliseconds(0);
  } else if (rang || settled()) {
    backoff_ = kFirstBackoff;
  } else {
    backoff_ = std::min(2 * backoff_, kLongestBackoff);
  }
  if (events_.empty()) events_ = owner_.Collect(registry_);
  for (; dispatched_ < events_.size(); ++dispatched_) owner_.Dispatch(events_[dispatched_]);
  events_.clear();
  dispatched_ = 0;
}

}  // namespace corral
