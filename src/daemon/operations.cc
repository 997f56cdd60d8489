#include "daemon/operations.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/log.h"
#include "client/bytes.h"
#include "daemon/version.h"

namespace corral {
namespace {

using Json = nlohmann::json;

// ---- naming a cgroup

Result<CgroupId> ByPath(Daemon& daemon, const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) {
    return Fail(EINVAL, "'{}' is neither a directory inside a mount nor HIERARCHY:/path", text);
  }
  const std::string name = text.substr(0, colon);
  const auto hierarchy = daemon.registry().FindHierarchy(name);
  if (!hierarchy) return Fail(ENOENT, "there is no hierarchy named '{}'", name);
  return daemon.registry().Resolve(*hierarchy, FromJsonText(text.substr(colon + 1)));
}

Result<CgroupId> ByInode(Daemon& daemon, std::uint64_t device, std::uint64_t ino) {
  const auto root = daemon.mounts().RootOnDevice(device);
  if (!root) {
    return Fail(ENOENT, "the directory is not inside a mount of instance '{}'",
                daemon.instance());
  }
  const CgroupId id = Inode{ino}.cgroup();
  if (!Inode{ino}.is_directory()) return Fail(ENOTDIR, "this is a control file, not a cgroup");
  if (!daemon.registry().Exists(id)) return Fail(ENOENT, "the cgroup is gone");
  return id;
}

Result<CgroupId> CgroupOf(Request& rq) {
  if (const auto path = rq.json.find("path"); path != rq.json.end()) {
    return ByPath(rq.daemon, path->get<std::string>());
  }
  if (rq.json.contains("dev")) {
    return ByInode(rq.daemon, rq.json.at("dev").get<std::uint64_t>(),
                   rq.json.at("ino").get<std::uint64_t>());
  }
  if (const auto id = rq.json.find("id"); id != rq.json.end()) {
    return CgroupId{id->get<std::uint64_t>()};
  }
  return Fail(EINVAL, "the request names no cgroup");
}

bool Flag(const Request& rq, const char* name) { return rq.json.value(name, false); }

std::string FullPath(const CgroupInfo& info) {
  return info.hierarchy_name + ":" + ToJsonText(info.path);
}

// ---- the operations

Result<Json> Ping(Request& rq) {
  return Json{{"instance", rq.daemon.instance()},
              {"daemon_pid", ::getpid()},
              {"version", kVersion}};
}

Result<Json> Status(Request& rq) {
  Daemon& d = rq.daemon;
  Json hierarchies = Json::array();
  for (const HierarchyInfo& info : d.registry().Hierarchies()) {
    const std::size_t mounts = d.mounts().CountOf(info.id);
    if (!d.registry().Root(info.id)) continue;  // that look swept it away
    hierarchies.push_back({{"id", info.id.value},
                           {"name", info.name},
                           {"options", ToJsonText(MountTable::EscapedOptions(info))},
                           {"built_in", info.built_in},
                           {"cgroups", info.cgroups},
                           {"mounts", mounts},
                           {"release_agent", ToJsonText(info.release_agent)}});
  }
  const AgentCounts agents = d.agents().counts();
  const MissCounts misses = d.tracker().misses();
  return Json{{"instance", d.instance()},
              {"daemon_pid", ::getpid()},
              {"version", kVersion},
              {"tracker", d.tracker().name()},
              {"tid_capacity", d.tracker().tid_capacity()},
              {"css_sets", d.registry().css_sets()},
              {"hierarchies", hierarchies},
              {"pending_notifications", d.registry().queue().size()},
              {"agents",
               {{"started", agents.started},
                {"refused", agents.refused},
                {"not_started", agents.not_started},
                {"succeeded", agents.succeeded},
                {"failed", agents.failed}}},
              {"misses",
               {{"bells", misses.bells},
                {"out_of_table", misses.out_of_table},
                {"unknown_deaths", misses.unknown_deaths},
                {"adopted", misses.adopted},
                {"displaced", misses.displaced},
                {"retries", misses.retries},
                {"recursion", misses.recursion}}}};
}

Result<Json> Remount(Request& rq) {
  const auto options = rq.daemon.mounts().Remount(rq.json.at("dev").get<std::uint64_t>(),
                                                  FromJsonText(rq.json.value("options", "")));
  if (!options) return Fail(options.error());
  return Json{{"read_only", options->read_only},
              {"nosuid", options->nosuid},
              {"nodev", options->nodev},
              {"noexec", options->noexec}};
}

Result<Json> Mount(Request& rq) {
  auto mounted = rq.daemon.mounts().Mount(FromJsonText(rq.json.value("options", "")),
                                          FromJsonText(rq.json.value("source", "none")));
  if (!mounted) return Fail(mounted.error());
  rq.descriptor = std::move(mounted->descriptor);
  return Json{{"hierarchy", mounted->hierarchy}};
}

// One name below `parent`, made if it is missing; `fresh`: the first free NAME, NAME-2, ...
Result<CgroupId> MakeOne(Daemon& d, CgroupId parent, const std::string& name, bool fresh,
                         MkdirOptions options, bool* created) {
  constexpr int kNames = 1'000'000;
  for (int n = 1; n < kNames; ++n) {
    const std::string attempt = n == 1 ? name : fmt::format("{}-{}", name, n);
    auto made = d.tree().Mkdir({}, Inode::Directory(parent), attempt, 0755, options);
    if (made) {
      *created = true;
      return Inode{made->st_ino}.cgroup();
    }
    if (made.error().code != EEXIST) return Fail(made.error());
    if (!fresh) return d.registry().Child(parent, name);
  }
  return Fail(EEXIST, "no free name for '{}'", name);
}

Result<Json> Mkdir(Request& rq) {
  auto parent = CgroupOf(rq);
  if (!parent) return Fail(parent.error());
  const std::string name = FromJsonText(rq.json.at("name").get<std::string>());
  const MkdirOptions options{.auto_remove = Flag(rq, "auto_remove")};
  bool created = false;
  CgroupId at = *parent;
  std::vector<CgroupId> made_here;
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty()) continue;
    const bool last = begin >= name.size();
    created = false;
    auto made = MakeOne(rq.daemon, at, part, last && Flag(rq, "fresh"), options, &created);
    if (!made) {  // nothing half done
      for (auto id = made_here.rbegin(); id != made_here.rend(); ++id) {
        (void)rq.daemon.registry().Remove(*id);
      }
      return Fail(made.error());
    }
    at = *made;
    if (created) made_here.push_back(at);
  }
  auto info = rq.daemon.registry().Info(at);
  if (!info) return Fail(info.error());
  return Json{{"id", at.value}, {"path", FullPath(*info)}, {"created", created}};
}

