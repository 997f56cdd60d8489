// Health: what is not well with an instance. Each entry has a name that docs/operations.md
// explains; no entry: all is well. Two kinds: *incidents* happened once, and stay until the daemon
// ends or somebody says that he knows; *conditions* are looked at whenever somebody asks.
#ifndef CORRAL_DAEMON_HEALTH_H_
#define CORRAL_DAEMON_HEALTH_H_

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace corral {

class Daemon;

struct HealthEntry {
  std::string name;
  std::string text;        // one sentence: what is so, and what to do
  std::int64_t since = 0;  // seconds since 1970; 0: a condition
};

// Any thread.
class Incidents {
 public:
  void Add(std::string name, std::string text) {
    MutexLock lock(incidents_mu_);
    all_.push_back(
        {std::move(name), std::move(text), static_cast<std::int64_t>(std::time(nullptr))});
  }
  bool Has(std::string_view name) const {
    MutexLock lock(incidents_mu_);
    return std::ranges::find(all_, name, &HealthEntry::name) != all_.end();
  }
  std::vector<HealthEntry> All() const {
    MutexLock lock(incidents_mu_);
    return all_;
  }
  void Forget() {
    MutexLock lock(incidents_mu_);
    all_.clear();
  }

 private:
  mutable Mutex incidents_mu_;  // a leaf
  std::vector<HealthEntry> all_ GUARDED_BY(incidents_mu_);
};

// Incidents first, then the conditions that are so now.
std::vector<HealthEntry> HealthOf(Daemon& daemon);

}  // namespace corral

#endif  // CORRAL_DAEMON_HEALTH_H_
