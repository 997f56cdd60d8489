// What the files of operations share: the handlers that the table in operations.cc lists, and how a
// request names a cgroup. Included by those files only.
//
// A handler gets a message that was read and checked (wire/messages.h) and returns the answer's.
// One with a long list has sent some of it before (pieces.h).
#ifndef CORRAL_DAEMON_HANDLERS_H_
#define CORRAL_DAEMON_HANDLERS_H_

#include <corral/result.h>

#include <string>

#include "daemon/operations.h"
#include "wire/messages.h"

namespace corral::operation {

// The cgroup a request names. EINVAL: it names none; ENOENT, ENOTDIR: nor is there one.
Result<CgroupId> CgroupOf(Request& rq, const wire::GroupName& name);

// HIERARCHY:/path
std::string FullPath(const CgroupInfo& info);

// One that is waited for may be gone, the daemon may end, or the peer: ESHUTDOWN, ECANCELED. Else
// `fd` is readable.
Result<void> AwaitReadable(Request& rq, int fd);

template <typename Ask>
using AnswerOf = Result<typename Ask::Answer>;

// instance_operations.cc
AnswerOf<wire::Ping> Ping(Request& rq, const wire::Ping& ask);
AnswerOf<wire::Status> Status(Request& rq, const wire::Status& ask);
AnswerOf<wire::Acknowledge> Acknowledge(Request& rq, const wire::Acknowledge& ask);
AnswerOf<wire::Mount> Mount(Request& rq, const wire::Mount& ask);
AnswerOf<wire::Remount> Remount(Request& rq, const wire::Remount& ask);
AnswerOf<wire::Audit> Audit(Request& rq, const wire::Audit& ask);
AnswerOf<wire::Shutdown> Shutdown(Request& rq, const wire::Shutdown& ask);
// group_operations.cc
AnswerOf<wire::Mkdir> Mkdir(Request& rq, const wire::Mkdir& ask);
AnswerOf<wire::Rmdir> Rmdir(Request& rq, const wire::Rmdir& ask);
AnswerOf<wire::Attach> Attach(Request& rq, const wire::Attach& ask);
AnswerOf<wire::Leave> Leave(Request& rq, const wire::Leave& ask);
AnswerOf<wire::Kill> Kill(Request& rq, const wire::Kill& ask);
// state_operations.cc
AnswerOf<wire::Info> Info(Request& rq, const wire::Info& ask);
AnswerOf<wire::Wait> Wait(Request& rq, const wire::Wait& ask);
// listing_operations.cc
AnswerOf<wire::Tasks> Tasks(Request& rq, const wire::Tasks& ask);
AnswerOf<wire::Tree> Tree(Request& rq, const wire::Tree& ask);
// cpu_operations.cc
AnswerOf<wire::OpenBill> OpenBill(Request& rq, const wire::OpenBill& ask);
AnswerOf<wire::Bill> Bill(Request& rq, const wire::Bill& ask);
AnswerOf<wire::Stat> Stat(Request& rq, const wire::Stat& ask);
AnswerOf<wire::Top> Top(Request& rq, const wire::Top& ask);
// event_operations.cc
AnswerOf<wire::Subscribe> Subscribe(Request& rq, const wire::Subscribe& ask);
AnswerOf<wire::Events> Events(Request& rq, const wire::Events& ask);
// why_operations.cc
AnswerOf<wire::Why> Why(Request& rq, const wire::Why& ask);
AnswerOf<wire::Locate> Locate(Request& rq, const wire::Locate& ask);

}  // namespace corral::operation

#endif  // CORRAL_DAEMON_HANDLERS_H_
