// KeptSizes: how long the lists are that open descriptors of a mount hold.
//
// stat(2) gets a bound of a list's size, since nobody has read it yet (control/tree.cc).
// lseek(SEEK_END) on a descriptor can be told the truth, and `tail` relies on it. But the
// kernel keeps one size for all descriptors of a file, and sendfile on any of them stops
// there; so the truth is the longest list that is held. Used by the mount's thread only.
#ifndef CORRAL_FUSE_KEPT_SIZES_H_
#define CORRAL_FUSE_KEPT_SIZES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>

namespace corral {

class KeptSizes {
 public:
  void Add(std::uint64_t node, std::size_t size) { sizes_[node].insert(size); }

  void Remove(std::uint64_t node, std::size_t size) {
    const auto held = sizes_.find(node);
    if (held == sizes_.end()) return;
    if (const auto one = held->second.find(size); one != held->second.end()) {
      held->second.erase(one);
    }
    if (held->second.empty()) sizes_.erase(held);
  }

  std::optional<std::size_t> Longest(std::uint64_t node) const {
    const auto held = sizes_.find(node);
    if (held == sizes_.end()) return std::nullopt;
    return *held->second.rbegin();
  }

 private:
  std::unordered_map<std::uint64_t, std::multiset<std::size_t>> sizes_;
};

}  // namespace corral

#endif  // CORRAL_FUSE_KEPT_SIZES_H_
