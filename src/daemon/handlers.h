// What the files of operations share: how a request names a cgroup, and the handlers that the
// table in operations.cc lists. Included by those files only.
#ifndef CORRAL_DAEMON_HANDLERS_H_
#define CORRAL_DAEMON_HANDLERS_H_

#include <functional>
#include <string>
#include <vector>

#include "daemon/operations.h"

namespace corral::operation {

using Json = nlohmann::json;

// The cgroup a request names (docs/protocol.md). EINVAL: it names none.
Result<CgroupId> CgroupOf(Request& rq);
bool NamesCgroup(const Request& rq);

// A member that is there and true. A member of another type: Json::exception.
bool Flag(const Request& rq, const char* name);

// A member that is a whole number from 0 on. Missing, or anything else (a fraction, one below 0 or
// beyond 64 bits, which JSON has as a fraction): Json::exception.
std::uint64_t Number(const Json& object, const char* name);

// HIERARCHY:/path, as JSON text.
std::string FullPath(const CgroupInfo& info);

// The long lists of an answer: what there is goes to the peer whenever it has become long. No lock
// may be held meanwhile: a peer reads as slowly as it likes.
//
//   Pieces pieces(rq);
//   for (...) if (!pieces.AddRow("groups", {1, 2, 3})) return PeerIsGone();
//   return pieces.Rest();    // the last piece, to which other members may be added
class Pieces {
 public:
  explicit Pieces(Request& rq) : rq_(rq) {}
  // False: the peer is gone.
  bool AddRow(const char* list, Json::array_t row);
  bool AddText(const char* list, std::string text);
  Json Rest() { return std::move(piece_); }

 private:
  bool Put(const char* list, Json item, std::size_t size);

  Request& rq_;
  Json piece_ = Json::object();
  std::size_t size_ = 0;
};
std::unexpected<Error> PeerIsGone();

// Rows of groups, as docs/protocol.md has them: the whole listing, whose first node is at
// HIERARCHY:/path. `more` are further columns. Numbers of parents go on from `*rows`.
bool AddGroups(Pieces& pieces, const std::vector<TreeNode>& nodes, const std::string& top,
               std::size_t* rows, const std::function<Json::array_t(const TreeNode&)>& more = {});
bool AddTasks(Pieces& pieces, const std::vector<TreeTask>& tasks);  // of the same listing

// instance_operations.cc
Result<Json> Ping(Request& rq);
Result<Json> Status(Request& rq);
Result<Json> Acknowledge(Request& rq);
Result<Json> Mount(Request& rq);
Result<Json> Remount(Request& rq);
Result<Json> Audit(Request& rq);
Result<Json> Shutdown(Request& rq);
// group_operations.cc
Result<Json> Mkdir(Request& rq);
Result<Json> Rmdir(Request& rq);
Result<Json> Attach(Request& rq);
Result<Json> Leave(Request& rq);
Result<Json> Kill(Request& rq);
// look_operations.cc
Result<Json> Info(Request& rq);
Result<Json> Tasks(Request& rq);
Result<Json> Tree(Request& rq);
Result<Json> Wait(Request& rq);
// cpu_operations.cc
Result<Json> OpenBill(Request& rq);
Result<Json> Bill(Request& rq);
Result<Json> Stat(Request& rq);
Result<Json> Top(Request& rq);
// event_operations.cc
Result<Json> Subscribe(Request& rq);
Result<Json> Events(Request& rq);
// why_operations.cc
Result<Json> Why(Request& rq);
Result<Json> Locate(Request& rq);

}  // namespace corral::operation

#endif  // CORRAL_DAEMON_HANDLERS_H_
