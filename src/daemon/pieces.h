// Pieces: the long lists of an answer. What there is goes to the peer whenever it has become long.
// No lock may be held meanwhile: a peer reads as slowly as it likes.
//
//   Pieces pieces(rq);
//   if (!AddGroups(pieces, nodes, FullPath(info), &rows)) return PeerIsGone();
//   return wire::Tree::Answer();    // goes with the last piece
#ifndef CORRAL_DAEMON_PIECES_H_
#define CORRAL_DAEMON_PIECES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/operations.h"

namespace corral::operation {

class Pieces {
 public:
  explicit Pieces(Request& rq) : rq_(rq) {}
  // False: the peer is gone.
  bool Add(const char* list, nlohmann::json item, std::size_t size);
  bool AddText(const char* list, const std::string& bytes);

 private:
  Request& rq_;
  std::size_t size_ = 0;
};
std::unexpected<Error> PeerIsGone();

// What a group and all below it have run: two more columns of its row.
struct Ran {
  std::uint64_t own_ns = 0;
  std::uint64_t subtree_ns = 0;
};

// Rows of groups, as docs/protocol.md has them: the whole listing, whose first node is at
// HIERARCHY:/path. Numbers of parents go on from `*rows`.
bool AddGroups(Pieces& pieces, const std::vector<TreeNode>& nodes, const std::string& top,
               std::size_t* rows, const std::function<Ran(const TreeNode&)>& ran = {});
bool AddTasks(Pieces& pieces, const std::vector<TreeTask>& tasks);  // of the same listing

}  // namespace corral::operation

#endif  // CORRAL_DAEMON_PIECES_H_
