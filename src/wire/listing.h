// Listing: groups as the daemon tells of them (docs/protocol.md, "Listings"): a row for each with
// the row of the group it is in. Paths are put together where one is shown: of a tree that is very
// deep all of them would be as much as the square of its depth.
//
//   auto tree = client.List(wire::Tree());
//   for (std::size_t i = 0; i < tree->listing.size(); ++i) Print(tree->listing.ShownPath(i));
#ifndef CORRAL_WIRE_LISTING_H_
#define CORRAL_WIRE_LISTING_H_

#include <corral/result.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace corral {

class Listing {
 public:
  struct Group {
    std::size_t parent = 0;  // its row; of one that a listing begins with its own
    std::size_t depth = 0;   // below the one that the listing begins with
    std::size_t level = 0;   // below the root of its hierarchy
    std::uint64_t id = 0;
    std::string name;  // bytes; of one that a listing begins with its whole path
    std::uint64_t tasks = 0;
    std::uint64_t children = 0;
    bool populated = false;
    bool notify = false;
    std::uint64_t own_ns = 0;  // of `top` alone
    std::uint64_t subtree_ns = 0;
  };
  struct Task {
    std::int64_t tid = 0;
    std::int64_t tgid = 0;
    std::size_t group = 0;  // its row
  };

  // The longest path that is put together for people and in JSON, as of a file system.
  static constexpr std::size_t kLongestPath = 4095;

  // Takes the rows out of a piece of an answer. EPROTO: they are not as they should be.
  Result<void> Add(nlohmann::json& piece);

  std::size_t size() const { return groups_.size(); }
  const Group& operator[](std::size_t row) const { return groups_[row]; }
  const std::vector<Group>& groups() const { return groups_; }
  const std::vector<Task>& tasks() const { return tasks_; }
  bool IsTop(std::size_t row) const { return groups_[row].parent == row; }

  // The label of the hierarchy.
  std::string HierarchyOf(std::size_t row) const;
  // "/a/b", or with the hierarchy before it, "jobs:/a/b". Nothing: it is longer than kLongestPath.
  std::optional<std::string> PathOf(std::size_t row, bool with_hierarchy = false) const;
  // The same, printable, and of a long path the end and how deep it is.
  std::string ShownPath(std::size_t row, bool with_hierarchy = false) const;
  // For JSON; null where it is too long.
  nlohmann::json JsonPath(std::size_t row) const;

 private:
  Result<void> AddGroup(const nlohmann::json& row);

  std::vector<Group> groups_;
  std::vector<Task> tasks_;
};

}  // namespace corral

#endif  // CORRAL_WIRE_LISTING_H_
