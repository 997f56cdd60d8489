#include "random/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace corral::random {

Model::Model(const Options& options) : options_(options), dialects_(SpecDialects(options.cpus)) {
  tasks_["me"] = {.tid = options.own_tid, .tgid = options.own_tid, .uid = 0, .where = {}};
  NewHierarchy("corral", *DialectNamed("corral"))->permanent = true;  // spec 3.13
}

Model::Apply1 Model::HandlerOf(std::string_view verb) {
  static const std::map<std::string_view, Apply1> kHandlers{
      {"start", &Model::Birth},      {"fork", &Model::Birth},     {"sibling", &Model::Birth},
      {"vfork", &Model::Birth},      {"daemon", &Model::Birth},   {"thread", &Model::BirthOfThread},
      {"exec", &Model::Exec},        {"exit", &Model::Exit},      {"exitall", &Model::ExitProcess},
      {"kill", &Model::ExitProcess}, {"reap", &Model::Reap},      {"setuid", &Model::SetUid},
      {"mkdir", &Model::Mkdir},      {"rmdir", &Model::Rmdir},    {"rename", &Model::Rename},
      {"unlink", &Model::Unlink},    {"create", &Model::MakeOdd}, {"mkfifo", &Model::MakeOdd},
      {"symlink", &Model::MakeOdd},  {"chmod", &Model::Chmod},    {"chown", &Model::Chown},
      {"write", &Model::Write},      {"self", &Model::Self},      {"read", &Model::Read},
      {"open", &Model::Open},        {"pread", &Model::Pread},    {"pwrite", &Model::Pwrite},
      {"close", &Model::Close},      {"mount", &Model::Mount},    {"umount", &Model::Umount},
      {"remount", &Model::Remount}};
  return kHandlers.at(verb);
}

Errnos Model::Apply(const Step& step) {
  read_text_.reset();
  return (this->*HandlerOf(step.verb))(step);
}

std::vector<std::string> Model::PathsIn(const std::string& mount) const {
  std::vector<std::string> paths;
  const std::function<void(const ModelGroup&)> add = [&](const ModelGroup& group) {
    paths.push_back(PathOf(group));
    for (const auto& [name, child] : group.children) add(*child);
  };
  add(*mounts_.at(mount).hierarchy->root);
  return paths;
}

const ModelGroup* Model::GroupAt(const std::string& mount, const std::string& path) const {
  return Walk(mount, path, 0).group;
}

// ---- what can be observed

Model::Facts Model::Observe(const std::string& mount, bool later) const {
  Facts facts;
  for (const std::string& path : PathsIn(mount)) {
    const ModelGroup& group = *GroupAt(mount, path);
    const std::string prefix = path == "/" ? "/" : path + "/";
    std::set<std::string> names;
    for (const auto& [name, child] : group.children) names.insert(name);
    for (const auto& [name, owner] : group.files) {
      names.insert(name);
      const bool is_later = name == "cgroup.events";
      if (is_later == later) facts[prefix + name] = Content(group, name);
      if (!later) {
        const Owner seen = Seen(group, owner);
        facts[prefix + name + " attr"] = fmt::format("{:o} {} {} 1", seen.mode, seen.uid, seen.gid);
      }
    }
    if (later) continue;
    facts[path + " ls"] = fmt::format("{}", fmt::join(names, "\n"));
    facts[path + " attr"] = fmt::format("{:o} {} {} {}", group.directory.mode, group.directory.uid,
                                        group.directory.gid, 2 + group.children.size());
  }
  return facts;
}

std::map<std::string, std::string> Model::Inodes(const std::string& mount) const {
  std::map<std::string, std::string> inodes;
  for (const std::string& path : PathsIn(mount)) {
    const ModelGroup& group = *GroupAt(mount, path);
    const std::string prefix = path == "/" ? "/" : path + "/";
    inodes[path] = fmt::format("group {}", group.id);
    for (const auto& [name, owner] : group.files) {
      inodes[prefix + name] = fmt::format("group {}, {}", group.id, name);
    }
  }
  return inodes;
}

// ---- which steps make sense

namespace {

bool IsTopOnly(std::string_view verb) { return verb == "chmod" || verb == "chown"; }

}  // namespace

// Names that a step needs are there, names that it gives are free; and nothing is asked for
// that would end the driver or that its uid plays a part in which the model does not know.
bool Model::Applicable(const Step& step) const {
  const std::string_view verb = step.verb;
  const auto lives = [&](std::size_t n) { return tasks_.contains(step.arg(n)); };
  const auto is_puppet = [&](std::size_t n) { return lives(n) && step.arg(n) != "me"; };
  const auto is_new = [&](std::size_t n) {
    return !lives(n) && !zombies_.contains(step.arg(n)) && step.arg(n) != "me";
  };
  const auto mounted = [&](std::size_t n) { return mounts_.contains(step.arg(n)); };
  if (verb == "start") return is_new(0);
  if (verb == "fork" || verb == "sibling" || verb == "vfork" || verb == "daemon" ||
      verb == "thread") {
    return is_puppet(0) && is_new(1);
  }
  if (verb == "exec" || verb == "exit" || verb == "exitall" || verb == "kill") return is_puppet(0);
  if (verb == "reap") return zombies_.contains(step.arg(0)) && IsReapable(step.arg(0));
  if (verb == "setuid") {
    return is_puppet(0) && tasks_.at(step.arg(0)).uid == 0 &&
           ThreadsOf(tasks_.at(step.arg(0)).tgid).size() == 1;
  }
  if (verb == "pread" || verb == "close") return open_.contains(step.arg(0));
  if (verb == "pwrite") return open_.contains(step.arg(0)) && SparesOthers(step);
  if (verb == "open") return !open_.contains(step.arg(0)) && mounted(1);
  if (verb == "mount") return !mounted(0);
  if (verb == "self") return is_puppet(0) && mounted(1);
  if (!mounted(0)) return false;
  if (verb == "umount" || verb == "remount") return true;
  if (step.arg(1) == "/" && !IsTopOnly(verb)) return false;
  if (step.uid != 0 && (mounts_.at(step.arg(0)).read_only || verb == "chown")) return false;
  return verb != "write" || SparesOthers(step);
}

Model::Target Model::TargetOf(const Step& step) const {
  if (step.verb == "pwrite") {
    const ModelOpenFile& file = open_.at(step.arg(0));
    return {GroupById(file.hierarchy, file.group), file.hierarchy, file.file, step.arg(1)};
  }
  const Spot spot = Walk(step.arg(0), step.arg(1), 0);
  return {spot.parent, mounts_.at(step.arg(0)).hierarchy, spot.file ? spot.name : "", step.arg(2)};
}

// A kill where the driver is a member would end the driver; a number that is none of ours could
// be that of a task of the machine.
bool Model::SparesOthers(const Step& step) const {
  const Target target = TargetOf(step);
  if (target.file == "tasks" || target.file == "cgroup.procs") {
    constexpr long kMostTasks = 1 << 22;  // the kernel gives no number beyond
    long pid = 0;
    if (ParsePidAs(*target.hierarchy->dialect, Expand(target.text), &pid) != 0) return true;
    return pid == 0 || pid > kMostTasks || !NameOf(static_cast<int>(pid)).empty();
  }
  if (target.file != "cgroup.kill" || !target.group) return true;
  const ModelTask& me = tasks_.at("me");
  const auto at = me.where.find(target.hierarchy);
  for (const ModelGroup* up = at == me.where.end() ? nullptr : at->second; up; up = up->parent) {
    if (up == target.group) return false;
  }
  return true;
}

}  // namespace corral::random
