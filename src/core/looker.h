// Looker: what is done when the tracker rings, by whichever thread does it.
//
// A bell only says where to look. A look takes the bells, has the registry judge the cgroups of
// each set that rang, settles what was decided (announces it, retires css_sets), and hands out what
// happened. The daemon looks from a thread of its own (daemon/looker_threads.h), so does the
// engine; tests look from theirs.
//
// It never waits, takes only the registry's locks, and calls its owner without any. Between two
// looks the owner waits for the tracker's bell, for the registry's wake callback, or until pause()
// is over.
//
//   Looker looker(registry, owner);
//   while (!stopping) {
//     const bool rang = Wait(bell, wake, looker.pause());
//     looker.Look(rang);
//   }
#ifndef CORRAL_CORE_LOOKER_H_
#define CORRAL_CORE_LOOKER_H_

#include <corral/tracker.h>

#include <chrono>
#include <cstddef>
#include <vector>

#include "core/registry.h"

namespace corral {

// Compares words with tasks, mends what it can, and has everything judged if something differed.
// Walks over all tasks, more than once if it must. Any thread; takes no lock while it walks.
AuditReport ResyncAndJudge(Registry& registry);

class Looker final : private Tracker::Listener {
 public:
  // Called by Look(), with no lock held.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Something could not be accounted for: do ResyncAndJudge() here, or have another thread do it.
    // False: some tasks could not be judged; it is asked again at the next look.
    virtual bool Resync(Registry& registry) { return ResyncAndJudge(registry).unsettled == 0; }
    // What happened and nobody was told yet.
    virtual std::vector<Event> Collect(Registry& registry) { return registry.TakeEvents(); }
    virtual void Dispatch(const Event& /*event*/) {}
  };

  explicit Looker(Registry& registry);  // nobody is told anything
  Looker(Registry& registry, Owner& owner) : registry_(registry), owner_(owner) {}

  // One look. `rang`: the bell or a wake was the reason, not that pause() was over. If something is
  // thrown, what was collected is dispatched by the next look. One thread at a time.
  void Look(bool rang = true);

  // Only the first half: what rang is judged, nothing is announced.
  void Judge();

  // Nothing waits for a task on its way out: what rang before the last look is announced in full.
  bool settled() const { return backoff_.count() == 0; }

  // How long to wait at most before the next look: a task on its way out does not ring.
  std::chrono::milliseconds pause() const;

 private:
  using Clock = std::chrono::steady_clock;

  void SetMayBeEmpty(CssSetId set) override { registry_.SetMayBeEmpty(set); }
  void ResyncNeeded() override { resync_needed_ = true; }

  Registry& registry_;
  Owner& owner_;
  bool resync_needed_ = false;
  std::chrono::milliseconds backoff_{0};  // 0: settled
  Clock::time_point judged_all_ = Clock::now();
  std::vector<Event> events_;   // collected
  std::size_t dispatched_ = 0;  // of those
};

}  // namespace corral

#endif  // CORRAL_CORE_LOOKER_H_
