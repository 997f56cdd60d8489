// Pins: the tracker's tables and hooks under a name in the BPF file system, so that they outlive
// the process.
//
// One directory for an instance. The stamp is pinned last and goes first: a directory without it
// is what a start or an end left half done, and is worth nothing. The directory is locked while
// somebody uses it.
//
//   auto pins = Pins::Open("/sys/fs/bpf/corral/default");   // or why there can be none
//   if (auto stamp = pins->ReadStamp(); stamp && stamp->layout == ours) ...
#ifndef CORRAL_TRACKERS_BPF_PINS_H_
#define CORRAL_TRACKERS_BPF_PINS_H_

#include <corral/result.h>
#include <corral/tracker.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace corral {

struct Stamp {
  std::uint64_t layout = 0;      // of programs and tables: what is different does not fit
  std::uint64_t generation = 0;  // of these tables; what belongs to them has the same
  MissCounts at_start = {};      // misses are counted from there
};

class Pins {
 public:
  // Makes the directory, and mounts the BPF file system where there is none. EBUSY: another process
  // uses this directory. EPERM: it is not ours alone (base/own_path.h). Else why nothing can be
  // pinned here.
  static Result<Pins> Open(std::string directory);

  // Empty, or a sentence: what is pinned was removed while we used it.
  std::string Trouble() const;
  std::string PathOf(std::string_view name) const;
  // Nothing: there is none, or it cannot be read.
  std::optional<Stamp> ReadStamp() const;
  Result<void> WriteStamp(const Stamp& stamp) const;
  // Nothing is pinned any more: what no process holds ends.
  void Clear() const;
  // The directory as well.
  void Remove() const;

 private:
  Pins(std::string directory, Fd lock) : directory_(std::move(directory)), lock_(std::move(lock)) {}

  std::string directory_;
  Fd lock_;
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_PINS_H_
