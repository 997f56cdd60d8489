#include "daemon/pieces.h"

#include <cerrno>
#include <nlohmann/json.hpp>

#include "wire/bytes.h"
#include "wire/codec.h"

namespace corral::operation {

using nlohmann::json;

bool Pieces::Add(const char* list, json item, std::size_t size) {
  constexpr std::size_t kLong = 256 << 10;
  constexpr std::size_t kForEach = 64;  // about what numbers and punctuation take
  json& piece = *rq_.rest;
  piece[list].push_back(std::move(item));
  size_ += size + kForEach;
  if (size_ < kLong || !rq_.send_piece) return true;
  piece["ok"] = true;
  piece["more"] = true;
  const bool sent = rq_.send_piece(wire::TextOf(piece));
  piece = json::object();
  size_ = 0;
  return sent;
}

bool Pieces::AddText(const char* list, const std::string& bytes) {
  std::string text = ToJsonText(bytes);
  const std::size_t size = text.size();
  return Add(list, std::move(text), size);
}

std::unexpected<Error> PeerIsGone() { return Fail(ECANCELED, "the peer does not read any more"); }

bool AddGroups(Pieces& pieces, const std::vector<TreeNode>& nodes, const std::string& top,
               std::size_t* rows, const std::function<Ran(const TreeNode&)>& ran) {
  const std::size_t first = *rows;
  *rows += nodes.size();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const TreeNode& node = nodes[i];
    const std::string name = ToJsonText(i == 0 ? top : node.name);
    json row = {i == 0 ? json(nullptr) : json(first + node.parent),
                node.id.value,
                name,
                node.tasks,
                node.children,
                node.populated,
                node.notify_on_release};
    if (ran) {
      const Ran its = ran(node);
      row.push_back(its.own_ns);
      row.push_back(its.subtree_ns);
    }
    if (!pieces.Add("groups", std::move(row), name.size())) return false;
  }
  return true;
}

bool AddTasks(Pieces& pieces, const std::vector<TreeTask>& tasks) {
  for (const TreeTask& task : tasks) {
    if (!pieces.Add("tasks", {task.tid.value, task.tgid.value, task.node}, 0)) return false;
  }
  return true;
}

}  // namespace corral::operation
