#include "daemon/operations.h"

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/poll.h"
#include "base/thread.h"
#include "daemon/handlers.h"
#include "wire/codec.h"

namespace corral {

using nlohmann::json;

// ---- what handlers share

namespace operation {
namespace {

Result<CgroupId> ByPath(Instance& instance, const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) {
    return Fail(EINVAL, "'{}' is neither a directory inside a mount nor HIERARCHY:/path", text);
  }
  const std::string name = text.substr(0, colon);
  const auto hierarchy = instance.registry().FindByLabel(name);
  if (!hierarchy) return Fail(ENOENT, "there is no hierarchy named '{}'", name);
  return instance.registry().Resolve(*hierarchy, text.substr(colon + 1));
}

Result<CgroupId> ByInode(Instance& instance, std::uint64_t device, Inode inode) {
  const auto root = instance.mounts().RootOnDevice(device);
  if (!root) {
    return Fail(ENOENT, "the directory is not inside a mount of instance '{}'", instance.name());
  }
  if (!inode.is_directory()) return Fail(ENOTDIR, "this is a control file, not a group");
  if (!instance.registry().Exists(inode.cgroup())) return Fail(ENOENT, "the group is gone");
  return inode.cgroup();
}

}  // namespace

Result<CgroupId> CgroupOf(Request& rq, const wire::GroupName& name) {
  if (name.path) return ByPath(rq.instance, *name.path);
  if (name.dev && !name.ino) return Fail(EPROTO, "malformed request: 'ino' is missing");
  if (name.dev) return ByInode(rq.instance, *name.dev, Inode{*name.ino});
  if (name.id) return CgroupId{*name.id};
  return Fail(EINVAL, "the request names no group");
}

std::string FullPath(const CgroupInfo& info) { return info.hierarchy_name + ":" + info.path; }

Result<void> AwaitReadable(Request& rq, int fd) {
  pollfd fds[] = {{.fd = fd, .events = POLLIN, .revents = 0},
                  {.fd = rq.connection, .events = POLLRDHUP, .revents = 0},
                  {.fd = rq.instance.shutdown_fd(), .events = POLLIN, .revents = 0}};
  (void)PollAll(fds, -1);
  // In this order: at the end of the daemon connections are shut down as well.
  if (fds[2].revents) return Fail(ESHUTDOWN, "the daemon ends");
  if (fds[1].revents) return Fail(ECANCELED, "the peer does not wait any more");
  return {};
}

}  // namespace operation

// ---- from text to text

namespace {

struct Operation {
  const char* name;
  Result<void> (*run)(Request& rq, const json& asked);  // the answer is added to *rq.rest
};

Result<void> ReadRequest(const json& asked, wire::AnyMessage message) {
  const auto read = wire::Read(asked, message);
  if (!read) return Fail(read.error().code, "malformed request: {}", read.error().message);
  return {};
}

template <typename Ask, operation::AnswerOf<Ask> (*handler)(Request&, const Ask&)>
Result<void> Run(Request& rq, const json& asked) {
  Ask ask;
  TRY(ReadRequest(asked, ask));
  const auto answer = TRY(handler(rq, ask));
  wire::Write(answer, *rq.rest);
  return {};
}

template <typename Ask, operation::AnswerOf<Ask> (*handler)(Request&, const Ask&)>
constexpr Operation kRow = {Ask::kOp, Run<Ask, handler>};

constexpr Operation kOperations[] = {
    kRow<wire::Ping, operation::Ping>,
    kRow<wire::Status, operation::Status>,
    kRow<wire::Acknowledge, operation::Acknowledge>,
    kRow<wire::Mount, operation::Mount>,
    kRow<wire::Remount, operation::Remount>,
    kRow<wire::Mkdir, operation::Mkdir>,
    kRow<wire::Rmdir, operation::Rmdir>,
    kRow<wire::Attach, operation::Attach>,
    kRow<wire::Leave, operation::Leave>,
    kRow<wire::Kill, operation::Kill>,
    kRow<wire::Info, operation::Info>,
    kRow<wire::Tasks, operation::Tasks>,
    kRow<wire::Tree, operation::Tree>,
    kRow<wire::Wait, operation::Wait>,
    kRow<wire::OpenBill, operation::OpenBill>,
    kRow<wire::Bill, operation::Bill>,
    kRow<wire::Stat, operation::Stat>,
    kRow<wire::Top, operation::Top>,
    kRow<wire::Subscribe, operation::Subscribe>,
    kRow<wire::Events, operation::Events>,
    kRow<wire::Why, operation::Why>,
    kRow<wire::Locate, operation::Locate>,
    kRow<wire::Audit, operation::Audit>,
    kRow<wire::Shutdown, operation::Shutdown>,
};

struct Named {
  std::string op;
  void Visit(wire::Fields& f) { f.Maybe("op", op); }
};

Result<void> Dispatch(Request& rq, std::string_view text) {
  const json asked = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!asked.is_object()) return Fail(EPROTO, "a request is a JSON object");
  Named named;
  TRY(ReadRequest(asked, named));
  for (const Operation& operation : kOperations) {
    if (named.op == operation.name) return operation.run(rq, asked);
  }
  return Fail(EOPNOTSUPP, "unknown operation '{}'", named.op);
}

}  // namespace

std::string AnswerText(const Error& error) {
  json answer = {{"ok", false}};
  wire::Write(wire::Refusal{.code = error.code, .text = error.message}, answer);
  return wire::TextOf(answer);
}

std::string Answer(Request& request, std::string_view text) {
  Result<void> done;
  json answer = json::object();
  request.rest = &answer;
  try {
    done = Dispatch(request, text);
  } catch (...) {  // memory, a thread or a descriptor that could not be had
    done = Fail(CaughtError());
  }
  request.rest = nullptr;
  if (!done) return AnswerText(done.error());
  answer["ok"] = true;
  return wire::TextOf(answer);
}

}  // namespace corral
