#include "wire/listing.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/text.h"
#include "wire/bytes.h"

namespace corral {

using nlohmann::json;

namespace {

// The path of one that a listing begins with: HIERARCHY:/path.
std::string_view PathPart(std::string_view name) {
  const std::size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

}  // namespace

// [PARENT, ID, NAME, TASKS, CHILDREN, POPULATED, NOTIFY, (OWN_NS, SUBTREE_NS)]
Result<void> Listing::AddGroup(const json& row) {
  constexpr std::size_t kUsed = 9;
  Group group{.id = row.at(1).get<std::uint64_t>(),
              .name = FromJsonText(row.at(2).get_ref<const std::string&>()),
              .tasks = row.at(3).get<std::uint64_t>(),
              .children = row.at(4).get<std::uint64_t>(),
              .populated = row.at(5).get<bool>(),
              .notify = row.at(6).get<bool>()};
  if (row.size() >= kUsed) {
    group.own_ns = row.at(7).get<std::uint64_t>();
    group.subtree_ns = row.at(8).get<std::uint64_t>();
  }
  group.parent = row.at(0).is_null() ? groups_.size() : row.at(0).get<std::size_t>();
  if (group.parent > groups_.size() || (group.parent == groups_.size() && !row.at(0).is_null())) {
    return Fail(EPROTO, "the daemon's listing has a group before the one it is in");
  }
  if (row.at(0).is_null()) {
    const std::string_view path = PathPart(group.name);
    group.level = path == "/" ? 0 : static_cast<std::size_t>(std::ranges::count(path, '/'));
  } else {
    group.depth = groups_[group.parent].depth + 1;
    group.level = groups_[group.parent].level + 1;
  }
  groups_.push_back(std::move(group));
  return {};
}

Result<void> Listing::Add(json& piece) {
  try {  // the JSON library reports what is of another type this way
    if (const auto rows = piece.find("groups"); rows != piece.end()) {
      for (const json& row : *rows) {
        TRY(AddGroup(row));
      }
      piece.erase(rows);
    }
    if (const auto rows = piece.find("tasks"); rows != piece.end()) {
      for (const json& row : *rows) {
        tasks_.push_back({row.at(0).get<std::int64_t>(), row.at(1).get<std::int64_t>(),
                          row.at(2).get<std::size_t>()});
        if (tasks_.back().group >= groups_.size()) return Fail(EPROTO, "a task is in no group");
      }
      piece.erase(rows);
    }
    return {};
  } catch (const json::exception&) {
    return Fail(EPROTO, "the daemon's answer is not in the protocol of this version");
  }
}

std::string Listing::HierarchyOf(std::size_t row) const {
  while (!IsTop(row)) row = groups_[row].parent;
  const std::string& name = groups_[row].name;
  return name.substr(0, name.find(':'));
}

std::optional<std::string> Listing::PathOf(std::size_t row, bool with_hierarchy) const {
  std::vector<std::string_view> names;
  std::size_t size = 0;
  for (; !IsTop(row) && size <= kLongestPath; row = groups_[row].parent) {
    names.push_back(groups_[row].name);
    size += 1 + names.back().size();
  }
  if (size > kLongestPath) return std::nullopt;
  std::string path(PathPart(groups_[row].name));
  if (path.size() + size > kLongestPath) return std::nullopt;
  if (path == "/" && !names.empty()) path.clear();
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    path += '/';
    path += *name;
  }
  return with_hierarchy ? HierarchyOf(row) + ":" + path : path;
}

std::string Listing::ShownPath(std::size_t row, bool with_hierarchy) const {
  constexpr std::size_t kEnd = 200;
  if (const auto path = PathOf(row, with_hierarchy)) return Printable(*path);
  std::string end;
  const std::size_t level = groups_[row].level;
  for (; !IsTop(row) && end.size() + groups_[row].name.size() < kEnd; row = groups_[row].parent) {
    end.insert(0, "/" + groups_[row].name);
  }
  if (IsTop(row)) {  // whose own path is the long one
    const std::string_view path = PathPart(groups_[row].name);
    end.insert(0, path.substr(path.find('/', path.size() - kEnd)));
  }
  return fmt::format("...{} ({} levels down)", Printable(end), level);
}

json Listing::JsonPath(std::size_t row) const {
  const auto path = PathOf(row);
  return path ? json(ToJsonText(*path)) : json(nullptr);
}

}  // namespace corral