Result<Json> Rmdir(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  if (auto removed = rq.daemon.registry().Remove(*id); !removed) return Fail(removed.error());
  return Json::object();
}

Result<Json> Attach(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  const Tid tid{rq.json.at("tid").get<std::uint32_t>()};
  Registry& registry = rq.daemon.registry();
  auto done = Flag(rq, "process") ? registry.AttachProcess(*id, tid, {})
                                  : registry.Attach(*id, tid, {});
  if (!done) return Fail(done.error());
  return Json::object();
}

Result<Json> Tasks(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  Registry& registry = rq.daemon.registry();
  auto info = registry.Info(*id);
  if (!info) return Fail(info.error());
  const bool subtree = Flag(rq, "subtree");
  Json tasks = Json::array();
  struct Of {
    CgroupId cgroup;
    std::string path;
  };
  std::map<CssSetId, Of> sets;  // asked for once each
  auto members = registry.SubtreeTasks(*id);
  if (!members) return Fail(members.error());
  for (const TaskMember& task : *members) {
    auto known = sets.find(task.set);
    if (known == sets.end()) {
      const CgroupId at = registry.CgroupOfSet(task.set, info->hierarchy);
      known = sets.emplace(task.set, Of{at, ToJsonText(registry.PathOf(at).value_or("?"))}).first;
    }
    if (known->second.cgroup != *id && !subtree) continue;
    tasks.push_back(
        {{"tid", task.tid.value}, {"tgid", task.tgid.value}, {"path", known->second.path}});
  }
  return Json{{"path", FullPath(*info)}, {"tasks", std::move(tasks)}};
}

// Not recursive: a tree may be deep. Parents come before their children, so from the end each
// node is complete when it is put into its parent.
Result<Json> TreeOf(Registry& registry, CgroupId top) {
  auto info = registry.Info(top);
  if (!info) return Fail(info.error());
  auto nodes = registry.Subtree(top);
  if (!nodes) return Fail(nodes.error());
  std::vector<std::string> paths{info->path};
  std::vector<Json::array_t> children(nodes->size());  // last first
  for (std::size_t i = 1; i < nodes->size(); ++i) {
    const std::string& up = paths[(*nodes)[i].parent];
    paths.push_back((up == "/" ? "" : up) + "/" + (*nodes)[i].name);
  }
  for (std::size_t i = nodes->size(); i-- > 0;) {
    const TreeNode& node = (*nodes)[i];
    std::reverse(children[i].begin(), children[i].end());
    Json json = {{"name", node.name.empty() ? "/" : ToJsonText(node.name)},
                 {"path", ToJsonText(paths[i])},
                 {"id", node.id.value},
                 {"tasks", node.tasks},
                 {"populated", node.populated},
                 {"notify_on_release", node.notify_on_release},
                 {"children", std::move(children[i])}};
    if (i == 0) return Json{{"hierarchy", info->hierarchy_name}, {"root", std::move(json)}};
    children[node.parent].push_back(std::move(json));
  }
  return Fail(ENOENT, "cgroup {} is gone", top.value);
}

