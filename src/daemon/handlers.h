// What the files of operations share: how a request names a cgroup, and the handlers that the
// table in operations.cc lists. Included by those files only.
#ifndef CORRAL_DAEMON_HANDLERS_H_
#define CORRAL_DAEMON_HANDLERS_H_

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

// The paths of a listing's nodes, whose first is at `top`.
std::vector<std::string> PathsOf(const std::vector<TreeNode>& nodes, const std::string& top);

// Its tasks, or with `subtree` also those below: a list of {tid, tgid, path}. ENODEV.
Result<Json> TasksIn(Registry& registry, const CgroupInfo& top, bool subtree);

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
