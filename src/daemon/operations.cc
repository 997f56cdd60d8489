#include "daemon/operations.h"

#include <cerrno>

#include "base/thread.h"
#include "daemon/handlers.h"
#include "wire/bytes.h"

namespace corral {
namespace operation {
namespace {

Result<CgroupId> ByPath(Daemon& daemon, const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) {
    return Fail(EINVAL, "'{}' is neither a directory inside a mount nor HIERARCHY:/path", text);
  }
  const std::string name = text.substr(0, colon);
  const auto hierarchy = daemon.registry().FindByLabel(name);
  if (!hierarchy) return Fail(ENOENT, "there is no hierarchy named '{}'", name);
  return daemon.registry().Resolve(*hierarchy, FromJsonText(text.substr(colon + 1)));
}

Result<CgroupId> ByInode(Daemon& daemon, std::uint64_t device, std::uint64_t ino) {
  const auto root = daemon.mounts().RootOnDevice(device);
  if (!root) {
    return Fail(ENOENT, "the directory is not inside a mount of instance '{}'", daemon.instance());
  }
  const CgroupId id = Inode{ino}.cgroup();
  if (!Inode{ino}.is_directory()) return Fail(ENOTDIR, "this is a control file, not a cgroup");
  if (!daemon.registry().Exists(id)) return Fail(ENOENT, "the cgroup is gone");
  return id;
}

}  // namespace

Result<CgroupId> CgroupOf(Request& rq) {
  if (const auto path = rq.json.find("path"); path != rq.json.end()) {
    return ByPath(rq.daemon, path->get<std::string>());
  }
  if (rq.json.contains("dev")) {
    return ByInode(rq.daemon, Number(rq.json, "dev"), Number(rq.json, "ino"));
  }
  if (rq.json.contains("id")) return CgroupId{Number(rq.json, "id")};
  return Fail(EINVAL, "the request names no cgroup");
}

bool NamesCgroup(const Request& rq) {
  return rq.json.contains("path") || rq.json.contains("dev") || rq.json.contains("id");
}

bool Flag(const Request& rq, const char* name) { return rq.json.value(name, false); }

// get<T>() would convert: a fraction beyond T is undefined, a big number another one.
std::uint64_t Number(const Json& object, const char* name) {
  return object.at(name).get_ref<const Json::number_unsigned_t&>();
}

std::string FullPath(const CgroupInfo& info) {
  return info.hierarchy_name + ":" + ToJsonText(info.path);
}

}  // namespace operation

namespace {

using operation::Json;

struct Row {
  const char* name;
  Result<Json> (*run)(Request&);
};

constexpr Row kOperations[] = {
    {"ping", operation::Ping},
    {"status", operation::Status},
    {"acknowledge", operation::Acknowledge},
    {"mount", operation::Mount},
    {"remount", operation::Remount},
    {"mkdir", operation::Mkdir},
    {"rmdir", operation::Rmdir},
    {"attach", operation::Attach},
    {"leave", operation::Leave},
    {"kill", operation::Kill},
    {"info", operation::Info},
    {"tasks", operation::Tasks},
    {"tree", operation::Tree},
    {"wait", operation::Wait},
    {"open_bill", operation::OpenBill},
    {"bill", operation::Bill},
    {"stat", operation::Stat},
    {"top", operation::Top},
    {"subscribe", operation::Subscribe},
    {"events", operation::Events},
    {"why", operation::Why},
    {"locate", operation::Locate},
    {"audit", operation::Audit},
    {"shutdown", operation::Shutdown},
};

Result<Json> Run(Request& rq) {
  if (!rq.json.is_object()) return Fail(EPROTO, "a request is a JSON object");
  const std::string op = rq.json.value("op", "");
  for (const Row& row : kOperations) {
    if (op == row.name) return row.run(rq);
  }
  return Fail(EOPNOTSUPP, "unknown operation '{}'", op);
}

}  // namespace

Json Answer(Request& request) {
  Result<Json> result = Fail(EPROTO, "no answer");
  try {  // the JSON library reports members that are missing or of another type this way
    result = Run(request);
  } catch (const Json::exception& e) {
    result = Fail(EPROTO, "malformed request: {}", e.what());
  } catch (...) {  // memory, a thread or a descriptor that could not be had
    result = Fail(CaughtError());
  }
  if (!result) {
    return {{"ok", false},
            {"errno", result.error().code},
            {"error", ToJsonText(result.error().message)}};
  }
  (*result)["ok"] = true;
  return *result;
}

}  // namespace corral