Result<Json> ListTree(Request& rq) {
  Registry& registry = rq.daemon.registry();
  std::vector<CgroupId> tops;
  bool named = false;
  if (rq.json.contains("path") || rq.json.contains("dev") || rq.json.contains("id")) {
    auto id = CgroupOf(rq);
    if (!id) return Fail(id.error());
    tops.push_back(*id);
    named = true;
  } else {
    (void)rq.daemon.mounts().size();  // sweeps
    for (const HierarchyInfo& info : registry.Hierarchies()) tops.push_back(info.root);
  }
  Json trees = Json::array();
  for (const CgroupId top : tops) {
    auto tree = TreeOf(registry, top);
    if (tree) {
      trees.push_back(std::move(*tree));
    } else if (named) {
      return Fail(tree.error());
    }  // else: that hierarchy ended meanwhile
  }
  return Json{{"trees", std::move(trees)}};
}

Result<Json> Info(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  Registry& registry = rq.daemon.registry();
  auto events = registry.Events(*id);
  auto info = registry.Info(*id);
  if (!info) return Fail(info.error());
  auto tasks = registry.Tasks(*id);
  return Json{{"id", id->value},
              {"hierarchy", info->hierarchy_name},
              {"path", FullPath(*info)},
              {"children", info->children},
              {"notify_on_release", info->notify_on_release},
              {"populated", events ? events->populated : info->populated},
              {"releases", info->releases},
              {"tasks", tasks ? tasks->size() : 0}};
}

// Registered before the first look, so nothing is missed (spec 10.9, 10.10).
Result<Json> Wait(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  Registry& registry = rq.daemon.registry();
  auto info = registry.Info(*id);
  if (!info) return Fail(info.error());
  if (info->parent.value == 0) {
    return Fail(EINVAL, "{} holds the machine's own tasks and is never empty; wait for a cgroup "
                "below it", FullPath(*info));
  }
  Waiters::Waiter waiter(rq.daemon.waiters(), *id);
  for (;;) {
    waiter.Reset();
    auto events = registry.Events(*id);
    if (!events) return Json{{"path", FullPath(*info)}, {"existed", false}};
    if (!events->populated) return Json{{"path", FullPath(*info)}, {"existed", true}};
    pollfd fds[] = {{.fd = waiter.fd(), .events = POLLIN, .revents = 0},
                    {.fd = rq.connection, .events = POLLRDHUP, .revents = 0},
                    {.fd = rq.daemon.shutdown_fd(), .events = POLLIN, .revents = 0}};
    ::poll(fds, 3, -1);
    if (fds[1].revents) return Fail(ECANCELED, "the peer does not wait any more");
    if (fds[2].revents) return Fail(ESHUTDOWN, "the daemon ends; {} may still have tasks",
                                    FullPath(*info));
  }
}

Result<Json> Kill(Request& rq) {
  auto id = CgroupOf(rq);
  if (!id) return Fail(id.error());
  auto info = rq.daemon.registry().Info(*id);
  if (info && info->parent.value == 0) {
    return Fail(EPERM, "{} holds every task of the machine; kill a cgroup below it",
                FullPath(*info));
  }
  auto killed = rq.daemon.tree().Kill(*id);
  if (!killed) return Fail(killed.error());
  Json pids = Json::array();
  for (const Tgid tgid : *killed) pids.push_back(tgid.value);
  return Json{{"killed", pids}};
}

Result<Json> Audit(Request& rq) {
  const AuditReport report = rq.daemon.tracker().Audit();
  std::size_t cgroups = 0;
  for (const HierarchyInfo& info : rq.daemon.registry().Hierarchies()) cgroups += info.cgroups;
  return Json{{"tasks", report.tasks},
              {"tracked", report.tracked},
              {"unsettled", report.unsettled},
              {"differences", report.differences},
              {"cgroups_checked", cgroups}};
}

Result<Json> Shutdown(Request& rq) {
  if (auto ok = rq.daemon.CheckShutdown(Flag(rq, "force")); !ok) return Fail(ok.error());
  log::Info("shutdown asked for");
  rq.daemon.RequestShutdown();
  return Json::object();
}

struct Operation {
  const char* name;
  Result<Json> (*run)(Request&);
};

constexpr Operation kOperations[] = {
    {"ping", Ping},     {"status", Status}, {"mount", Mount}, {"remount", Remount}, {"mkdir", Mkdir},
    {"rmdir", Rmdir},   {"attach", Attach}, {"tasks", Tasks}, {"tree", ListTree},
    {"info", Info},     {"wait", Wait},     {"kill", Kill},   {"audit", Audit},
    {"shutdown", Shutdown},
};

Result<Json> Run(Request& rq) {
  if (!rq.json.is_object()) return Fail(EPROTO, "a request is a JSON object");
  const std::string op = rq.json.value("op", "");
  for (const Operation& operation : kOperations) {
    if (op == operation.name) return operation.run(rq);
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
