// Doorbell: the ring buffer in which the hooks say where to look, and what the log hears of it.
//
// Owned by a BpfTracker. One thread at a time, that which drains; fd() any.
//
//   Doorbell doorbell;
//   TRY(doorbell.Open(map));
//   for (const corral_bell& bell : doorbell.Take()) ...
#ifndef CORRAL_TRACKERS_BPF_DOORBELL_H_
#define CORRAL_TRACKERS_BPF_DOORBELL_H_

#include <corral/tracker.h>

#include <vector>

#include "shared.h"
#include "trackers/bpf/bpf_object.h"

namespace corral {

class Doorbell {
 public:
  Doorbell() = default;
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  Result<void> Open(const bpf_map* map);

  int fd() const { return ring_buffer__epoll_fd(ring_.get()); }  // readable when something rang

  // Sets and wishes for a resync that rang since the last call.
  std::vector<corral_bell> Take();

  // Of tasks that were not known or could not be, and of bells that did not get through: who they
  // were is from the bells of the last Take(). Whether it calls for a resync.
  bool TellMisses(const MissCounts& before, const MissCounts& now, std::uint32_t tid_capacity);

 private:
  std::vector<corral_unknown_bell> rung_;  // filled by the ring's callback, within Take()
  std::vector<corral_unknown_bell> adopted_;
  std::vector<corral_unknown_bell> of_hidden_;
  bool told_out_of_table_ = false;
  Ring ring_;
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_DOORBELL_H_
