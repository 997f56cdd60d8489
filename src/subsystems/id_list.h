// Lists of CPUs and memory nodes, as the kernel writes and reads them: "0-3,5".
//
//   ParseIdList("0-7:1/2,9\n", 64)  -> 0 2 4 6 9
//   FormatIdList(set)               -> "0,2,4,6,9"
#ifndef CORRAL_SUBSYSTEMS_ID_LIST_H_
#define CORRAL_SUBSYSTEMS_ID_LIST_H_

#include <corral/result.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

inline constexpr std::size_t kMostIds = 8192;  // CPUs of the largest kernel there is

// A set of such numbers: as large as its last one makes it, for there is one in every cgroup.
class IdSet {
 public:
  static constexpr std::size_t kWordBits = 64;
  using Words = std::vector<std::uint64_t>;

  IdSet() = default;
  explicit IdSet(Words words);  // number n is bit n % 64 of words[n / 64]

  void Add(std::size_t number);
  bool Has(std::size_t number) const;
  bool empty() const { return words_.empty(); }
  std::size_t end() const { return words_.size() * kWordBits; }  // all are below
  const Words& words() const { return words_; }

  IdSet operator&(const IdSet& other) const;
  IdSet operator-(const IdSet& other) const;
  bool operator==(const IdSet&) const = default;

 private:
  void Trim();
  Words words_;  // the last is not 0
};

inline bool IsSubset(const IdSet& part, const IdSet& whole) { return (part - whole).empty(); }

// Regions between commas or white space, up to a NUL or a newline inside: N, N-M, N-M:USED/GROUP
// (of each GROUP the first USED), `all`; `N` stands for the last one. Nothing is the empty set.
// EINVAL: something else. EOVERFLOW: a number beyond 32 bits. ERANGE: `numbers` or more.
Result<IdSet> ParseIdList(std::string_view text, std::size_t numbers);

// Ascending, neighbours joined; empty for the empty set. No newline.
std::string FormatIdList(const IdSet& set);

}  // namespace corral

#endif  // CORRAL_SUBSYSTEMS_ID_LIST_H_
